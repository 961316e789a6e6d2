//! Layer normalisation over the last dimension (Ba, Kiros and Hinton, arXiv 1607.06450), with weight and bias. candle's version drops
//! the gradient of the bias. This one has its own backward pass on the CPU, and uses operations that keep gradients elsewhere.

use std::ops::Range;

use candle_core::{D, Result, Tensor};

use super::by_candle::apply;
use super::is_cpu_f32;
use super::operation::{Done, Inputs, Operation, Scratch, Take, Targets, at_least};
use kernels::layer_norm::{self, Gradients};

/// (x - mean) / sqrt(variance + eps) weight + bias, with mean and (biased) variance over the last dimension.
/// `x` is (..., n), `weight` and `bias` are (n).
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f64) -> Result<Tensor> {
    let n = x.dim(D::Minus1)?;
    if weight.dims() != [n] || bias.dims() != [n] {
        candle_core::bail!(
            "layer norm: shapes do not fit: x {:?}, weight {:?}, bias {:?}",
            x.shape(),
            weight.shape(),
            bias.shape()
        );
    }
    if is_cpu_f32(x) {
        return apply(LayerNorm { eps: eps as f32, n }, &[x, weight, bias], x.dims());
    }
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)
}

#[derive(Debug)]
struct LayerNorm {
    eps: f32,
    /// Numbers of a row.
    n: usize,
}

impl Operation for LayerNorm {
    fn name(&self) -> &'static str {
        "sweep-layer-norm"
    }

    fn weights(&self) -> Range<usize> {
        1..3
    }

    /// Two statistics of each row.
    fn kept(&self, outputs: usize) -> usize {
        2 * outputs / self.n.max(1)
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], kept: &mut [f32], _: &mut Scratch) {
        let [x, weight, bias, _] = x.numbers;
        layer_norm::forward(x, weight, bias, self.eps, y, kept);
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, scratch: &mut Scratch) {
        let [x, weight, ..] = at.x.numbers;
        let Some(target) = &mut dx[0] else { return };
        let (of_weight, of_bias) = at_least(&mut scratch.small, 2 * self.n).split_at_mut(self.n);
        let gradients = Gradients { x: target.numbers, add: target.add, weight: of_weight, bias: of_bias };
        layer_norm::backward(x, at.kept, weight, dy, gradients);
    }

    fn weight_gradient(
        &self,
        weight: usize,
        _: &Done<'_>,
        _: &[f32],
        scratch: &mut Scratch,
        take: &mut Take<'_>,
    ) {
        take(0, &scratch.small[(weight - 1) * self.n..][..self.n]);
    }
}
