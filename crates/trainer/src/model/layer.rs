//! Layers with our kernels for models that are built with a `VarBuilder`.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::shape::pytorch;
use crate::ops;
use crate::ops::activation::Activation;

/// A fully connected layer with its activation.
#[derive(Debug)]
pub(super) struct Linear {
    /// (inputs, outputs).
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// The layer's output for `x`, (rows, inputs). `passes`: whether `x` needs a gradient.
    pub(super) fn forward(&self, x: &Tensor, activation: Activation, passes: bool) -> Result<Tensor> {
        ops::linear::linear(x, &self.weight, &self.bias, activation, passes)
    }
}

/// A linear layer with PyTorch's initial values.
pub(super) fn linear(inputs: usize, outputs: usize, vb: &VarBuilder<'_>) -> Result<Linear> {
    let init = pytorch(inputs);
    linear_with(inputs, outputs, init, init, vb)
}

/// A linear layer with these initial values of weight and bias.
pub(super) fn linear_with(
    inputs: usize,
    outputs: usize,
    weight: Init,
    bias: Init,
    vb: &VarBuilder<'_>,
) -> Result<Linear> {
    Ok(Linear {
        weight: vb.get_with_hints((inputs, outputs), "weight.T", weight)?,
        bias: vb.get_with_hints(outputs, "bias", bias)?,
    })
}
