//! Layer normalisation over the last dimension (Ba, Kiros and Hinton, arXiv 1607.06450), with weight and bias. candle's version drops
//! the gradient of the bias. This one has its own backward pass on the CPU, and uses operations that keep gradients elsewhere.

use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};
use kernels::multiversioned;
use kernels::reduce::{add_rows, sum, sum_of_squares};

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
        return x.apply_op3(weight, bias, LayerNorm { eps: eps as f32 });
    }
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    centred.broadcast_div(&deviation)?.broadcast_mul(weight)?.broadcast_add(bias)
}

struct LayerNorm {
    eps: f32,
}

multiversioned! {
/// Writes (x - mean) / deviation into `to`, and returns 1 / deviation.
fn normalise(x: &[f32], eps: f32, to: &mut [f32]) -> f32 {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    for (to, x) in to.iter_mut().zip(x) {
        *to = x - mean;
    }
    let scale = 1.0 / (sum_of_squares(to) as f32 / n + eps).sqrt();
    for to in to {
        *to *= scale;
    }
    scale
}
}

multiversioned! {
fn scale_and_shift(x: &mut [f32], weight: &[f32], bias: &[f32]) {
    for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
        *x = x.mul_add(*weight, *bias);
    }
}
}

/// The gradients of x, weight and bias.
struct Gradients {
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl LayerNorm {
    /// Computes the gradients, row by row.
    fn gradients(&self, x: &[f32], weight: &[f32], dy: &[f32]) -> Gradients {
        let n = weight.len();
        let mut all = Gradients { x: vec![0.0; x.len()], weight: vec![0.0; n], bias: vec![0.0; n] };
        let (mut normal, mut product) = (vec![0.0; n], vec![0.0; n]);
        let rows = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(all.x.chunks_exact_mut(n));
        for ((x, dy), dx) in rows {
            let scale = normalise(x, self.eps, &mut normal);
            add_products(&mut all.weight, dy, &normal);
            add_rows(dy, &mut all.bias);
            multiply(dy, weight, dx);
            multiply(dx, &normal, &mut product);
            let (mean, along) = (sum(dx) / n as f32, sum(&product) / n as f32);
            project(dx, &normal, mean, along, scale);
        }
        all
    }
}

multiversioned! {
pub(super) fn add_products(sum: &mut [f32], a: &[f32], b: &[f32]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum = a.mul_add(*b, *sum);
    }
}
}

multiversioned! {
pub(super) fn multiply(a: &[f32], b: &[f32], to: &mut [f32]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = a * b;
    }
}
}

multiversioned! {
/// Removes the components of the gradient that would only change mean and deviation.
pub(super) fn project(dx: &mut [f32], normal: &[f32], mean: f32, along: f32, scale: f32) {
    for (dx, normal) in dx.iter_mut().zip(normal) {
        *dx = scale * normal.mul_add(-along, *dx - mean);
    }
}
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "sweep-layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, x_layout)?, slice(weight, weight_layout)?);
        let bias = slice(bias, bias_layout)?;
        let mut y = vec![0.0; x.len()];
        for (x, y) in x.chunks_exact(weight.len()).zip(y.chunks_exact_mut(weight.len())) {
            normalise(x, self.eps, y);
            scale_and_shift(y, weight, bias);
        }
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let all = with_slice(x, |x| {
            with_slice(weight, |weight| with_slice(&dy, |dy| Ok(self.gradients(x, weight, dy))))
        })?;
        let vector = |numbers: Vec<f32>| Tensor::from_vec(numbers, weight.shape(), weight.device());
        let dx = Tensor::from_vec(all.x, x.shape(), x.device())?;
        Ok((Some(dx), Some(vector(all.weight)?), Some(vector(all.bias)?)))
    }
}
