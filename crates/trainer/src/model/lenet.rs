//! A small convolutional network: convolution 5x5x16, pool, convolution 5x5x32, pool, linear 128, linear to the classes, with ReLU
//! between them.

use candle_core::Tensor;
use serde::Deserialize;
use spec::catalogue::{Kind, ModelKind, Reads, no_check};
use spec::trial::Data;

use super::direct::{Layer, Linear};
use super::{Architecture, Entry, Input, Shape, Sizes, build};
use crate::ops::activation::Activation;
use crate::ops::conv::conv;
use crate::ops::linear::linear;
use crate::ops::pool::max_pool_2x2;
use kernels::channels_last::{self, Conv};

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "lenet",
            doc: "convolution 5x5x16, pool, convolution 5x5x32, pool, linear 128, linear; for images of 28 x 28",
            example: "{kind: lenet}",
            params: &[],
            check: no_check,
        },
        reads: Reads::Rows,
        loss: "cross-entropy",
        accuracy: true,
        fits: is_28_by_28,
    },
    build: build::<Lenet>,
};

fn is_28_by_28(data: &Data) -> Result<(), String> {
    match data.dataset.shape() {
        (784, _) => Ok(()),
        (inputs, _) => Err(format!(
            "`lenet` needs images of 28 x 28 in one channel (784 numbers), but the examples have {inputs} numbers"
        )),
    }
}

/// Inputs of the first linear layer: images of 4 x 4 in 32 channels.
const FLAT: usize = 32 * 4 * 4;

#[derive(Debug, Deserialize)]
struct Lenet {}

impl Architecture for Lenet {
    fn shapes(&self, Sizes { classes, .. }: Sizes) -> Vec<Shape> {
        let convolutions = [Shape::conv("conv1", [16, 1, 5, 5]), Shape::conv("conv2", [32, 16, 5, 5])];
        let linear = [Shape::layer("fc1", FLAT, 128), Shape::layer("fc2", 128, classes)];
        convolutions.into_iter().chain(linear).flatten().collect()
    }

    fn layers(&self, Sizes { classes, .. }: Sizes) -> Option<Vec<Layer>> {
        let sizes = [
            channels_last::Sizes { channels: 1, height: 28, width: 28, outputs: 16, size: 5 },
            channels_last::Sizes { channels: 16, height: 12, width: 12, outputs: 32, size: 5 },
        ];
        let convolutions = sizes.into_iter().map(|sizes| Layer::Conv(Box::new(Conv::new(sizes))));
        let rest = [
            Layer::ChannelsFirst { channels: 32, outputs: FLAT },
            Layer::Linear(Linear { inputs: FLAT, outputs: 128, activation: Activation::Relu }),
            Layer::Linear(Linear { inputs: 128, outputs: classes, activation: Activation::Identity }),
        ];
        Some(convolutions.chain(rest).collect())
    }

    fn logits(&self, input: &Input<'_>) -> candle_core::Result<Tensor> {
        let [w1, b1, w2, b2, w3, b3, w4, b4] = input.parameters else {
            candle_core::bail!("lenet has 8 parameters, not {}", input.parameters.len())
        };
        let x = input.rows()?.reshape(((), 1, 28, 28))?;
        let x = max_pool_2x2(&conv(&x, w1, b1, true, false)?)?;
        let x = max_pool_2x2(&conv(&x, w2, b2, true, true)?)?;
        let x = linear(&x.reshape(((), FLAT))?, w3, b3, Activation::Relu, true)?;
        linear(&x, w4, b4, Activation::Identity, true)
    }

    /// Smaller than for other models, because the outputs of convolutions need more cache.
    fn chunk(&self) -> usize {
        128
    }
}
