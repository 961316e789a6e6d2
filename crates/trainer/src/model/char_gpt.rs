//! A small causal transformer over characters, as GPT-2 (Radford et al. 2019): learned places, layer norms before attention and
//! perceptron, GELU, a last layer norm, and a linear layer to the alphabet.

use candle_core::{Result, Tensor};
use candle_nn::Init;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use spec::catalogue::{Clash, Holds, Kind, ModelKind, Param, Reads, fits_all};

use super::shape::normal;
use super::{Architecture, Entry, Input, Shape, Sizes, build};
use crate::kernels::activation::Activation;
use crate::kernels::attention::causal_attention;
use crate::kernels::embedding::embedding;
use crate::kernels::layer_norm::layer_norm;
use crate::kernels::linear::linear;

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "char-gpt",
            doc: "causal transformer over characters, as GPT-2, with its initial values; texts",
            example: "{kind: char-gpt, layers: 2, heads: 2, width: 8, context: 12}",
            params: &[
                Param::new("layers", Holds::Count(64), "4", "blocks"),
                Param::new("heads", Holds::Count(64), "4", "heads of the attention; divides the width"),
                Param::new("width", Holds::Count(4_096), "128", "numbers that stand for a character"),
                Param::new("context", Holds::Count(4_096), "64", "characters that it sees"),
            ],
            check: heads_divide_the_width,
        },
        reads: Reads::Text,
        loss: "nats a character",
        accuracy: true,
        fits: fits_all,
    },
    build: build::<CharGpt>,
};

fn heads_divide_the_width(values: &Map<String, Json>) -> std::result::Result<(), Clash> {
    let whole = |name| values.get(name).and_then(Json::as_u64);
    match (whole("heads"), whole("width")) {
        (Some(heads), Some(width)) if !width.is_multiple_of(heads) => Err(Clash {
            param: "heads",
            message: format!("`heads` must divide the width, and {heads} does not divide {width}"),
            hint: None,
        }),
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
struct CharGpt {
    /// Blocks.
    layers: usize,
    /// Heads of the attention; divides the width.
    heads: usize,
    /// Numbers that stand for a character.
    width: usize,
    /// Characters that it sees.
    context: usize,
}

impl Architecture for CharGpt {
    fn shapes(&self, sizes: Sizes) -> Vec<Shape> {
        shapes(sizes.classes, self.layers, self.width, self.context)
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        forward(input.parameters, &input.batch.tokens, self.heads, self.context)
    }

    fn chunk(&self) -> usize {
        16
    }

    fn numbers_in_batch(&self, _: Sizes) -> usize {
        2 * self.context
    }

    /// A row of the attention for each head, and what a block's layers give.
    fn numbers_in_graph(&self, sizes: Sizes) -> usize {
        let Self { layers, heads, width, context } = self;
        context * (layers * (14 * width + heads * context) + 2 * sizes.classes)
    }
}

const EPS: f64 = 1e-5;

/// Parameters of a block.
const BLOCK: usize = 12;

/// Parameters with GPT-2's initial values: normal with deviation 0.02, for what is added to the residual stream divided by the
/// root of how often that happens; biases 0.
fn shapes(alphabet: usize, layers: usize, width: usize, context: usize) -> Vec<Shape> {
    let residual = 0.02 / (2.0 * layers as f32).sqrt();
    let norm = |name: &str| {
        [
            Shape::new(&format!("{name}.weight"), &[width], Init::Const(1.0)),
            Shape::new(&format!("{name}.bias"), &[width], Init::Const(0.0)),
        ]
    };
    let fc = |name: &str, inputs: usize, outputs: usize, deviation: f32| {
        let [weight, bias] = Shape::layer(name, inputs, outputs);
        [Shape { init: normal(deviation), ..weight }, Shape { init: Init::Const(0.0), ..bias }]
    };
    let mut shapes = vec![
        Shape::new("characters.weight", &[alphabet, width], normal(0.02)),
        Shape::new("places.weight", &[context, width], normal(0.02)),
    ];
    for i in 1..=layers {
        shapes.extend(norm(&format!("block{i}.norm1")));
        shapes.extend(fc(&format!("block{i}.qkv"), width, 3 * width, 0.02));
        shapes.extend(fc(&format!("block{i}.attention"), width, width, residual));
        shapes.extend(norm(&format!("block{i}.norm2")));
        shapes.extend(fc(&format!("block{i}.fc1"), width, 4 * width, 0.02));
        shapes.extend(fc(&format!("block{i}.fc2"), 4 * width, width, residual));
    }
    shapes.extend(norm("norm"));
    shapes.extend(fc("head", width, alphabet, 0.02));
    shapes
}

/// Logits (characters, alphabet) of windows of `context` characters, one after another.
fn forward(parameters: &[Tensor], tokens: &[u32], heads: usize, context: usize) -> Result<Tensor> {
    let [characters, places, rest @ ..] = parameters else {
        candle_core::bail!("a transformer has more than {} parameters", parameters.len())
    };
    let (blocks, last) = rest.split_at(rest.len() / BLOCK * BLOCK);
    let mut x = embedding(characters, places, tokens)?;
    for block in blocks.chunks_exact(BLOCK) {
        let [n1, n1b, qkv, qkvb, out, outb, n2, n2b, up, upb, down, downb] = block else { continue };
        let y = layer_norm(&x, n1, n1b, EPS)?;
        let y = causal_attention(&linear(&y, qkv, qkvb, Activation::Identity, true)?, context, heads)?;
        x = (x + linear(&y, out, outb, Activation::Identity, true)?)?;
        let y = layer_norm(&x, n2, n2b, EPS)?;
        let y = linear(&y, up, upb, Activation::Gelu, true)?;
        x = (x + linear(&y, down, downb, Activation::Identity, true)?)?;
    }
    let [norm, norm_bias, head, head_bias] = last else {
        candle_core::bail!("{} parameters are no transformer's", parameters.len())
    };
    linear(&layer_norm(&x, norm, norm_bias, EPS)?, head, head_bias, Activation::Identity, true)
}
