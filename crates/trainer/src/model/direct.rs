//! Forward and backward pass of a model on the CPU without a graph: our kernels on buffers that are made
//! once and used for every step. Gives the bits of the same model through candle's autograd, which other
//! devices and `f64` use.

use candle_core::Result;
use spec::trial::Model as Kind;

use super::{Arch, Parameter};
use crate::data::{Batch, Form};
use crate::kernels::activation::Activation;
use crate::kernels::channels_last::{Conv, Gradient, transpose};
use crate::kernels::cross_entropy;
use crate::kernels::matmul::{Epilogue, Strided, matmul};
use crate::kernels::reduce::sum_rows_into;
use crate::kernels::simd::{level, leveled};
use crate::kernels::{sparse, with_slice};

/// Gradients are handed out in pieces of about so many numbers, which stay in the fastest cache.
const PIECE: usize = 2048;

/// Gets a piece of a gradient: the index of its first element, and the elements.
pub(crate) type Take<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// Gets a parameter's index and what makes its gradient, piece by piece.
pub(crate) type Each<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut Take<'_>)) -> Result<()> + 'a;

/// A layer as the direct passes see it. What comes in and goes out is (images, numbers).
#[derive(Debug)]
pub(crate) enum Layer {
    /// Fully connected.
    Linear { inputs: usize, outputs: usize, activation: Activation },
    /// A convolution with ReLU and max-pooling over 2x2 windows, channels last.
    Conv(Box<Conv>),
    /// Channels last to channels first.
    ChannelsFirst { channels: usize, outputs: usize },
}

impl Layer {
    /// Numbers that it gives for one image.
    fn outputs(&self) -> usize {
        match self {
            Layer::Linear { outputs, .. } | Layer::ChannelsFirst { outputs, .. } => *outputs,
            Layer::Conv(conv) => conv.sizes().outputs * conv.sizes().positions() / 4,
        }
    }

    fn activation(&self) -> Activation {
        match self {
            Layer::Linear { activation, .. } => *activation,
            Layer::Conv(_) => Activation::Relu,
            Layer::ChannelsFirst { .. } => Activation::Identity,
        }
    }
}

/// The layers of a model that is a chain of them.
fn layers(arch: &Arch) -> Option<Vec<Layer>> {
    match &arch.kind {
        Kind::Mlp { hidden, activation } => {
            Some(super::mlp::layers(arch.inputs, hidden, arch.classes, (*activation).into()))
        }
        Kind::Lenet => Some(super::lenet::layers(arch.classes)),
        _ => None,
    }
}

/// Numbers that all layers give for one image.
pub(crate) fn activations(arch: &Arch) -> Option<u64> {
    Some(layers(arch)?.iter().map(|layer| layer.outputs() as u64).sum())
}

/// The buffers of one thread, for batches up to one size.
#[derive(Debug)]
pub(crate) struct Direct {
    layers: Vec<Layer>,
    /// What each layer gave.
    outputs: Vec<Vec<f32>>,
    /// The same before the activation, where its gradient needs that.
    inputs: Vec<Vec<f32>>,
    /// Gradient of each layer before its activation, laid out as what it gave.
    gradients: Vec<Vec<f32>>,
    /// Of convolutions: which place of each window was the largest.
    which: Vec<Vec<u8>>,
    scratch: Vec<f32>,
    piece: Vec<f32>,
    bias: Vec<f32>,
    cursors: Vec<u32>,
    classes: usize,
}

impl Direct {
    /// Buffers for this model and batches of at most this size; `None` where the model is no chain of layers.
    pub(crate) fn new(arch: &Arch, batch: usize) -> Option<Self> {
        let layers = layers(arch)?;
        let buffers = || layers.iter().map(|layer| vec![0.0; batch * layer.outputs()]).collect();
        let scratch = layers.iter().map(|layer| match layer {
            Layer::Linear { inputs, outputs, .. } => batch * (inputs + outputs),
            Layer::Conv(_) | Layer::ChannelsFirst { .. } => 0,
        });
        let piece = layers.iter().map(|layer| match layer {
            Layer::Linear { outputs, .. } => outputs * rows_of(*outputs),
            Layer::Conv(conv) => conv.sizes().window() * conv.sizes().outputs,
            Layer::ChannelsFirst { .. } => 0,
        });
        let which = layers.iter().map(|layer| match layer {
            Layer::Conv(_) => vec![0; batch * layer.outputs()],
            Layer::Linear { .. } | Layer::ChannelsFirst { .. } => Vec::new(),
        });
        let inputs = layers.iter().map(|layer| match layer.activation().needs_input() {
            true => vec![0.0; batch * layer.outputs()],
            false => Vec::new(),
        });
        Some(Self {
            inputs: inputs.collect(),
            outputs: buffers(),
            gradients: buffers(),
            which: which.collect(),
            scratch: vec![0.0; scratch.max().unwrap_or(0)],
            piece: vec![0.0; piece.max().unwrap_or(0)],
            bias: vec![0.0; layers.iter().map(Layer::outputs).max().unwrap_or(0)],
            cursors: vec![0; batch.max(arch.inputs)],
            classes: arch.classes,
            layers,
        })
    }

    /// Whether its first layer can do without the pixels that are zero.
    pub(crate) fn takes_sparse(&self) -> bool {
        matches!(self.layers.first(), Some(Layer::Linear { .. }))
    }

    /// Logits of the images of a batch, of which there are no more than there is room for.
    fn forward(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<()> {
        let n = batch.labels.len();
        let mut own = parameters.chunks_exact(2);
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let (before, after) = self.outputs.split_at_mut(i);
            let outputs = layer.outputs();
            let y = &mut after[0][..n * outputs];
            let x = before.last().unwrap_or(&batch.pixels);
            if let Layer::ChannelsFirst { channels, .. } = *layer {
                for (x, y) in x.chunks_exact(outputs).zip(y.chunks_exact_mut(outputs)) {
                    transpose(x, channels, y);
                }
                continue;
            }
            let Some([weight, bias]) = own.next() else { continue };
            let (shifted, cursors, z) = (&mut self.bias, &mut self.cursors, &mut self.inputs[i]);
            let which = &mut self.which[i];
            with_slice(&weight.var, |w| {
                with_slice(&bias.var, |bias| {
                    match layer {
                        &mut Layer::Linear { activation, .. } if i == 0 && batch.form != Form::Dense => {
                            // (x - s) w + b = x w + (b - s 1 w).
                            let shifted = &mut shifted[..outputs];
                            sum_rows_into(w, shifted);
                            add_scaled(shifted, bias, -batch.shift);
                            sparse::product(&batch.by_image, 0..n, w, outputs, y, cursors);
                            finish(y, shifted, activation == Activation::Relu);
                            follow(activation, y, z);
                        }
                        &mut Layer::Linear { inputs, activation, .. } => {
                            let x = Strided { data: x, row: inputs, column: 1 };
                            let relu = activation == Activation::Relu;
                            let epilogue = Epilogue { bias: Some(bias), relu };
                            matmul(level(), (n, outputs, inputs), x, w, y, epilogue);
                            follow(activation, y, z);
                        }
                        Layer::Conv(conv) => {
                            conv.load(w);
                            let to = y.chunks_exact_mut(outputs).zip(which.chunks_exact_mut(outputs));
                            for (x, (y, which)) in x.chunks_exact(conv.sizes().inputs()).zip(to) {
                                conv.forward_pooled(x, bias, y, which);
                            }
                        }
                        Layer::ChannelsFirst { .. } => {}
                    }
                    Ok(())
                })
            })?;
        }
        Ok(())
    }

    /// Loss summed over images, and how many have their largest logit at their label.
    pub(crate) fn evaluate(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<(f64, usize)> {
        self.forward(parameters, batch)?;
        let logits = self.outputs.last().map_or(&[][..], |y| &y[..batch.labels.len() * self.classes]);
        Ok(cross_entropy::sum_losses(logits, &batch.labels, self.classes))
    }

    /// Mean loss of a batch.
    pub(crate) fn loss(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<f32> {
        let n = batch.labels.len();
        self.forward(parameters, batch)?;
        let logits = self.outputs.last().map_or(&[][..], |y| &y[..n * self.classes]);
        let Some(gradient) = self.gradients.last_mut() else { return Ok(f32::NAN) };
        let scale = 1.0 / n as f32;
        let sum = cross_entropy::losses_and_gradients(logits, &batch.labels, self.classes, scale, gradient);
        Ok((sum / n as f64) as f32)
    }

    /// Gradients of the batch that [`Direct::loss`] saw last, from the last layer to the first. A layer's
    /// parameters may be changed while its gradient comes: they are not looked at any more.
    pub(crate) fn backward(
        &mut self,
        parameters: &[Parameter],
        batch: &Batch,
        each: &mut Each<'_>,
    ) -> Result<()> {
        let n = batch.labels.len();
        let mut parameter = parameters.len();
        for i in (0..self.layers.len()).rev() {
            let (layers, rest) = self.layers.split_at_mut(i);
            let (below, Some(layer)) = (layers.last(), rest.first_mut()) else { continue };
            let (before, after) = self.gradients.split_at_mut(i);
            let (outputs, dz) = (layer.outputs(), &after[0][..n * layer.outputs()]);
            let x = i.checked_sub(1).map_or(&batch.pixels, |below| &self.outputs[below]);
            let x = &x[..below.map_or(x.len(), |below| n * below.outputs())];
            let mut dx = before.last_mut().map(|dx| &mut dx[..x.len()]);
            let (piece, scratch) = (&mut self.piece, &mut self.scratch);
            match (&mut *layer, &mut dx) {
                (Layer::Linear { inputs, .. }, Some(dx)) => {
                    let sizes = (n, *inputs, outputs);
                    with_slice(&parameters[parameter - 2].var, |w| {
                        input_gradient(sizes, w, dz, dx, scratch);
                        Ok(())
                    })?;
                }
                (Layer::ChannelsFirst { channels, .. }, Some(dx)) => {
                    for (dz, dx) in dz.chunks_exact(outputs).zip(dx.chunks_exact_mut(outputs)) {
                        transpose(dz, outputs / *channels, dx);
                    }
                }
                (Layer::Conv(conv), dx) => {
                    let which = &self.which[i];
                    let (dw, db) = (&mut piece[..], &mut self.bias[..conv.sizes().outputs]);
                    let image = |image| image * outputs..(image + 1) * outputs;
                    let gradient = |i| Gradient::Pooled(&dz[image(i)], &which[image(i)]);
                    conv.gradients(x, gradient, dw, db, dx.as_deref_mut());
                }
                (_, None) => {}
            }
            if let (Some(below), Some(dx)) = (below, dx) {
                let z = &self.inputs[i - 1];
                let activation = below.activation();
                activation.back(if activation.needs_input() { &z[..x.len()] } else { x }, dx);
            }
            match *layer {
                Layer::ChannelsFirst { .. } => continue,
                Layer::Conv(ref conv) => {
                    let weights = conv.sizes().window() * conv.sizes().outputs;
                    each(parameter - 1, &mut |take| take(0, &self.bias[..conv.sizes().outputs]))?;
                    each(parameter - 2, &mut |take| take(0, &piece[..weights]))?;
                }
                Layer::Linear { inputs, .. } => {
                    let (bias, cursors) = (&mut self.bias[..outputs], &mut self.cursors);
                    sum_rows_into(dz, bias);
                    each(parameter - 1, &mut |take| take(0, bias))?;
                    each(parameter - 2, &mut |take| {
                        for first in (0..inputs).step_by(rows_of(outputs)) {
                            let rows = rows_of(outputs).min(inputs - first);
                            let piece = &mut piece[..rows * outputs];
                            if i == 0 && batch.form != Form::Dense {
                                // (x - s)' dz = x' dz - s 1' dz, and the last factor is the bias's gradient.
                                let all = first..first + rows;
                                sparse::product(&batch.by_pixel, all, dz, outputs, piece, cursors);
                                piece
                                    .chunks_exact_mut(outputs)
                                    .for_each(|row| shift(row, bias, -batch.shift));
                            } else {
                                let a = Strided { data: &x[first..], row: 1, column: inputs };
                                matmul(level(), (rows, outputs, n), a, dz, piece, Epilogue::default());
                            }
                            take(first * outputs, piece);
                        }
                    })?;
                }
            }
            parameter -= 2;
        }
        Ok(())
    }
}

/// Rows of a weight gradient in a piece: whole tiles.
fn rows_of(outputs: usize) -> usize {
    (PIECE / outputs.max(1) / 12 * 12).max(12)
}

/// dx = dz wᵀ, with (n, inputs) = (n, outputs) (outputs, inputs). What is smaller is transposed.
fn input_gradient(
    (n, inputs, outputs): (usize, usize, usize),
    w: &[f32],
    dz: &[f32],
    dx: &mut [f32],
    scratch: &mut [f32],
) {
    if inputs * outputs <= n * (inputs + outputs) {
        let scratch = &mut scratch[..inputs * outputs];
        transpose(w, outputs, scratch);
        let a = Strided { data: dz, row: outputs, column: 1 };
        matmul(level(), (n, inputs, outputs), a, scratch, dx, Epilogue::default());
        return;
    }
    let (dz_transposed, dx_transposed) = scratch[..n * (inputs + outputs)].split_at_mut(n * outputs);
    transpose(dz, outputs, dz_transposed);
    let a = Strided { data: w, row: outputs, column: 1 };
    matmul(level(), (inputs, n, outputs), a, dz_transposed, dx_transposed, Epilogue::default());
    transpose(dx_transposed, n, dx);
}

/// What follows a layer, but for the ReLU, which was applied with the bias. `z` gets the values before it,
/// where they are needed.
fn follow(activation: Activation, y: &mut [f32], z: &mut [f32]) {
    if activation.needs_input() {
        z[..y.len()].copy_from_slice(y);
    }
    if activation != Activation::Relu {
        activation.apply(y);
    }
}

leveled! {
/// target = scale target + other.
fn add_scaled(target: &mut [f32], other: &[f32], scale: f32) {
    for (target, other) in target.iter_mut().zip(other) {
        *target = scale.mul_add(*target, *other);
    }
}
}

leveled! {
/// target = target + scale other.
fn shift(target: &mut [f32], other: &[f32], scale: f32) {
    for (target, other) in target.iter_mut().zip(other) {
        *target = scale.mul_add(*other, *target);
    }
}
}

leveled! {
/// Adds the bias to each row, and lets a ReLU follow.
fn finish(y: &mut [f32], bias: &[f32], relu: bool) {
    for row in y.chunks_exact_mut(bias.len().max(1)) {
        for (y, bias) in row.iter_mut().zip(bias) {
            let z = *y + bias;
            *y = if relu && 0.0 > z { 0.0 } else { z };
        }
    }
}
}
