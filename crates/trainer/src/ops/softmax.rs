//! Softmax over the last dimension. candle's version (`softmax_last_dim`) drops gradients.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};
use kernels::math::exp;
use kernels::multiversioned;
use kernels::reduce::sum;

/// exp(x) divided by its sum over the last dimension. The largest number is subtracted first, so that no exponential overflows.
///
/// # Errors
/// `x` is a scalar, or the device fails.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if is_cpu_f32(x) {
        return x.contiguous()?.apply_op1(Softmax);
    }
    let probabilities = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    probabilities.broadcast_div(&probabilities.sum_keepdim(D::Minus1)?)
}

multiversioned! {
/// Softmax of the scaled row, in place.
pub(super) fn softmax_in_place(row: &mut [f32], scale: f32) {
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
pub(super) fn softmax_backward(probabilities: &[f32], gradient: &mut [f32], scale: f32) {
    let mut mean = 0.0f32;
    for (p, gradient) in probabilities.iter().zip(gradient.iter()) {
        mean = p.mul_add(*gradient, mean);
    }
    for (gradient, p) in gradient.iter_mut().zip(probabilities) {
        *gradient = scale * p * (*gradient - mean);
    }
}
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "sweep-softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = slice(x, layout)?.to_vec();
        let n = layout.shape().dim(D::Minus1)?;
        y.chunks_exact_mut(n.max(1)).for_each(|row| softmax_in_place(row, 1.0));
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let n = x.dim(D::Minus1)?.max(1);
        let dy = dy.contiguous()?;
        let dx = with_slice(y, |y| {
            with_slice(&dy, |dy| {
                let mut dx = dy.to_vec();
                let rows = y.chunks_exact(n).zip(dx.chunks_exact_mut(n));
                rows.for_each(|(y, dx)| softmax_backward(y, dx, 1.0));
                Ok(dx)
            })
        })?;
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}
