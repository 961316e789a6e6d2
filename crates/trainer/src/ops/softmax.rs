//! Softmax over the last dimension. candle's version (`softmax_last_dim`) drops gradients.

use candle_core::{D, Result, Tensor};

use super::by_candle::apply;
use super::is_cpu_f32;
use super::operation::{Done, Inputs, Operation, Scratch, Targets};
use kernels::softmax;

/// exp(x) divided by its sum over the last dimension. The largest number is subtracted first, so that no exponential overflows.
///
/// # Errors
/// `x` is a scalar, or the device fails.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if is_cpu_f32(x) {
        return apply(Softmax { n: x.dim(D::Minus1)?.max(1) }, &[x], x.dims());
    }
    let probabilities = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    probabilities.broadcast_div(&probabilities.sum_keepdim(D::Minus1)?)
}

#[derive(Debug)]
struct Softmax {
    /// Numbers of a row.
    n: usize,
}

impl Operation for Softmax {
    fn name(&self) -> &'static str {
        "sweep-softmax"
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], _: &mut [f32], _: &mut Scratch) {
        y.copy_from_slice(x.numbers[0]);
        softmax::softmax(y, self.n);
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, _: &mut Scratch) {
        if let Some(target) = &mut dx[0] {
            softmax::softmax_backward(at.y, dy, self.n);
            target.put(dy);
        }
    }
}
