//! Fully connected layers with an activation between them. Weights are (inputs, outputs).

use candle_core::{Result, Tensor};
use serde::Deserialize;
use spec::catalogue::{Kind, ModelKind, Param, ParamType, Reads, fits_all, no_check};

use super::direct::{Layer, Linear};
use super::shape::widths;
use super::{Architecture, Entry, Input, Shape, Sizes, build};
use crate::ops::activation::Activation;
use crate::ops::linear::linear;

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "mlp",
            doc: "fully connected layers",
            example: "{kind: mlp, hidden: [9], activation: gelu}",
            params: &[
                Param::new("hidden", ParamType::Widths, "[128]", "widths of the hidden layers"),
                Param {
                    omits_default: true,
                    ..Param::new(
                        "activation",
                        ParamType::Word(&["relu", "gelu", "tanh"]),
                        "\"relu\"",
                        "activation after each hidden layer",
                    )
                },
            ],
            check: no_check,
        },
        reads: Reads::Rows,
        loss: "cross-entropy",
        accuracy: true,
        fits: fits_all,
    },
    build: build::<Mlp>,
};

#[derive(Debug, Deserialize)]
struct Mlp {
    /// Widths of the hidden layers. Without any the model is logistic regression.
    hidden: Vec<usize>,
    /// Activation after each hidden layer.
    #[serde(default)]
    activation: ActivationName,
}

/// The activations by their names in sweep files.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ActivationName {
    #[default]
    Relu,
    Gelu,
    Tanh,
}

impl Mlp {
    fn hidden_activation(&self) -> Activation {
        match self.activation {
            ActivationName::Relu => Activation::Relu,
            ActivationName::Gelu => Activation::Gelu,
            ActivationName::Tanh => Activation::Tanh,
        }
    }
}

impl Architecture for Mlp {
    /// `fc1.weight`, `fc1.bias`, `fc2.weight`, ...
    fn shapes(&self, Sizes { inputs, classes }: Sizes) -> Vec<Shape> {
        let layers = widths(inputs, &self.hidden, classes).enumerate();
        layers
            .flat_map(|(i, (inputs, outputs))| Shape::layer(&format!("fc{}", i + 1), inputs, outputs))
            .collect()
    }

    fn layers(&self, Sizes { inputs, classes }: Sizes) -> Option<Vec<Layer>> {
        let layers = widths(inputs, &self.hidden, classes).enumerate().map(|(i, (inputs, outputs))| {
            let activation =
                if i < self.hidden.len() { self.hidden_activation() } else { Activation::Identity };
            Layer::Linear(Linear { inputs, outputs, activation })
        });
        Some(layers.collect())
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        let layers = input.parameters.len() / 2;
        let mut x = input.rows()?;
        for (i, pair) in input.parameters.chunks_exact(2).enumerate() {
            if let [weight, bias] = pair {
                let activation = if i + 1 < layers { self.hidden_activation() } else { Activation::Identity };
                x = linear(&x, weight, bias, activation, i > 0)?;
            }
        }
        Ok(x)
    }

    fn chunk(&self) -> usize {
        500
    }

    /// An upper bound: the non-zero numbers and their positions, by image and by pixel.
    fn numbers_in_batch(&self, sizes: Sizes) -> usize {
        4 * sizes.inputs
    }
}
