//! Softmax cross-entropy: minus the log of the label's softmax, averaged over the batch.

use candle_core::{D, DType, Result, Tensor};

use super::by_candle::mean_loss;
use super::operation::{Inputs, Loss, Scratch, Targets};
use super::record::is_recording;
use super::{is_cpu_f32, with_slice};
use kernels::cross_entropy::{losses_and_gradients, sum_losses};

/// Mean cross-entropy. `logits` is (batch, classes), `labels` is (batch) of u32, each below `classes`; the result is a scalar. The
/// largest logit is subtracted first, so that no exponential overflows.
///
/// # Errors
/// The shapes don't fit, a label is out of range, or the device fails.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let (batch, classes) = logits.dims2()?;
    if is_cpu_f32(logits) {
        if !is_recording() {
            check_labels(labels, batch, classes)?;
        }
        return mean_loss(CrossEntropy { classes }, &[logits, labels]);
    }
    // candle's `softmax_last_dim` drops gradients; these operations keep them.
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let log_softmax = shifted.broadcast_sub(&log_sum)?;
    log_softmax.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

#[derive(Debug)]
struct CrossEntropy {
    classes: usize,
}

impl Loss for CrossEntropy {
    fn name(&self) -> &'static str {
        "sweep-cross-entropy"
    }

    fn passes(&self, input: usize) -> bool {
        input == 0
    }

    fn sum(&self, x: &Inputs<'_>, _: &mut Scratch) -> (f64, Option<usize>) {
        let (sum, correct) = sum_losses(x.numbers[0], x.indices, self.classes);
        (sum, Some(correct))
    }

    fn gradients(&self, x: &Inputs<'_>, scale: f32, dx: &mut Targets<'_>, scratch: &mut Scratch) -> f64 {
        let (logits, mut sum) = (x.numbers[0], 0.0);
        if let Some(target) = &mut dx[0] {
            target.write(&mut scratch.spare, |dx| {
                sum = losses_and_gradients(logits, x.indices, self.classes, scale, dx);
            });
        }
        sum
    }
}

fn check_labels(labels: &Tensor, batch: usize, classes: usize) -> Result<()> {
    if labels.dims() != [batch] || labels.to_vec1::<u32>()?.iter().any(|label| *label as usize >= classes) {
        candle_core::bail!("cross-entropy: expected {batch} labels below {classes}");
    }
    Ok(())
}

/// Loss summed over the batch, in f64, and the number of rows whose largest logit is at their label. For evaluation: without a
/// gradient.
///
/// # Errors
/// The device fails.
pub fn evaluate(logits: &Tensor, labels: &[u32]) -> Result<(f64, usize)> {
    let (_, classes) = logits.dims2()?;
    let logits = logits.to_dtype(DType::F32)?.to_device(&candle_core::Device::Cpu)?.contiguous()?;
    with_slice(&logits, |logits| Ok(sum_losses(logits, labels, classes)))
}
