//! Summed binary cross-entropy with logits: max(x, 0) - x y + ln(1 + exp(-|x|)), as PyTorch's
//! `binary_cross_entropy_with_logits`.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};
use kernels::math::{exp, ln};
use kernels::multiversioned;

/// Sum over all elements. `logits` and `targets` (from 0 to 1) have the same shape; the result is a scalar. The targets get no
/// gradient.
///
/// # Errors
/// The shapes differ, or the device fails.
pub fn binary_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    if logits.shape() != targets.shape() {
        candle_core::bail!(
            "binary cross-entropy: shapes differ: logits {:?}, targets {:?}",
            logits.shape(),
            targets.shape()
        );
    }
    if is_cpu_f32(logits) {
        return logits.apply_op2(targets, BinaryCrossEntropy);
    }
    let log = ((logits.abs()?.neg()?.exp()? + 1.0)?).log()?;
    ((logits.relu()? - (logits * targets.detach())?)? + log)?.sum_all()
}

struct BinaryCrossEntropy;

/// Number of running sums. It is fixed, so that the order of additions is fixed.
const LANES: usize = 16;

multiversioned! {
fn losses(logits: &[f32], targets: &[f32]) -> f64 {
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
fn gradients(logits: &[f32], targets: &[f32], scale: f32, gradient: &mut [f32]) {
    for ((gradient, x), y) in gradient.iter_mut().zip(logits).zip(targets) {
        // exp(-|x|) can't overflow.
        let e = exp(-x.abs());
        let sigmoid = if *x < 0.0 { e / (1.0 + e) } else { 1.0 / (1.0 + e) };
        *gradient = scale * (sigmoid - y);
    }
}
}

impl CustomOp2 for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "sweep-binary-cross-entropy"
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        targets: &CpuStorage,
        targets_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sum = losses(slice(logits, logits_layout)?, slice(targets, targets_layout)?);
        Ok((CpuStorage::F32(vec![sum as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        targets: &Tensor,
        _loss: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let scale = dy.to_scalar::<f32>()?;
        let gradient = with_slice(logits, |logits| {
            with_slice(targets, |targets| {
                let mut gradient = vec![0.0; logits.len()];
                gradients(logits, targets, scale, &mut gradient);
                Ok(gradient)
            })
        })?;
        Ok((Some(Tensor::from_vec(gradient, logits.shape(), logits.device())?), None))
    }
}
