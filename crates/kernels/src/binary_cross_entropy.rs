//! Binary cross-entropy with logits: max(x, 0) - x y + ln(1 + exp(-|x|)), as PyTorch's `binary_cross_entropy_with_logits`.

use crate::math::{exp, ln};
use crate::multiversioned;

/// Number of running sums. It is fixed, so that the order of additions is fixed.
const LANES: usize = 16;

multiversioned! {
/// The sum over all numbers, in f64. Targets are from 0 to 1.
pub fn loss(logits: &[f32], targets: &[f32]) -> f64 {
    let mut sums = [0.0f64; LANES];
    for (logits, targets) in logits.chunks(LANES).zip(targets.chunks(LANES)) {
        for ((sum, x), y) in sums.iter_mut().zip(logits).zip(targets) {
            let largest = if *x > 0.0 || x.is_nan() { *x } else { 0.0 };
            *sum += f64::from(x.mul_add(-*y, largest) + ln(1.0 + exp(-x.abs())));
        }
    }
    sums.iter().sum()
}
}

multiversioned! {
/// The gradient of the logits, times `scale`.
pub fn backward(logits: &[f32], targets: &[f32], scale: f32, gradient: &mut [f32]) {
    for ((gradient, x), y) in gradient.iter_mut().zip(logits).zip(targets) {
        // exp(-|x|) can't overflow.
        let e = exp(-x.abs());
        let sigmoid = if *x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
        *gradient = scale * (sigmoid - y);
    }
}
}

/// [`loss`] and [`backward`] together.
pub fn loss_and_gradient(logits: &[f32], targets: &[f32], scale: f32, gradient: &mut [f32]) -> f64 {
    backward(logits, targets, scale, gradient);
    loss(logits, targets)
}
