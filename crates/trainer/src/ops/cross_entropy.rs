//! Softmax cross-entropy: minus the log of the label's softmax, averaged over the batch.

use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};
use kernels::math::{exp, ln};
use kernels::multiversioned;

/// Mean cross-entropy. `logits` is (batch, classes), `labels` is (batch) of u32, each below `classes`; the result is a scalar. The
/// largest logit is subtracted first, so that no exponential overflows.
///
/// # Errors
/// The shapes don't fit, a label is out of range, or the device fails.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    if is_cpu_f32(logits) {
        return logits.apply_op2(labels, CrossEntropy);
    }
    // candle's `softmax_last_dim` drops gradients; these operations keep them.
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let log_softmax = shifted.broadcast_sub(&log_sum)?;
    log_softmax.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

struct CrossEntropy;

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
pub(crate) fn sum_losses(logits: &[f32], labels: &[u32], classes: usize) -> (f64, usize) {
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
/// Loss summed over the rows, in f64; writes its gradient, times `scale`.
pub(crate) fn losses_and_gradients(
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

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "sweep-cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        layout: &Layout,
        labels: &CpuStorage,
        labels_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, classes) = layout.shape().dims2()?;
        let logits = slice(logits, layout)?;
        let labels = label_slice(labels, labels_layout, batch, classes)?;
        let (sum, _) = sum_losses(logits, labels, classes);
        Ok((CpuStorage::F32(vec![(sum / batch as f64) as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        labels: &Tensor,
        _loss: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (batch, classes) = logits.dims2()?;
        let scale = dy.to_scalar::<f32>()? / batch as f32;
        let labels: Vec<u32> = labels.to_vec1()?;
        let gradient = with_slice(logits, |logits| {
            let mut gradient = vec![0.0; logits.len()];
            losses_and_gradients(logits, &labels, classes, scale, &mut gradient);
            Ok(gradient)
        })?;
        Ok((Some(Tensor::from_vec(gradient, (batch, classes), logits.device())?), None))
    }
}

fn label_slice<'a>(
    labels: &'a CpuStorage,
    layout: &Layout,
    batch: usize,
    classes: usize,
) -> Result<&'a [u32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous { op: "cross-entropy" });
    };
    let labels = labels.as_slice::<u32>()?.get(start..end).unwrap_or_default();
    if labels.len() != batch || labels.iter().any(|label| *label as usize >= classes) {
        candle_core::bail!("cross-entropy: expected {batch} labels below {classes}");
    }
    Ok(labels)
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
