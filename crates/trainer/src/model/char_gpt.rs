//! A small causal transformer over characters, as GPT-2 (Radford et al. 2019): learned places, layer norms before attention and
//! perceptron, GELU, a last layer norm, and a linear layer to the alphabet.

use candle_core::{Result, Tensor};

use super::{Init, Shape};
use crate::kernels::activation::Activation;
use crate::kernels::attention::causal_attention;
use crate::kernels::embedding::embedding;
use crate::kernels::layer_norm::layer_norm;
use crate::kernels::linear::linear;

const EPS: f64 = 1e-5;

/// Parameters of a block.
const BLOCK: usize = 12;

/// Parameters with GPT-2's initial values: normal with deviation 0.02, for what is added to the residual stream divided by the
/// root of how often that happens; biases 0.
pub(crate) fn shapes(alphabet: usize, layers: usize, width: usize, context: usize) -> Vec<Shape> {
    let residual = 0.02 / (2.0 * layers as f32).sqrt();
    let norm = |name: &str| {
        [
            Shape::new(&format!("{name}.weight"), &[width], Init::Constant(1.0)),
            Shape::new(&format!("{name}.bias"), &[width], Init::Constant(0.0)),
        ]
    };
    let fc = |name: &str, inputs: usize, outputs: usize, deviation: f32| {
        let weight = Shape::new(&format!("{name}.weight"), &[inputs, outputs], Init::Normal(deviation));
        let bias = Shape::new(&format!("{name}.bias"), &[outputs], Init::Constant(0.0));
        [Shape { turned: true, ..weight }, bias]
    };
    let mut shapes = vec![
        Shape::new("characters.weight", &[alphabet, width], Init::Normal(0.02)),
        Shape::new("places.weight", &[context, width], Init::Normal(0.02)),
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
pub(crate) fn forward(parameters: &[Tensor], tokens: &[u32], heads: usize, context: usize) -> Result<Tensor> {
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
