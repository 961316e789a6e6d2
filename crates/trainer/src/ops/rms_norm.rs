//! Normalisation by the root mean square of the last dimension (Zhang and Sennrich, arXiv 1910.07467), with a weight. candle's version
//! drops gradients.

use std::ops::Range;

use candle_core::{D, Result, Tensor};

use super::by_candle::apply;
use super::is_cpu_f32;
use super::operation::{Done, Inputs, Operation, Scratch, Take, Targets, at_least};
use kernels::rms_norm;

/// x / sqrt(mean of x² + eps) weight, with the mean over the last dimension. `x` is (..., n), `weight` is (n).
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let n = x.dim(D::Minus1)?;
    if weight.dims() != [n] {
        candle_core::bail!("rms norm: shapes do not fit: x {:?}, weight {:?}", x.shape(), weight.shape());
    }
    if is_cpu_f32(x) {
        return apply(RmsNorm { eps: eps as f32, n }, &[x, weight], x.dims());
    }
    let root = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    x.broadcast_div(&root)?.broadcast_mul(weight)
}

#[derive(Debug)]
struct RmsNorm {
    eps: f32,
    /// Numbers of a row.
    n: usize,
}

impl Operation for RmsNorm {
    fn name(&self) -> &'static str {
        "sweep-rms-norm"
    }

    fn weights(&self) -> Range<usize> {
        1..2
    }

    /// A scale for each row.
    fn kept(&self, outputs: usize) -> usize {
        outputs / self.n.max(1)
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], kept: &mut [f32], _: &mut Scratch) {
        let [x, weight, ..] = x.numbers;
        rms_norm::forward(x, weight, self.eps, y, kept);
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, scratch: &mut Scratch) {
        let [x, weight, ..] = at.x.numbers;
        let (of_weight, spare) = (at_least(&mut scratch.small, self.n), &mut scratch.spare);
        if let Some(target) = &mut dx[0] {
            target.write(spare, |dx| rms_norm::backward(x, at.kept, weight, dy, dx, of_weight));
        }
    }

    fn weight_gradient(&self, _: usize, _: &Done<'_>, _: &[f32], scratch: &mut Scratch, take: &mut Take<'_>) {
        take(0, &scratch.small[..self.n]);
    }
}
