//! Binary cross-entropy with logits: max(x, 0) - x y + ln(1 + exp(-|x|)), as PyTorch's `binary_cross_entropy_with_logits`.

use crate::math::{exp, ln_1p};
use crate::multiversioned;
use crate::rows::LANES;

/// The loss of one number, and exp(-|x|), which can't overflow.
#[inline(always)]
fn loss_of(x: f32, y: f32) -> (f32, f32) {
    let e = exp(-x.abs());
    let larger = if x < 0.0 { 0.0 } else { x };
    (x.mul_add(-y, larger) + ln_1p(e), e)
}

/// Numbers whose losses are computed before they are added.
const PART: usize = 256;

/// Adds losses to running sums: number i to sum i mod `LANES`, so that the order of additions is fixed.
#[inline(always)]
fn add(sums: &mut [f64; LANES], losses: &[f32]) {
    let (pieces, rest) = losses.as_chunks::<LANES>();
    for piece in pieces {
        for (sum, loss) in sums.iter_mut().zip(piece) {
            *sum += f64::from(*loss);
        }
    }
    for (sum, loss) in sums.iter_mut().zip(rest) {
        *sum += f64::from(*loss);
    }
}

multiversioned! {
/// The sum over all numbers, in f64. Targets are from 0 to 1.
pub fn loss(logits: &[f32], targets: &[f32]) -> f64 {
    let (mut sums, mut buffer) = ([0.0f64; LANES], [0.0f32; PART]);
    for (logits, targets) in logits.chunks(PART).zip(targets.chunks(PART)) {
        let losses = &mut buffer[..logits.len()];
        for ((loss, x), y) in losses.iter_mut().zip(logits).zip(targets) {
            *loss = loss_of(*x, *y).0;
        }
        add(&mut sums, losses);
    }
    sums.iter().sum()
}
}

multiversioned! {
/// [`loss`]; writes the gradient of the logits, times `scale`.
pub fn loss_and_gradient(logits: &[f32], targets: &[f32], scale: f32, gradient: &mut [f32]) -> f64 {
    let (mut sums, mut buffer) = ([0.0f64; LANES], [0.0f32; PART]);
    let parts = logits.chunks(PART).zip(targets.chunks(PART)).zip(gradient.chunks_mut(PART));
    for ((logits, targets), gradient) in parts {
        let losses = &mut buffer[..logits.len()];
        for (((loss, gradient), x), y) in losses.iter_mut().zip(gradient).zip(logits).zip(targets) {
            let (found, e) = loss_of(*x, *y);
            let sigmoid = (if *x < 0.0 { e } else { 1.0 }) / (1.0 + e);
            *loss = found;
            *gradient = scale * (sigmoid - y);
        }
        add(&mut sums, losses);
    }
    sums.iter().sum()
}
}
