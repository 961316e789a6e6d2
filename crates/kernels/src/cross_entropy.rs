//! Softmax cross-entropy of rows of logits: minus the log of the label's softmax. The largest logit is subtracted first, so that no
//! exponential overflows.

use crate::math::{exp, ln};
use crate::multiversioned;

/// Writes softmax(row) into `softmax`. Returns the largest logit, and the log of the sum of exponentials after subtracting it.
#[inline(always)]
fn softmax(row: &[f32], softmax: &mut [f32]) -> (f32, f32) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a });
    let mut sum = 0.0;
    for (p, x) in softmax.iter_mut().zip(row) {
        *p = exp(x - largest);
        sum += *p;
    }
    softmax.iter_mut().for_each(|p| *p /= sum);
    (largest, ln(sum))
}

/// Minus the log of the label's probability, from the result of [`softmax`]. NaN for a label that is out of range.
#[inline(always)]
fn row_loss(row: &[f32], label: u32, (largest, log_sum): (f32, f32)) -> f64 {
    let label_logit = row.get(label as usize).copied().unwrap_or(f32::NAN);
    f64::from(log_sum - (label_logit - largest))
}

multiversioned! {
/// Loss summed over the rows, in f64, and the number of rows whose largest logit is at their label.
pub fn sum_losses(logits: &[f32], labels: &[u32], classes: usize) -> (f64, usize) {
    let mut scratch = vec![0.0; classes];
    let (mut sum, mut correct) = (0.0f64, 0);
    for (row, label) in logits.chunks_exact(classes.max(1)).zip(labels) {
        let row_stats = softmax(row, &mut scratch);
        sum += row_loss(row, *label, row_stats);
        correct += usize::from(row.iter().position(|x| *x == row_stats.0) == Some(*label as usize));
    }
    (sum, correct)
}
}

multiversioned! {
/// Loss summed over the rows, in f64; writes its gradient, times `scale`. Labels must be below `classes`.
pub fn losses_and_gradients(
    logits: &[f32],
    labels: &[u32],
    classes: usize,
    scale: f32,
    gradient: &mut [f32],
) -> f64 {
    let mut sum = 0.0f64;
    let rows = logits.chunks_exact(classes.max(1)).zip(gradient.chunks_exact_mut(classes.max(1)));
    for ((row, gradient), label) in rows.zip(labels) {
        sum += row_loss(row, *label, softmax(row, gradient));
        gradient[*label as usize] -= 1.0;
        for g in gradient {
            *g *= scale;
        }
    }
    sum
}
}
