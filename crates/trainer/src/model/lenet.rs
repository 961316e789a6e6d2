//! A small convolutional network: convolution 5x5x16, pool, convolution 5x5x32, pool, linear 128, linear
//! to the classes, ReLU between.

use candle_core::{Result, Tensor};

use super::direct::Layer;
use super::{Shape, layer};
use crate::kernels::activation::Activation;
use crate::kernels::channels_last::{Conv, Sizes};
use crate::kernels::conv::conv;
use crate::kernels::linear::linear;
use crate::kernels::pool::max_pool_2x2;

/// Images of 4 x 4 in 32 channels reach the first linear layer.
const FLAT: usize = 32 * 4 * 4;

pub(crate) fn shapes(classes: usize) -> Vec<Shape> {
    [
        layer("conv1", &[16, 1, 5, 5], 16, 25),
        layer("conv2", &[32, 16, 5, 5], 32, 16 * 25),
        layer("fc1", &[FLAT, 128], 128, FLAT),
        layer("fc2", &[128, classes], classes, 128),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// For the direct passes.
pub(crate) fn layers(classes: usize) -> Vec<Layer> {
    let sizes = [
        Sizes { channels: 1, height: 28, width: 28, outputs: 16, size: 5 },
        Sizes { channels: 16, height: 12, width: 12, outputs: 32, size: 5 },
    ];
    let convolutions = sizes.into_iter().map(|sizes| Layer::Conv(Box::new(Conv::new(sizes))));
    let rest = [
        Layer::ChannelsFirst { channels: 32, outputs: FLAT },
        Layer::Linear { inputs: FLAT, outputs: 128, activation: Activation::Relu },
        Layer::Linear { inputs: 128, outputs: classes, activation: Activation::Identity },
    ];
    convolutions.chain(rest).collect()
}

/// Logits (batch, classes) of images (batch, pixels).
pub(crate) fn forward(parameters: &[Tensor], images: &Tensor) -> Result<Tensor> {
    let [w1, b1, w2, b2, w3, b3, w4, b4] = parameters else {
        candle_core::bail!("lenet has 8 parameters, not {}", parameters.len())
    };
    let x = images.reshape(((), 1, 28, 28))?;
    let x = max_pool_2x2(&conv(&x, w1, b1, true, false)?)?;
    let x = max_pool_2x2(&conv(&x, w2, b2, true, true)?)?;
    let x = linear(&x.reshape(((), FLAT))?, w3, b3, Activation::Relu, true)?;
    linear(&x, w4, b4, Activation::Identity, true)
}
