//! Softmax cross-entropy of rows of logits: minus the log of the label's softmax. The largest logit is subtracted first, so that no
//! exponential overflows.

use crate::math::{exp, ln};
use crate::multiversioned;
use crate::rows::{largest, total};

/// Rows whose exponentials, and whose logs, are computed together: rows are often shorter than a vector.
const ROWS: usize = 16;
/// Longer rows are computed in parts of this length where no buffer is passed.
const LENGTH: usize = 1024;

/// The losses of up to [`ROWS`] rows.
struct Losses {
    /// The sum of exponentials after subtracting the largest logit.
    sums: [f32; ROWS],
    /// The logit of the label after subtracting the largest logit.
    of_label: [f32; ROWS],
}

impl Losses {
    #[inline(always)]
    fn new() -> Self {
        Self { sums: [1.0; ROWS], of_label: [0.0; ROWS] }
    }

    /// Adds the losses to a sum. Rows that were not set have the loss 0.
    #[inline(always)]
    fn add_to(mut self, sum: &mut f64) {
        for (sum, of_label) in self.sums.iter_mut().zip(&self.of_label) {
            *sum = ln(*sum) - of_label;
        }
        self.sums.iter().for_each(|loss| *sum += f64::from(*loss));
    }
}

/// The logit of the label in a row. NaN for a label that is out of range.
#[inline(always)]
fn of_label(row: &[f32], label: u32) -> f32 {
    row.get(label as usize).copied().unwrap_or(f32::NAN)
}

/// The sum of exp(x - largest) over a row.
#[inline(always)]
fn sum_of_exponentials(row: &[f32], largest: f32, buffer: &mut [f32; LENGTH]) -> f32 {
    let mut sum = 0.0;
    for part in row.chunks(LENGTH) {
        let buffer = &mut buffer[..part.len()];
        for (to, x) in buffer.iter_mut().zip(part) {
            *to = exp(x - largest);
        }
        sum += total(buffer);
    }
    sum
}

multiversioned! {
/// Loss summed over the rows, in f64, and the number of rows whose largest logit is at their label. If several are equal, the
/// first one counts.
pub fn sum_losses(logits: &[f32], labels: &[u32], classes: usize) -> (f64, usize) {
    let (mut sum, mut correct, mut buffer) = (0.0f64, 0, [0.0f32; LENGTH]);
    let n = classes.max(1);
    for (logits, labels) in logits.chunks(ROWS * n).zip(labels.chunks(ROWS)) {
        let mut losses = Losses::new();
        for (i, (row, label)) in logits.chunks_exact(n).zip(labels).enumerate() {
            let (largest, logit) = (largest(row), of_label(row, *label));
            losses.sums[i] = sum_of_exponentials(row, largest, &mut buffer);
            losses.of_label[i] = logit - largest;
            // A row with a NaN has a NaN as its sum, and is not correct.
            let at_label = (logit == largest) & !losses.sums[i].is_nan();
            correct += usize::from(at_label && row.iter().position(|x| *x == largest) == Some(*label as usize));
        }
        losses.add_to(&mut sum);
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
    let n = classes.max(1);
    let blocks = logits.chunks(ROWS * n).zip(gradient.chunks_mut(ROWS * n)).zip(labels.chunks(ROWS));
    for ((logits, gradient), labels) in blocks {
        let mut losses = Losses::new();
        let rows = logits.chunks_exact(n).zip(gradient.chunks_exact_mut(n)).zip(labels);
        for (i, ((row, to), label)) in rows.enumerate() {
            let largest = largest(row);
            losses.of_label[i] = of_label(row, *label) - largest;
            for (to, x) in to.iter_mut().zip(row) {
                *to = x - largest;
            }
        }
        for x in gradient.iter_mut() {
            *x = exp(*x);
        }
        for (i, (row, label)) in gradient.chunks_exact_mut(n).zip(labels).enumerate() {
            losses.sums[i] = total(row);
            let factor = scale / losses.sums[i];
            for p in row.iter_mut() {
                *p *= factor;
            }
            row[*label as usize] -= scale;
        }
        losses.add_to(&mut sum);
    }
    sum
}
}
