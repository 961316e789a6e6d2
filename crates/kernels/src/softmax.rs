//! Softmax of rows: exp(x) divided by its sum. The largest number is subtracted first, so that no exponential overflows.

use crate::math::exp;
use crate::multiversioned;
use crate::reduce::sum;

/// Softmax of each row of `n` numbers, in place.
pub fn softmax(x: &mut [f32], n: usize) {
    x.chunks_exact_mut(n.max(1)).for_each(|row| softmax_in_place(row, 1.0));
}

/// Turns the gradient of the result `y` of [`softmax`] into the gradient of its input, in place.
pub fn softmax_backward(y: &[f32], gradient: &mut [f32], n: usize) {
    let rows = y.chunks_exact(n.max(1)).zip(gradient.chunks_exact_mut(n.max(1)));
    rows.for_each(|(y, gradient)| row_backward(y, gradient, 1.0));
}

multiversioned! {
/// Softmax of the scaled row, in place.
pub(crate) fn softmax_in_place(row: &mut [f32], scale: f32) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a });
    for x in row.iter_mut() {
        *x = exp((*x - largest) * scale);
    }
    let total = sum(row);
    for x in row {
        *x /= total;
    }
}
}

multiversioned! {
/// Turns the gradient of softmax(row scale) into the gradient of the row, in place.
pub(crate) fn row_backward(probabilities: &[f32], gradient: &mut [f32], scale: f32) {
    let mut mean = 0.0f32;
    for (p, gradient) in probabilities.iter().zip(gradient.iter()) {
        mean = p.mul_add(*gradient, mean);
    }
    for (gradient, p) in gradient.iter_mut().zip(probabilities) {
        *gradient = scale * p * (*gradient - mean);
    }
}
}
