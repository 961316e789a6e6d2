//! A small causal transformer over characters like GPT-2 (Radford et al. 2019): learned position embeddings, layer norms before
//! attention and MLP, GELU, a final layer norm, and a linear layer to the alphabet.

use candle_core::{Module, Result, Tensor};
use candle_nn::{Init, VarBuilder};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use spec::catalogue::{Conflict, Kind, ModelKind, Param, ParamType, Reads, fits_all};

use super::layer::{Linear, linear_with};
use super::parameters::{InOrder, built_in_parameters};
use super::shape::normal;
use super::{Architecture, Entry, Input, Shape, Sizes, build};
use crate::nn::{LayerNorm, layer_norm};
use crate::ops::activation::Activation;
use crate::ops::add::add;
use crate::ops::attention::causal_attention;
use crate::ops::embedding::embedding_of;

pub(super) static ENTRY: Entry = Entry {
    kind: ModelKind {
        kind: Kind {
            name: "char-gpt",
            doc: "causal transformer over characters like GPT-2, with its initial values; for texts",
            example: "{kind: char-gpt, layers: 2, heads: 2, width: 8, context: 12}",
            params: &[
                Param::new("layers", ParamType::Count(64), "4", "blocks"),
                Param::new("heads", ParamType::Count(64), "4", "attention heads; must divide the width"),
                Param::new("width", ParamType::Count(4_096), "128", "embedding width of a character"),
                Param::new("context", ParamType::Count(4_096), "64", "context length in characters"),
            ],
            check: heads_divide_the_width,
        },
        reads: Reads::Text,
        loss: "nats per character",
        accuracy: true,
        fits: fits_all,
    },
    build: build::<CharGpt>,
};

fn heads_divide_the_width(values: &Map<String, Json>) -> std::result::Result<(), Conflict> {
    let integer = |name| values.get(name).and_then(Json::as_u64);
    match (integer("heads"), integer("width")) {
        (Some(heads), Some(width)) if !width.is_multiple_of(heads) => Err(Conflict {
            param: "heads",
            message: format!("`heads` must divide `width`, but {heads} does not divide {width}"),
            hint: None,
        }),
        _ => Ok(()),
    }
}

#[derive(Debug, Deserialize)]
struct CharGpt {
    /// Blocks.
    layers: usize,
    /// Attention heads; divides the width.
    heads: usize,
    /// Embedding width of a character.
    width: usize,
    /// Context length in characters.
    context: usize,
}

impl Architecture for CharGpt {
    fn shapes(&self, sizes: Sizes) -> Vec<Shape> {
        built_in_parameters(|vb| Gpt::new(self, sizes.classes, &vb).map(drop))
    }

    fn logits(&self, input: &Input<'_>) -> Result<Tensor> {
        let vb = InOrder::builder(input.parameters);
        Gpt::new(self, input.sizes.classes, &vb)?.forward(&input.tokens()?)
    }

    fn chunk(&self) -> usize {
        16
    }

    fn numbers_in_batch(&self, _: Sizes) -> usize {
        2 * self.context
    }
}

const EPS: f64 = 1e-5;
const DEVIATION: f32 = 0.02;

/// The layers of a transformer, with GPT-2's initial values: weights are normal with deviation 0.02, which is divided by the square
/// root of the number of residual additions for layers that add to the residual stream. Biases are 0.
struct Gpt {
    heads: usize,
    context: usize,
    /// (alphabet, width).
    characters: Tensor,
    /// (context, width).
    places: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    attention: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

/// A linear layer with a normal initial weight of this deviation, and bias 0.
fn normal_linear(inputs: usize, outputs: usize, deviation: f32, vb: &VarBuilder<'_>) -> Result<Linear> {
    linear_with(inputs, outputs, normal(deviation), Init::Const(0.0), vb)
}

impl Gpt {
    fn new(shape: &CharGpt, alphabet: usize, vb: &VarBuilder<'_>) -> Result<Self> {
        let CharGpt { layers, heads, width, context } = *shape;
        let residual = DEVIATION / (2.0 * layers as f32).sqrt();
        let table =
            |rows: usize, name: &str| vb.pp(name).get_with_hints((rows, width), "weight", normal(DEVIATION));
        let (characters, places) = (table(alphabet, "characters")?, table(context, "places")?);
        let blocks = (1..=layers).map(|i| Block::new(width, residual, &vb.pp(format!("block{i}"))));
        Ok(Self {
            heads,
            context,
            characters,
            places,
            blocks: blocks.collect::<Result<_>>()?,
            norm: layer_norm(width, EPS, vb.pp("norm"))?,
            head: normal_linear(width, alphabet, DEVIATION, &vb.pp("head"))?,
        })
    }

    /// Logits (characters, alphabet) for consecutive windows of `context` characters.
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let mut x = embedding_of(&self.characters, &self.places, tokens)?;
        for block in &self.blocks {
            x = block.forward(x, self.context, self.heads)?;
        }
        self.head.forward(&self.norm.forward(&x)?, Activation::Identity, true)
    }
}

impl Block {
    fn new(width: usize, residual: f32, vb: &VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            norm1: layer_norm(width, EPS, vb.pp("norm1"))?,
            qkv: normal_linear(width, 3 * width, DEVIATION, &vb.pp("qkv"))?,
            attention: normal_linear(width, width, residual, &vb.pp("attention"))?,
            norm2: layer_norm(width, EPS, vb.pp("norm2"))?,
            fc1: normal_linear(width, 4 * width, DEVIATION, &vb.pp("fc1"))?,
            fc2: normal_linear(4 * width, width, residual, &vb.pp("fc2"))?,
        })
    }

    fn forward(&self, x: Tensor, context: usize, heads: usize) -> Result<Tensor> {
        let y = self.qkv.forward(&self.norm1.forward(&x)?, Activation::Identity, true)?;
        let y = causal_attention(&y, context, heads)?;
        let x = add(&x, &self.attention.forward(&y, Activation::Identity, true)?)?;
        let y = self.fc1.forward(&self.norm2.forward(&x)?, Activation::Gelu, true)?;
        add(&x, &self.fc2.forward(&y, Activation::Identity, true)?)
    }
}
