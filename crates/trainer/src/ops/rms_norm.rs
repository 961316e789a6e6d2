//! Normalisation by the root mean square of the last dimension (Zhang and Sennrich, arXiv 1910.07467), with a weight. candle's version
//! drops gradients.

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};

use super::layer_norm::{add_products, multiply, project};
use super::{is_cpu_f32, slice, with_slice};
use kernels::multiversioned;
use kernels::reduce::{sum, sum_of_squares};

/// x / sqrt(mean of x² + eps) weight, with the mean over the last dimension. `x` is (..., n), `weight` is (n).
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    if weight.dims() != [x.dim(D::Minus1)?] {
        candle_core::bail!("rms norm: shapes do not fit: x {:?}, weight {:?}", x.shape(), weight.shape());
    }
    if is_cpu_f32(x) {
        return x.apply_op2(weight, RmsNorm { eps: eps as f32 });
    }
    let root = (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    x.broadcast_div(&root)?.broadcast_mul(weight)
}

struct RmsNorm {
    eps: f32,
}

multiversioned! {
/// Writes x / root mean square into `to`, and returns 1 / root mean square.
fn normalise(x: &[f32], eps: f32, to: &mut [f32]) -> f32 {
    let scale = 1.0 / (sum_of_squares(x) as f32 / x.len() as f32 + eps).sqrt();
    for (to, x) in to.iter_mut().zip(x) {
        *to = x * scale;
    }
    scale
}
}

impl RmsNorm {
    /// The gradients of x and weight, computed row by row.
    fn gradients(&self, x: &[f32], weight: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let n = weight.len();
        let (mut all, mut of_weight) = (vec![0.0; x.len()], vec![0.0; n]);
        let (mut normal, mut product) = (vec![0.0; n], vec![0.0; n]);
        let rows = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(all.chunks_exact_mut(n));
        for ((x, dy), dx) in rows {
            let scale = normalise(x, self.eps, &mut normal);
            add_products(&mut of_weight, dy, &normal);
            multiply(dy, weight, dx);
            multiply(dx, &normal, &mut product);
            project(dx, &normal, 0.0, sum(&product) / n as f32, scale);
        }
        (all, of_weight)
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "sweep-rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, x_layout)?, slice(weight, weight_layout)?);
        let n = weight.len().max(1);
        let (mut y, mut normal) = (vec![0.0; x.len()], vec![0.0; n]);
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            normalise(x, self.eps, &mut normal);
            multiply(&normal, weight, y);
        }
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let (of_x, of_weight) = with_slice(x, |x| {
            with_slice(weight, |weight| with_slice(&dy, |dy| Ok(self.gradients(x, weight, dy))))
        })?;
        let of_weight = Tensor::from_vec(of_weight, weight.shape(), weight.device())?;
        Ok((Some(Tensor::from_vec(of_x, x.shape(), x.device())?), Some(of_weight)))
    }
}
