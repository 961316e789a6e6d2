//! The latent variables of a variational autoencoder (Kingma and Welling, arXiv 1312.6114): draws from a normal distribution with the
//! encoder's mean and variance, and the divergence of this distribution from the standard normal one. All slices of a call have the
//! same length.

use crate::math::exp;
use crate::multiversioned;

multiversioned! {
/// mean + exp(log_variance / 2) noise.
pub fn draw(mean: &[f32], log_variance: &[f32], noise: &[f32], to: &mut [f32]) {
    for (((to, mean), log_variance), noise) in to.iter_mut().zip(mean).zip(log_variance).zip(noise) {
        *to = exp(0.5 * log_variance).mul_add(*noise, *mean);
    }
}
}

multiversioned! {
/// Turns the gradient of the draws, which is also that of the means, into the gradient of the log variances, in place.
pub fn draw_backward(log_variance: &[f32], noise: &[f32], gradient: &mut [f32]) {
    for ((gradient, log_variance), noise) in gradient.iter_mut().zip(log_variance).zip(noise) {
        *gradient *= 0.5 * exp(0.5 * log_variance) * noise;
    }
}
}

multiversioned! {
/// Kullback-Leibler divergence from the standard normal distribution, summed over all numbers, in f64:
/// ½ Σ (mean² + exp(log_variance) - 1 - log_variance).
pub fn divergence(mean: &[f32], log_variance: &[f32]) -> f64 {
    let mut sum = 0.0f64;
    let mut buffer = [0.0f32; 256];
    for (mean, log_variance) in mean.chunks(256).zip(log_variance.chunks(256)) {
        let parts = &mut buffer[..mean.len()];
        for ((to, m), v) in parts.iter_mut().zip(mean).zip(log_variance) {
            *to = m.mul_add(*m, exp(*v) - 1.0) - v;
        }
        sum += parts.iter().map(|x| f64::from(*x)).sum::<f64>();
    }
    0.5 * sum
}
}

multiversioned! {
/// The gradients of [`divergence`], times `scale`.
pub fn divergence_backward(
    mean: &[f32],
    log_variance: &[f32],
    scale: f32,
    d_mean: &mut [f32],
    d_log_variance: &mut [f32],
) {
    for (d, m) in d_mean.iter_mut().zip(mean) {
        *d = scale * m;
    }
    for (d, v) in d_log_variance.iter_mut().zip(log_variance) {
        *d = scale * (0.5 * (exp(*v) - 1.0));
    }
}
}
