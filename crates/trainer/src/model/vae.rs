//! A variational autoencoder (Kingma and Welling, arXiv 1312.6114): fully connected layers with ReLU between them down to mean
//! and log variance of the latent numbers, and as many in the other order up to the logits of the pixels. Its loss is binary
//! cross-entropy plus Kullback-Leibler divergence, in nats an image.

use candle_core::{DType, Result, Tensor};
use serde::Deserialize;
use spec::catalogue::{Holds, Kind, ModelKind, Param, Reads, no_check};
use spec::trial::{Data, Dataset};

use super::shape::widths;
use super::{Architecture, Entry, Input, Shape, Sizes, build};
use crate::data::Form;
use crate::kernels::activation::Activation;
use crate::kernels::binary_cross_entropy::binary_cross_entropy;
use crate::kernels::latent::{divergence, draw};
use crate::kernels::linear::linear;

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "vae",
            doc: "variational autoencoder (Kingma and Welling 2013) with ReLU; the decoder mirrors the encoder; images of bytes, as values from 0 to 1",
            example: "{kind: vae, hidden: [12, 6], latent: 2}",
            params: &[
                Param::new(
                    "hidden",
                    Holds::Widths,
                    "[512, 256]",
                    "widths of the encoder's hidden layers; the decoder mirrors them",
                ),
                Param::new("latent", Holds::Count(65_536), "2", "latent numbers"),
            ],
            check: no_check,
        },
        reads: Reads::Rows,
        loss: "binary cross-entropy plus divergence, nats an image",
        accuracy: false,
        fits: are_bytes,
    },
    build: build::<Vae>,
};

fn are_bytes(data: &Data) -> std::result::Result<(), String> {
    match &data.dataset {
        Dataset::Table(table) if !table.bytes => {
            Err("`vae` takes images of bytes: what it gives is compared with values from 0 to 1".to_owned())
        }
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
struct Vae {
    /// Widths of the encoder's hidden layers.
    hidden: Vec<usize>,
    /// Latent numbers.
    latent: usize,
}

impl Architecture for Vae {
    /// `encoder.fc1.weight` ..., `mean.weight` ..., `log_variance.weight` ..., `decoder.fc1.weight` ...
    fn shapes(&self, Sizes { inputs, .. }: Sizes) -> Vec<Shape> {
        let Self { hidden, latent } = self;
        let last = hidden.last().copied().unwrap_or(inputs);
        let fc = |part: &'static str| {
            move |(i, (inputs, outputs)): (usize, (usize, usize))| {
                Shape::layer(&format!("{part}.fc{}", i + 1), inputs, outputs)
            }
        };
        let encoder = widths(inputs, hidden, *latent).take(hidden.len()).enumerate().flat_map(fc("encoder"));
        let heads = ["mean", "log_variance"].into_iter().flat_map(|name| Shape::layer(name, last, *latent));
        let back: Vec<usize> = hidden.iter().rev().copied().collect();
        let decoder: Vec<Shape> =
            widths(*latent, &back, inputs).enumerate().flat_map(fc("decoder")).collect();
        encoder.chain(heads).chain(decoder).collect()
    }

    fn loss(&self, input: &Input<'_>) -> Result<Tensor> {
        self.sum(input)? / input.batch.labels.len().max(1) as f64
    }

    fn evaluate(&self, input: &Input<'_>) -> Result<(f64, Option<usize>)> {
        Ok((self.sum(input)?.to_dtype(DType::F64)?.to_scalar()?, None))
    }

    fn chunk(&self) -> usize {
        500
    }

    fn form(&self) -> Form {
        Form::Unit
    }

    fn draws(&self) -> usize {
        self.latent
    }

    fn numbers_in_batch(&self, sizes: Sizes) -> usize {
        sizes.inputs + self.latent
    }

    fn numbers_in_graph(&self, sizes: Sizes) -> usize {
        2 * self.hidden.iter().sum::<usize>() + 3 * self.latent + sizes.inputs
    }
}

impl Vae {
    /// The loss, summed over the images of a batch.
    fn sum(&self, input: &Input<'_>) -> Result<Tensor> {
        let noise = input.tensor(&input.batch.noise, self.latent)?;
        loss(input.parameters, &input.rows()?, &noise)
    }
}

/// Loss summed over images: binary cross-entropy of the pixels (images, pixels), 0 to 1, plus divergence of the latent
/// numbers. `noise` is (images, latent), standard normal.
fn loss(parameters: &[Tensor], images: &Tensor, noise: &Tensor) -> Result<Tensor> {
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
