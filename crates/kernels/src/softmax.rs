//! Softmax of rows: exp(x) divided by its sum. The largest number is subtracted first, so that no exponential overflows.

use crate::math::exp;
use crate::multiversioned;
use crate::rows::{dot, largest, total};

/// Rows whose exponentials are computed in one loop.
const ROWS: usize = 16;

multiversioned! {
/// Softmax of each row of `n` numbers, in place.
pub fn softmax(x: &mut [f32], n: usize) {
    let n = n.max(1);
    for block in x.chunks_mut(ROWS * n) {
        for row in block.chunks_exact_mut(n) {
            let largest = largest(row);
            row.iter_mut().for_each(|x| *x -= largest);
        }
        for x in block.iter_mut() {
            *x = exp(*x);
        }
        for row in block.chunks_exact_mut(n) {
            let factor = 1.0 / total(row);
            row.iter_mut().for_each(|x| *x *= factor);
        }
    }
}
}

multiversioned! {
/// Turns the gradient of the result `y` of [`softmax`] into the gradient of its input, in place.
pub fn softmax_backward(y: &[f32], gradient: &mut [f32], n: usize) {
    for (y, gradient) in y.chunks_exact(n.max(1)).zip(gradient.chunks_exact_mut(n.max(1))) {
        row_backward(y, gradient, 1.0);
    }
}
}

/// Turns the gradient of softmax(row scale) into the gradient of the row, in place.
#[inline(always)]
pub(crate) fn row_backward(probabilities: &[f32], gradient: &mut [f32], scale: f32) {
    let mean = dot(probabilities, gradient);
    for (gradient, p) in gradient.iter_mut().zip(probabilities) {
        *gradient = scale * p * (*gradient - mean);
    }
}
