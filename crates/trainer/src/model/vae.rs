//! A variational autoencoder (Kingma and Welling, arXiv 1312.6114). The encoder has fully connected layers with ReLU, and outputs
//! mean and log variance of the latent variables. The decoder mirrors it, and outputs the logits of the pixels. The loss is binary
//! cross-entropy plus Kullback-Leibler divergence, in nats per image.

use candle_core::{DType, Result, Tensor};
use candle_nn::VarBuilder;
use serde::Deserialize;
use spec::catalogue::{Kind, ModelKind, Param, ParamType, Reads, no_check};
use spec::trial::{Data, Dataset};

use super::layer::{Linear, linear};
use super::parameters::{InOrder, built_in_parameters};
use super::shape::widths;
use super::{Architecture, Entry, Input, Shape, Sizes, build};
use crate::data::Form;
use crate::ops::activation::Activation;
use crate::ops::add::add;
use crate::ops::binary_cross_entropy::mean_binary_cross_entropy;
use crate::ops::latent::{divergence, draw};

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "vae",
            doc: "variational autoencoder (Kingma and Welling 2013) with ReLU; the decoder mirrors the encoder; for images of bytes, as values from 0 to 1",
            example: "{kind: vae, hidden: [12, 6], latent: 2}",
            params: &[
                Param::new(
                    "hidden",
                    ParamType::Widths,
                    "[512, 256]",
                    "widths of the encoder's hidden layers; the decoder mirrors them",
                ),
                Param::new("latent", ParamType::Count(65_536), "2", "number of latent variables"),
            ],
            check: no_check,
        },
        reads: Reads::Rows,
        loss: "binary cross-entropy plus KL divergence, nats per image",
        accuracy: false,
        fits: are_bytes,
    },
    build: build::<Vae>,
};

fn are_bytes(data: &Data) -> std::result::Result<(), String> {
    match &data.dataset {
        Dataset::Table(table) if !table.bytes => {
            Err("`vae` needs images of bytes, because it reconstructs values from 0 to 1".to_owned())
        }
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
struct Vae {
    /// Widths of the encoder's hidden layers.
    hidden: Vec<usize>,
    /// Number of latent variables.
    latent: usize,
}

/// The layers of an autoencoder.
struct Layers {
    encoder: Vec<Linear>,
    mean: Linear,
    log_variance: Linear,
    decoder: Vec<Linear>,
}

impl Architecture for Vae {
    /// `encoder.fc1.weight` ..., `mean.weight` ..., `log_variance.weight` ..., `decoder.fc1.weight` ...
    fn shapes(&self, sizes: Sizes) -> Vec<Shape> {
        built_in_parameters(|vb| self.layers(sizes.inputs, &vb).map(drop))
    }

    fn loss(&self, input: &Input<'_>) -> Result<Tensor> {
        let layers = self.layers(input.sizes.inputs, &InOrder::builder(input.parameters))?;
        layers.loss(&input.rows()?, &input.noise(self.latent)?)
    }

    fn evaluate(&self, input: &Input<'_>) -> Result<(f64, Option<usize>)> {
        let mean: f64 = self.loss(input)?.to_dtype(DType::F64)?.to_scalar()?;
        Ok((mean * input.batch.labels.len() as f64, None))
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
}

impl Vae {
    fn layers(&self, inputs: usize, vb: &VarBuilder<'_>) -> Result<Layers> {
        let Self { hidden, latent } = self;
        let last = hidden.last().copied().unwrap_or(inputs);
        let back: Vec<usize> = hidden.iter().rev().copied().collect();
        let chain = |part: &str, widths: &mut dyn Iterator<Item = (usize, usize)>| {
            let layer =
                |(i, (inputs, outputs))| linear(inputs, outputs, &vb.pp(format!("{part}.fc{}", i + 1)));
            widths.enumerate().map(layer).collect::<Result<Vec<_>>>()
        };
        Ok(Layers {
            encoder: chain("encoder", &mut widths(inputs, hidden, *latent).take(hidden.len()))?,
            mean: linear(last, *latent, &vb.pp("mean"))?,
            log_variance: linear(last, *latent, &vb.pp("log_variance"))?,
            decoder: chain("decoder", &mut widths(*latent, &back, inputs))?,
        })
    }
}

impl Layers {
    /// Mean loss of images: binary cross-entropy of the pixels (images, pixels), from 0 to 1, plus KL divergence of the latent
    /// variables. `noise` is (images, latent), standard normal.
    fn loss(&self, images: &Tensor, noise: &Tensor) -> Result<Tensor> {
        let depth = self.encoder.len();
        let mut x = images.clone();
        for (i, layer) in self.encoder.iter().enumerate() {
            x = layer.forward(&x, Activation::Relu, i > 0)?;
        }
        let head = |layer: &Linear| layer.forward(&x, Activation::Identity, depth > 0);
        let (mean, log_variance) = (head(&self.mean)?, head(&self.log_variance)?);
        let mut y = draw(&mean, &log_variance, noise)?;
        for (i, layer) in self.decoder.iter().enumerate() {
            let between = if i < depth { Activation::Relu } else { Activation::Identity };
            y = layer.forward(&y, between, true)?;
        }
        add(&mean_binary_cross_entropy(&y, images)?, &divergence(&mean, &log_variance)?)
    }
}
