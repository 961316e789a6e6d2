//! Forward and backward pass of a chain of layers on the CPU, without a graph: our kernels on buffers that are allocated once and
//! used in every step. The results have the same bits as candle's autograd with our kernels. This module walks through the chain;
//! `linear` has the passes of a fully connected layer.

mod linear;

use candle_core::Result;

use super::{Arch, Parameter};
use crate::data::{Batch, Form};
use crate::ops::activation::Activation;
use crate::ops::operation::Take;
use crate::ops::with_slice;
use crate::plan::{Each, Passes};
use kernels::channels_last::{Conv, Gradient, transpose};
use kernels::cross_entropy;
use kernels::matmul::Workspace;
use kernels::sparse;

pub(crate) use self::linear::Linear;

/// A layer. Its input and output are (images, numbers).
#[derive(Debug)]
pub(crate) enum Layer {
    /// Fully connected.
    Linear(Linear),
    /// A convolution with ReLU and max-pooling over 2x2 windows, channels last.
    Conv(Box<Conv>),
    /// Channels last to channels first.
    ChannelsFirst { channels: usize, outputs: usize },
}

impl Layer {
    /// Number of outputs per image.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Layer::Linear(Linear { outputs, .. }) | Layer::ChannelsFirst { outputs, .. } => *outputs,
            Layer::Conv(conv) => conv.sizes().outputs * conv.sizes().positions() / 4,
        }
    }

    fn activation(&self) -> Activation {
        match self {
            Layer::Linear(linear) => linear.activation,
            Layer::Conv(_) => Activation::Relu,
            Layer::ChannelsFirst { .. } => Activation::Identity,
        }
    }

    /// Whether it has a weight and a bias.
    fn has_parameters(&self) -> bool {
        !matches!(self, Layer::ChannelsFirst { .. })
    }
}

/// The input of a layer.
#[derive(Clone, Copy)]
enum Rows<'a> {
    /// All numbers.
    Dense(&'a [f32]),
    /// Only for the first layer: the non-zero pixels of a batch.
    Sparse(&'a Batch),
}

impl<'a> Rows<'a> {
    /// The input of the first layer.
    fn of(batch: &'a Batch) -> Self {
        match batch.form {
            Form::Sparse { .. } => Self::Sparse(batch),
            Form::Dense | Form::Unit | Form::UnitAndSparse { .. } => Self::Dense(&batch.pixels),
        }
    }

    fn dense(self) -> &'a [f32] {
        match self {
            Self::Dense(rows) => rows,
            Self::Sparse(batch) => &batch.pixels,
        }
    }
}

/// A layer with its buffers.
#[derive(Debug)]
struct Node {
    layer: Layer,
    /// The index of its weight among the parameters; its bias is the next one.
    weight: usize,
    /// Its last output.
    output: Vec<f32>,
    /// The output before the activation, if the activation's gradient needs it.
    pre_activation: Vec<f32>,
    /// Gradient of the loss with respect to the output before the activation.
    gradient: Vec<f32>,
    /// For a convolution: the position of the largest number in each pooling window.
    largest: Vec<u8>,
}

/// Scratch buffers that all layers share.
#[derive(Debug)]
struct Scratch {
    /// For matrix products.
    products: Workspace,
    /// A piece of a weight's gradient.
    piece: Vec<f32>,
    /// A bias, or its gradient.
    bias: Vec<f32>,
    /// For products with sparse matrices.
    sparse: sparse::Scratch,
}

impl Node {
    fn new(layer: Layer, weight: usize, batch: usize) -> Self {
        let numbers = batch * layer.outputs();
        let if_needed = |needed: bool| if needed { numbers } else { 0 };
        Self {
            weight,
            output: vec![0.0; numbers],
            pre_activation: vec![0.0; if_needed(layer.activation().needs_input())],
            gradient: vec![0.0; numbers],
            largest: vec![0; if_needed(matches!(layer, Layer::Conv(_)))],
            layer,
        }
    }

    /// Computes the output for `n` images.
    fn forward(
        &mut self,
        x: Rows<'_>,
        n: usize,
        parameters: &[Parameter],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let outputs = self.layer.outputs();
        let y = &mut self.output[..n * outputs];
        match &mut self.layer {
            Layer::Linear(linear) => with_weight_and_bias(parameters, self.weight, |w, bias| {
                linear.forward(x, (w, bias), y, scratch);
            })?,
            Layer::Conv(conv) => with_weight_and_bias(parameters, self.weight, |w, bias| {
                conv.load(w);
                let images = x.dense().chunks_exact(conv.sizes().inputs());
                let to = y.chunks_exact_mut(outputs).zip(self.largest.chunks_exact_mut(outputs));
                for (x, (y, largest)) in images.zip(to) {
                    conv.forward_pooled(x, bias, y, largest);
                }
            })?,
            Layer::ChannelsFirst { channels, .. } => {
                for (x, y) in x.dense().chunks_exact(outputs).zip(y.chunks_exact_mut(outputs)) {
                    transpose(x, *channels, y);
                }
            }
        }
        self.activate(n);
        Ok(())
    }

    /// Applies the activation, except ReLU, which the layers apply together with the bias.
    fn activate(&mut self, n: usize) {
        let activation = self.layer.activation();
        let y = &mut self.output[..n * self.layer.outputs()];
        if activation.needs_input() {
            self.pre_activation[..y.len()].copy_from_slice(y);
        }
        if activation != Activation::Relu {
            activation.apply(y);
        }
    }

    /// Backward pass of the activation: turns the gradient after it into the gradient before it.
    fn activation_backward(&mut self, n: usize) {
        let activation = self.layer.activation();
        let numbers = n * self.layer.outputs();
        let seen = if activation.needs_input() { &self.pre_activation } else { &self.output };
        activation.backward(&seen[..numbers], &mut self.gradient[..numbers]);
    }

    /// Computes the gradient of the input, if there is a layer below. For a convolution, also computes the gradients of its
    /// parameters, and leaves them in `scratch`.
    fn input_backward(
        &mut self,
        below: Option<&mut Node>,
        batch: &Batch,
        parameters: &[Parameter],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let n = batch.labels.len();
        let outputs = self.layer.outputs();
        let dz = &self.gradient[..n * outputs];
        let (x, dx) = match below {
            Some(Node { layer, output, gradient, .. }) => {
                let numbers = n * layer.outputs();
                (&output[..numbers], Some(&mut gradient[..numbers]))
            }
            None => (&batch.pixels[..], None),
        };
        match (&mut self.layer, dx) {
            (Layer::Conv(conv), dx) => {
                let image = |i: usize| i * outputs..(i + 1) * outputs;
                let gradient = |i| Gradient::Pooled(&dz[image(i)], &self.largest[image(i)]);
                let bias = &mut scratch.bias[..conv.sizes().outputs];
                conv.gradients(x, gradient, &mut scratch.piece, bias, dx);
            }
            (Layer::Linear(linear), Some(dx)) => with_slice(&parameters[self.weight].var, |w| {
                linear.input_gradient(w, dz, dx, &mut scratch.products);
                Ok(())
            })?,
            (Layer::ChannelsFirst { channels, .. }, Some(dx)) => {
                for (dz, dx) in dz.chunks_exact(outputs).zip(dx.chunks_exact_mut(outputs)) {
                    transpose(dz, outputs / *channels, dx);
                }
            }
            (Layer::Linear(_) | Layer::ChannelsFirst { .. }, None) => {}
        }
        Ok(())
    }

    /// Passes on the gradients of its parameters: first the bias, then the weight.
    fn emit_gradients(
        &self,
        x: Rows<'_>,
        n: usize,
        scratch: &mut Scratch,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let (weight, bias) = (self.weight, self.weight + 1);
        match &self.layer {
            Layer::Linear(linear) => {
                let dz = &self.gradient[..n * linear.outputs];
                each(bias, &mut |take| take(0, linear.bias_gradient(dz, scratch)))?;
                each(weight, &mut |take| linear.weight_gradient(x, dz, scratch, take))
            }
            Layer::Conv(conv) => {
                let sizes = conv.sizes();
                each(bias, &mut |take| take(0, &scratch.bias[..sizes.outputs]))?;
                each(weight, &mut |take| take(0, &scratch.piece[..sizes.window() * sizes.outputs]))
            }
            Layer::ChannelsFirst { .. } => Ok(()),
        }
    }
}

/// Calls `f` with the numbers of a weight and of the bias that follows it.
fn with_weight_and_bias(
    parameters: &[Parameter],
    weight: usize,
    f: impl FnOnce(&[f32], &[f32]),
) -> Result<()> {
    let Some([weight, bias]) = parameters.get(weight..weight + 2) else {
        candle_core::bail!("a layer has no parameters")
    };
    with_slice(&weight.var, |w| {
        with_slice(&bias.var, |bias| {
            f(w, bias);
            Ok(())
        })
    })
}

/// The layers of a model with the buffers of one thread, for batches up to one size.
#[derive(Debug)]
pub(crate) struct Direct {
    nodes: Vec<Node>,
    scratch: Scratch,
    classes: usize,
}

impl Direct {
    /// Buffers for this model and batches of at most this size; `None` if the model is not a chain of layers.
    pub(crate) fn new(arch: &Arch, batch: usize) -> Option<Self> {
        let layers = arch.layers()?;
        let most = |size: &dyn Fn(&Layer) -> usize| layers.iter().map(size).max().unwrap_or(0);
        let piece = |layer: &Layer| match layer {
            Layer::Linear(linear) => linear.piece(),
            Layer::Conv(conv) => conv.sizes().window() * conv.sizes().outputs,
            Layer::ChannelsFirst { .. } => 0,
        };
        let scratch = Scratch {
            products: Workspace::default(),
            piece: vec![0.0; most(&piece)],
            bias: vec![0.0; most(&Layer::outputs)],
            sparse: sparse::Scratch::default(),
        };
        let mut weight = 0;
        let nodes = layers.into_iter().map(|layer| {
            let index = weight;
            weight += if layer.has_parameters() { 2 } else { 0 };
            Node::new(layer, index, batch)
        });
        Some(Self { nodes: nodes.collect(), scratch, classes: arch.sizes.classes })
    }

    /// Whether its first layer supports sparse input.
    pub(crate) fn supports_sparse(&self) -> bool {
        matches!(self.nodes.first(), Some(Node { layer: Layer::Linear(_), .. }))
    }

    /// Computes the logits of a batch, which must not be larger than the buffers.
    fn forward(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<()> {
        let n = batch.labels.len();
        let mut below: Option<&Node> = None;
        for node in &mut self.nodes {
            let x = below
                .map_or(Rows::of(batch), |below| Rows::Dense(&below.output[..n * below.layer.outputs()]));
            node.forward(x, n, parameters, &mut self.scratch)?;
            below = Some(node);
        }
        Ok(())
    }

    /// The last logits of `n` images.
    fn logits(&self, n: usize) -> &[f32] {
        self.nodes.last().map_or(&[], |last| &last.output[..n * self.classes])
    }
}

impl Passes for Direct {
    fn evaluate(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<(f64, Option<usize>)> {
        self.forward(parameters, batch)?;
        let logits = self.logits(batch.labels.len());
        let (sum, correct) = cross_entropy::sum_losses(logits, &batch.labels, self.classes);
        Ok((sum, Some(correct)))
    }

    fn loss(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<f32> {
        self.forward(parameters, batch)?;
        let n = batch.labels.len();
        let Some(Node { output, gradient, .. }) = self.nodes.last_mut() else { return Ok(f32::NAN) };
        let (logits, scale) = (&output[..n * self.classes], 1.0 / n as f32);
        let sum = cross_entropy::losses_and_gradients(logits, &batch.labels, self.classes, scale, gradient);
        Ok((sum / n as f64) as f32)
    }

    fn backward(&mut self, parameters: &[Parameter], batch: &Batch, each: &mut Each<'_>) -> Result<()> {
        let n = batch.labels.len();
        let mut left = &mut self.nodes[..];
        while let Some((node, rest)) = std::mem::take(&mut left).split_last_mut() {
            node.input_backward(rest.last_mut(), batch, parameters, &mut self.scratch)?;
            let x = match rest.last_mut() {
                Some(below) => {
                    below.activation_backward(n);
                    Rows::Dense(&below.output[..n * below.layer.outputs()])
                }
                None => Rows::of(batch),
            };
            node.emit_gradients(x, n, &mut self.scratch, each)?;
            left = rest;
        }
        Ok(())
    }
}
