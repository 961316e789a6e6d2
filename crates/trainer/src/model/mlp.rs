//! Fully connected layers with an activation between them. Weights are (inputs, outputs).

use candle_core::{Result, Tensor};

use super::direct::Layer;
use super::{Shape, layer};
use crate::kernels::activation::Activation;
use crate::kernels::linear::linear;

/// Inputs and outputs of each layer.
pub(super) fn widths(
    inputs: usize,
    hidden: &[usize],
    outputs: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let inputs = std::iter::once(inputs).chain(hidden.iter().copied());
    inputs.zip(hidden.iter().copied().chain([outputs]))
}

/// Parameters `fc1.weight`, `fc1.bias`, `fc2.weight`, ...
pub(crate) fn shapes(inputs: usize, hidden: &[usize], classes: usize) -> Vec<Shape> {
    widths(inputs, hidden, classes)
        .enumerate()
        .flat_map(|(i, (inputs, outputs))| {
            layer(&format!("fc{}", i + 1), &[inputs, outputs], outputs, inputs)
        })
        .collect()
}

/// For the direct passes.
pub(crate) fn layers(inputs: usize, hidden: &[usize], classes: usize, between: Activation) -> Vec<Layer> {
    widths(inputs, hidden, classes)
        .enumerate()
        .map(|(i, (inputs, outputs))| {
            let activation = if i < hidden.len() { between } else { Activation::Identity };
            Layer::Linear { inputs, outputs, activation }
        })
        .collect()
}

/// Logits (batch, classes) of examples (batch, inputs).
pub(crate) fn forward(parameters: &[Tensor], images: &Tensor, between: Activation) -> Result<Tensor> {
    let layers = parameters.len() / 2;
    let mut x = images.clone();
    for (i, pair) in parameters.chunks_exact(2).enumerate() {
        if let [weight, bias] = pair {
            let activation = if i + 1 < layers { between } else { Activation::Identity };
            x = linear(&x, weight, bias, activation, i > 0)?;
        }
    }
    Ok(x)
}
