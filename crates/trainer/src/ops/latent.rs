//! The latent variables of a variational autoencoder (Kingma and Welling, arXiv 1312.6114): draws from a normal distribution with the
//! encoder's mean and variance, and the divergence of this distribution from the standard normal one.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};
use kernels::math::exp;
use kernels::multiversioned;

/// mean + exp(log_variance / 2) noise, all of the same shape. The noise gets no gradient.
///
/// # Errors
/// The shapes differ, or the device fails.
pub fn draw(mean: &Tensor, log_variance: &Tensor, noise: &Tensor) -> Result<Tensor> {
    same(mean, log_variance)?;
    same(mean, noise)?;
    if is_cpu_f32(mean) {
        return mean.apply_op3(log_variance, noise, Draw);
    }
    mean + ((log_variance * 0.5)?.exp()? * noise.detach())?
}

/// Kullback-Leibler divergence from the standard normal distribution, summed over all numbers:
/// ½ Σ (mean² + exp(log_variance) - 1 - log_variance). A scalar.
///
/// # Errors
/// The shapes differ, or the device fails.
pub fn divergence(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
    same(mean, log_variance)?;
    if is_cpu_f32(mean) {
        return mean.apply_op2(log_variance, Divergence);
    }
    (((mean.sqr()? + log_variance.exp()?)? - 1.0)? - log_variance)?.sum_all()? * 0.5
}

fn same(a: &Tensor, b: &Tensor) -> Result<()> {
    if a.shape() == b.shape() {
        return Ok(());
    }
    candle_core::bail!("latent variables: shapes {:?} and {:?} differ", a.shape(), b.shape())
}

struct Draw;
struct Divergence;

multiversioned! {
fn draws(mean: &[f32], log_variance: &[f32], noise: &[f32], to: &mut [f32]) {
    for (((to, mean), log_variance), noise) in to.iter_mut().zip(mean).zip(log_variance).zip(noise) {
        *to = exp(0.5 * log_variance).mul_add(*noise, *mean);
    }
}
}

multiversioned! {
fn draw_backward(log_variance: &[f32], noise: &[f32], gradient: &mut [f32]) {
    for ((gradient, log_variance), noise) in gradient.iter_mut().zip(log_variance).zip(noise) {
        *gradient *= 0.5 * exp(0.5 * log_variance) * noise;
    }
}
}

impl CustomOp3 for Draw {
    fn name(&self) -> &'static str {
        "sweep-latent-draw"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        log_variance: &CpuStorage,
        log_variance_layout: &Layout,
        noise: &CpuStorage,
        noise_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mean = slice(mean, mean_layout)?;
        let mut drawn = vec![0.0; mean.len()];
        draws(mean, slice(log_variance, log_variance_layout)?, slice(noise, noise_layout)?, &mut drawn);
        Ok((CpuStorage::F32(drawn), mean_layout.shape().clone()))
    }

    fn bwd(
        &self,
        _mean: &Tensor,
        log_variance: &Tensor,
        noise: &Tensor,
        _drawn: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let gradient = with_slice(&dy, |dy| {
            with_slice(log_variance, |log_variance| {
                with_slice(noise, |noise| {
                    let mut gradient = dy.to_vec();
                    draw_backward(log_variance, noise, &mut gradient);
                    Ok(gradient)
                })
            })
        })?;
        let gradient = Tensor::from_vec(gradient, log_variance.shape(), log_variance.device())?;
        Ok((Some(dy), Some(gradient), None))
    }
}

impl CustomOp2 for Divergence {
    fn name(&self) -> &'static str {
        "sweep-latent-divergence"
    }

    fn cpu_fwd(
        &self,
        mean: &CpuStorage,
        mean_layout: &Layout,
        log_variance: &CpuStorage,
        log_variance_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (mean, log_variance) = (slice(mean, mean_layout)?, slice(log_variance, log_variance_layout)?);
        let sum: f64 = mean.iter().zip(log_variance).map(|(m, v)| f64::from(m * m + exp(*v) - 1.0 - v)).sum();
        Ok((CpuStorage::F32(vec![(0.5 * sum) as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        mean: &Tensor,
        log_variance: &Tensor,
        _sum: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let scale = dy.to_scalar::<f32>()?;
        let by = |tensor: &Tensor, f: fn(f32) -> f32| {
            let gradient = with_slice(tensor, |x| Ok(x.iter().map(|x| scale * f(*x)).collect::<Vec<f32>>()))?;
            Tensor::from_vec(gradient, tensor.shape(), tensor.device())
        };
        Ok((Some(by(mean, |m| m)?), Some(by(log_variance, |v| 0.5 * (exp(v) - 1.0))?)))
    }
}
