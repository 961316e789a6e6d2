//! The latent variables of a variational autoencoder (Kingma and Welling, arXiv 1312.6114): draws from a normal distribution with the
//! encoder's mean and variance, and the divergence of this distribution from the standard normal one.

use candle_core::{Result, Tensor};

use super::by_candle::{apply, mean_loss};
use super::is_cpu_f32;
use super::operation::{Done, Inputs, Loss, Operation, Scratch, Targets, at_least};
use kernels::latent;

/// mean + exp(log_variance / 2) noise, all of the same shape. The noise gets no gradient.
///
/// # Errors
/// The shapes differ, or the device fails.
pub fn draw(mean: &Tensor, log_variance: &Tensor, noise: &Tensor) -> Result<Tensor> {
    same(mean, log_variance)?;
    same(mean, noise)?;
    if is_cpu_f32(mean) {
        return apply(Draw, &[mean, log_variance, noise], mean.dims());
    }
    mean + ((log_variance * 0.5)?.exp()? * noise.detach())?
}

/// Kullback-Leibler divergence from the standard normal distribution: ½ Σ (mean² + exp(log_variance) - 1 - log_variance) over each
/// row of (examples, numbers), averaged over the examples. A scalar.
///
/// # Errors
/// The shapes differ, or the device fails.
pub fn divergence(mean: &Tensor, log_variance: &Tensor) -> Result<Tensor> {
    same(mean, log_variance)?;
    if is_cpu_f32(mean) {
        return mean_loss(Divergence, &[mean, log_variance]);
    }
    (((mean.sqr()? + log_variance.exp()?)? - 1.0)? - log_variance)?.sum_all()? * (0.5 / mean.dim(0)? as f64)
}

fn same(a: &Tensor, b: &Tensor) -> Result<()> {
    if a.shape() == b.shape() {
        return Ok(());
    }
    candle_core::bail!("latent variables: shapes {:?} and {:?} differ", a.shape(), b.shape())
}

#[derive(Debug)]
struct Draw;
#[derive(Debug)]
struct Divergence;

impl Operation for Draw {
    fn name(&self) -> &'static str {
        "sweep-latent-draw"
    }

    fn passes(&self, input: usize) -> bool {
        input != 2
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], _: &mut [f32], _: &mut Scratch) {
        let [mean, log_variance, noise, _] = x.numbers;
        latent::draw(mean, log_variance, noise, y);
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, _: &mut Scratch) {
        let [_, log_variance, noise, _] = at.x.numbers;
        if let Some(target) = &mut dx[0] {
            target.put(dy);
        }
        if let Some(target) = &mut dx[1] {
            latent::draw_backward(log_variance, noise, dy);
            target.put(dy);
        }
    }
}

impl Loss for Divergence {
    fn name(&self) -> &'static str {
        "sweep-latent-divergence"
    }

    fn passes(&self, _: usize) -> bool {
        true
    }

    fn sum(&self, x: &Inputs<'_>, _: &mut Scratch) -> (f64, Option<usize>) {
        let [mean, log_variance, ..] = x.numbers;
        (latent::divergence(mean, log_variance), None)
    }

    fn gradients(&self, x: &Inputs<'_>, scale: f32, dx: &mut Targets<'_>, scratch: &mut Scratch) -> f64 {
        let [mean, log_variance, ..] = x.numbers;
        let n = mean.len();
        let (of_mean, of_log_variance) = at_least(&mut scratch.piece, 2 * n).split_at_mut(n);
        latent::divergence_backward(mean, log_variance, scale, of_mean, of_log_variance);
        for (target, gradient) in dx.iter_mut().zip([of_mean, of_log_variance]) {
            if let Some(target) = target {
                target.put(gradient);
            }
        }
        latent::divergence(mean, log_variance)
    }
}
