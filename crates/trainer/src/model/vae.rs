//! A variational autoencoder (Kingma and Welling, arXiv 1312.6114): fully connected layers with ReLU between them down to mean
//! and log variance of the latent numbers, and as many in the other order up to the logits of the pixels.

use candle_core::{Result, Tensor};

use super::mlp::widths;
use super::{Shape, layer};
use crate::kernels::activation::Activation;
use crate::kernels::binary_cross_entropy::binary_cross_entropy;
use crate::kernels::latent::{divergence, draw};
use crate::kernels::linear::linear;

/// Parameters `encoder.fc1.weight` ..., `mean.weight` ..., `log_variance.weight` ..., `decoder.fc1.weight` ...
pub(crate) fn shapes(inputs: usize, hidden: &[usize], latent: usize) -> Vec<Shape> {
    let last = hidden.last().copied().unwrap_or(inputs);
    let fc = |part: &'static str| {
        move |(i, (inputs, outputs)): (usize, (usize, usize))| {
            layer(&format!("{part}.fc{}", i + 1), &[inputs, outputs], outputs, inputs)
        }
    };
    let encoder = widths(inputs, hidden, latent).take(hidden.len()).enumerate().flat_map(fc("encoder"));
    let heads =
        ["mean", "log_variance"].into_iter().flat_map(|name| layer(name, &[last, latent], latent, last));
    let back: Vec<usize> = hidden.iter().rev().copied().collect();
    let decoder: Vec<Shape> = widths(latent, &back, inputs).enumerate().flat_map(fc("decoder")).collect();
    encoder.chain(heads).chain(decoder).collect()
}

/// Loss summed over images: binary cross-entropy of the pixels (images, pixels), 0 to 1, plus divergence of the latent
/// numbers. `noise` is (images, latent), standard normal.
pub(crate) fn loss(parameters: &[Tensor], images: &Tensor, noise: &Tensor) -> Result<Tensor> {
    let pairs: Vec<(&Tensor, &Tensor)> =
        parameters.chunks_exact(2).filter_map(|pair| Some((pair.first()?, pair.last()?))).collect();
    // As many layers on both sides of the two in the middle, and the decoder's last one.
    let depth = pairs.len().saturating_sub(3) / 2;
    let (encoder, rest) = pairs.split_at(depth);
    let [mean, log_variance, decoder @ ..] = rest else {
        candle_core::bail!("an autoencoder has 6 parameters at least, not {}", parameters.len())
    };
    let mut x = images.clone();
    for (i, (weight, bias)) in encoder.iter().enumerate() {
        x = linear(&x, weight, bias, Activation::Relu, i > 0)?;
    }
    let head =
        |(weight, bias): &(&Tensor, &Tensor)| linear(&x, weight, bias, Activation::Identity, depth > 0);
    let (mean, log_variance) = (head(mean)?, head(log_variance)?);
    let mut y = draw(&mean, &log_variance, noise)?;
    for (i, (weight, bias)) in decoder.iter().enumerate() {
        let between = if i < depth { Activation::Relu } else { Activation::Identity };
        y = linear(&y, weight, bias, between, true)?;
    }
    binary_cross_entropy(&y, images)? + divergence(&mean, &log_variance)?
}
