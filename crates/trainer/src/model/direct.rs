//! Forward and backward pass of a model on the CPU without a graph: our kernels on buffers that are made
//! once and used for every step. Gives the bits of the same model through candle's autograd, which other
//! devices and `f64` use.

use candle_core::Result;
use spec::trial::Model as Kind;

use super::{CLASSES, PIXELS, Parameter};
use crate::data::{Batch, Form};
use crate::kernels::activation::Activation;
use crate::kernels::cross_entropy;
use crate::kernels::matmul::{Epilogue, Strided, matmul};
use crate::kernels::planes::{self, Conv, transpose};
use crate::kernels::reduce::sum_rows_into;
use crate::kernels::simd::{level, leveled};
use crate::kernels::{sparse, with_slice};

/// Gradients are handed out in pieces of about so many numbers, which stay in the fastest cache.
const PIECE: usize = 2048;

/// Gets a piece of a gradient: the index of its first element, and the elements.
pub(crate) type Take<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// Gets a parameter's index and what makes its gradient, piece by piece.
pub(crate) type Each<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut Take<'_>)) -> Result<()> + 'a;

/// A layer as the direct passes see it. What comes in and goes out is (images, numbers), or within
/// convolutional models planes: (numbers, images).
#[derive(Debug)]
pub(crate) enum Layer {
    /// Fully connected; `planes`: whether planes come in.
    Linear { inputs: usize, outputs: usize, activation: Activation, planes: bool },
    /// A convolution of planes, with ReLU. Its tables are for one size of batches.
    Conv(Box<Conv>),
    /// Max-pooling of planes over 2x2 windows: how many, of which height and width.
    Pool { planes: usize, height: usize, width: usize },
}

impl Layer {
    /// Numbers that it gives for one image.
    fn outputs(&self) -> usize {
        match self {
            Layer::Linear { outputs, .. } => *outputs,
            Layer::Conv(conv) => conv.sizes().outputs * conv.sizes().positions(),
            Layer::Pool { planes, height, width } => planes * height * width / 4,
        }
    }

    fn activation(&self) -> Activation {
        match self {
            Layer::Linear { activation, .. } => *activation,
            Layer::Conv(_) => Activation::Relu,
            Layer::Pool { .. } => Activation::Identity,
        }
    }
}

fn layers(kind: &Kind, batch: usize) -> Vec<Layer> {
    match kind {
        Kind::Mlp { hidden, activation } => super::mlp::layers(hidden, (*activation).into()),
        Kind::Lenet => super::lenet::layers(batch),
    }
}

/// Numbers that all layers give for one image.
pub(crate) fn activations(kind: &Kind) -> u64 {
    layers(kind, 1).iter().map(|layer| layer.outputs() as u64).sum()
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
    /// The images as planes, where the model begins with a convolution.
    planes: Vec<f32>,
    scratch: Vec<f32>,
    piece: Vec<f32>,
    bias: Vec<f32>,
    cursors: Vec<u32>,
}

impl Direct {
    /// Buffers for this model and batches of at most this size.
    pub(crate) fn new(kind: &Kind, batch: usize) -> Self {
        let layers = layers(kind, batch);
        let buffers = || layers.iter().map(|layer| vec![0.0; batch * layer.outputs()]).collect();
        let begins_with_planes = matches!(layers.first(), Some(Layer::Conv(_)));
        let scratch = layers.iter().map(|layer| match layer {
            Layer::Linear { inputs, outputs, .. } => batch * (inputs + outputs),
            Layer::Conv(conv) => conv.scratch(),
            Layer::Pool { .. } => 0,
        });
        let piece = layers.iter().map(|layer| match layer {
            Layer::Linear { outputs, .. } => outputs * rows_of(*outputs),
            Layer::Conv(conv) => conv.sizes().window() * conv.sizes().outputs,
            Layer::Pool { .. } => 0,
        });
        let inputs = layers.iter().map(|layer| match layer.activation().needs_input() {
            true => vec![0.0; batch * layer.outputs()],
            false => Vec::new(),
        });
        Self {
            inputs: inputs.collect(),
            outputs: buffers(),
            gradients: buffers(),
            planes: vec![0.0; if begins_with_planes { batch * PIXELS } else { 0 }],
            scratch: vec![0.0; scratch.max().unwrap_or(0)],
            piece: vec![0.0; piece.max().unwrap_or(0)],
            bias: vec![0.0; layers.iter().map(Layer::outputs).max().unwrap_or(0)],
            cursors: vec![0; batch.max(PIXELS)],
            layers,
        }
    }

    /// Whether its first layer can do without the pixels that are zero.
    pub(crate) fn takes_sparse(&self) -> bool {
        matches!(self.layers.first(), Some(Layer::Linear { .. }))
    }

    /// The tables of convolutions are for one size of batches.
    fn fit(&mut self, n: usize) {
        for layer in &mut self.layers {
            if let Layer::Conv(conv) = layer
                && conv.images() != n
            {
                **conv = Conv::new(conv.sizes(), n);
            }
        }
    }

    /// Logits of the images of a batch, of which there are no more than there is room for.
    fn forward(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<()> {
        let n = batch.labels.len();
        self.fit(n);
        if !self.planes.is_empty() {
            transpose(&batch.pixels, PIXELS, &mut self.planes[..n * PIXELS]);
        }
        let mut own = parameters.chunks_exact(2);
        for (i, layer) in self.layers.iter().enumerate() {
            let (before, after) = self.outputs.split_at_mut(i);
            let y = &mut after[0][..n * layer.outputs()];
            let first = if self.planes.is_empty() { &batch.pixels } else { &self.planes };
            let x = before.last().unwrap_or(first);
            if let Layer::Pool { width, .. } = layer {
                planes::pool(&x[..4 * y.len()], *width, n, y);
                continue;
            }
            let Some([weight, bias]) = own.next() else { continue };
            let (shifted, cursors, z) = (&mut self.bias, &mut self.cursors, &mut self.inputs[i]);
            with_slice(&weight.var, |w| {
                with_slice(&bias.var, |bias| {
                    match *layer {
                        Layer::Linear { outputs, activation, .. } if i == 0 && batch.form != Form::Dense => {
                            // (x - s) w + b = x w + (b - s 1 w).
                            let shifted = &mut shifted[..outputs];
                            sum_rows_into(w, shifted);
                            add_scaled(shifted, bias, -batch.shift);
                            sparse::product(&batch.by_image, 0..n, w, outputs, y, cursors);
                            finish(y, shifted, activation == Activation::Relu);
                            follow(activation, y, z);
                        }
                        Layer::Linear { inputs, outputs, activation, planes } => {
                            let (row, column) = if planes { (1, n) } else { (inputs, 1) };
                            let epilogue =
                                Epilogue { bias: Some(bias), relu: activation == Activation::Relu };
                            matmul(
                                level(),
                                (n, outputs, inputs),
                                Strided { data: x, row, column },
                                w,
                                y,
                                epilogue,
                            );
                            follow(activation, y, z);
                        }
                        Layer::Conv(ref conv) => conv.forward(x, w, bias, true, y),
                        Layer::Pool { .. } => {}
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
        let logits = self.outputs.last().map_or(&[][..], |y| &y[..batch.labels.len() * CLASSES]);
        Ok(cross_entropy::sum_losses(logits, &batch.labels, CLASSES))
    }

    /// Mean loss of a batch.
    pub(crate) fn loss(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<f32> {
        let n = batch.labels.len();
        self.forward(parameters, batch)?;
        let logits = self.outputs.last().map_or(&[][..], |y| &y[..n * CLASSES]);
        let Some(gradient) = self.gradients.last_mut() else { return Ok(f32::NAN) };
        let scale = 1.0 / n as f32;
        let sum = cross_entropy::losses_and_gradients(logits, &batch.labels, CLASSES, scale, gradient);
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
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = self.gradients.split_at_mut(i);
            let dz = &after[0][..n * layer.outputs()];
            let first = if self.planes.is_empty() { &batch.pixels } else { &self.planes };
            let below = i.checked_sub(1).and_then(|below| self.layers.get(below));
            let x = i.checked_sub(1).map_or(first, |below| &self.outputs[below]);
            let x = &x[..below.map_or(x.len(), |below| n * below.outputs())];
            let activation = below.map_or(Activation::Identity, Layer::activation);
            if let Some(dx) = before.last_mut() {
                let (dx, scratch) = (&mut dx[..x.len()], &mut self.scratch);
                match layer {
                    Layer::Pool { width, .. } => {
                        planes::pool_gradient(x, dz, *width, n, activation == Activation::Relu, dx);
                    }
                    Layer::Linear { .. } | Layer::Conv(_) => {
                        with_slice(&parameters[parameter - 2].var, |w| {
                            match *layer {
                                Layer::Linear { inputs, outputs, planes, .. } => {
                                    input_gradient((n, inputs, outputs), w, dz, planes, dx, scratch);
                                }
                                Layer::Conv(ref conv) => conv.input_gradient(w, dz, dx),
                                Layer::Pool { .. } => {}
                            }
                            Ok(())
                        })?
                    }
                }
                if !matches!(layer, Layer::Pool { .. }) {
                    let z = i.checked_sub(1).map_or(x, |below| &self.inputs[below]);
                    activation.back(if activation.needs_input() { &z[..x.len()] } else { x }, dx);
                }
            }
            let piece = &mut self.piece;
            match *layer {
                Layer::Pool { .. } => continue,
                Layer::Conv(ref conv) => {
                    let weights = conv.sizes().window() * conv.sizes().outputs;
                    let (dw, db) = (&mut piece[..weights], &mut self.bias[..conv.sizes().outputs]);
                    conv.weight_gradient(x, dz, dw, db, &mut self.scratch);
                    each(parameter - 1, &mut |take| take(0, db))?;
                    each(parameter - 2, &mut |take| take(0, dw))?;
                }
                Layer::Linear { inputs, outputs, planes, .. } => {
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
                                let (from, row, column) =
                                    if planes { (first * n, n, 1) } else { (first, 1, inputs) };
                                let a = Strided { data: &x[from..], row, column };
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

/// dx = dz wᵀ, with (n, inputs) = (n, outputs) (outputs, inputs), or with `planes` its transpose. What is
/// smaller is transposed.
fn input_gradient(
    (n, inputs, outputs): (usize, usize, usize),
    w: &[f32],
    dz: &[f32],
    planes: bool,
    dx: &mut [f32],
    scratch: &mut [f32],
) {
    if !planes && inputs * outputs <= n * (inputs + outputs) {
        let scratch = &mut scratch[..inputs * outputs];
        transpose(w, outputs, scratch);
        let a = Strided { data: dz, row: outputs, column: 1 };
        matmul(level(), (n, inputs, outputs), a, scratch, dx, Epilogue::default());
        return;
    }
    let (dz_transposed, dx_transposed) = scratch[..n * (inputs + outputs)].split_at_mut(n * outputs);
    transpose(dz, outputs, dz_transposed);
    let a = Strided { data: w, row: outputs, column: 1 };
    if planes {
        matmul(level(), (inputs, n, outputs), a, dz_transposed, dx, Epilogue::default());
    } else {
        matmul(level(), (inputs, n, outputs), a, dz_transposed, dx_transposed, Epilogue::default());
        transpose(dx_transposed, n, dx);
    }
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
