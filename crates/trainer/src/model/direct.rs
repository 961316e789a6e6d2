//! Forward and backward pass of a model on the CPU without a graph: our kernels on buffers that are made
//! once and used for every step. Gives the bits of the same model through candle's autograd, which other
//! devices and `f64` use.

use candle_core::Result;
use spec::trial::Model as Kind;

use super::{CLASSES, PIXELS, Parameter};
use crate::data::{Batch, Form};
use crate::kernels::cross_entropy;
use crate::kernels::matmul::{Epilogue, Strided, matmul};
use crate::kernels::simd::{level, leveled};
use crate::kernels::{sparse, with_slice};

/// Gradients are handed out in pieces of about so many numbers, which stay in the fastest cache.
const PIECE: usize = 2048;

/// Gets a piece of a gradient: the index of its first element, and the elements.
pub(crate) type Take<'a> = dyn FnMut(usize, &[f32]) + 'a;

/// Gets a parameter's index and what makes its gradient, piece by piece.
pub(crate) type Each<'a> = dyn FnMut(usize, &mut dyn FnMut(&mut Take<'_>)) -> Result<()> + 'a;

/// The buffers of one thread, for batches up to one size.
#[derive(Debug)]
pub(crate) struct Direct {
    /// Numbers that flow into and out of each layer.
    layers: Vec<(usize, usize)>,
    /// What each layer gave: (batch, outputs).
    outputs: Vec<Vec<f32>>,
    /// Gradient at each layer before its activation: (batch, outputs).
    gradients: Vec<Vec<f32>>,
    transposed: Vec<f32>,
    piece: Vec<f32>,
    bias: Vec<f32>,
    cursors: Vec<u32>,
}

impl Direct {
    /// Buffers for this model; `None` where it has no direct form.
    pub(crate) fn new(kind: &Kind, batch: usize) -> Option<Self> {
        let Kind::Mlp { hidden } = kind else { return None };
        let inputs = std::iter::once(PIXELS).chain(hidden.iter().copied());
        let outputs = hidden.iter().copied().chain([CLASSES]);
        let layers: Vec<(usize, usize)> = inputs.zip(outputs).collect();
        let buffer = |(_, n): &(usize, usize)| vec![0.0; batch * n];
        let widest = layers.iter().map(|(_, n)| *n).max().unwrap_or(0);
        let swapped = layers.iter().skip(1).map(|(m, n)| (m * n).min(batch * (m + n))).max();
        Some(Self {
            outputs: layers.iter().map(buffer).collect(),
            gradients: layers.iter().map(buffer).collect(),
            transposed: vec![0.0; swapped.unwrap_or(0)],
            piece: vec![0.0; layers.iter().map(|(_, n)| n * rows_of(*n)).max().unwrap_or(0)],
            bias: vec![0.0; widest],
            cursors: vec![0; batch.max(PIXELS)],
            layers,
        })
    }

    /// Whether its first layer can do without the pixels that are zero.
    pub(crate) fn takes_sparse(&self) -> bool {
        true
    }

    /// Logits of the images of a batch, of which there are no more than there is room for.
    fn forward(&mut self, parameters: &[Parameter], batch: &Batch) -> Result<()> {
        let n = batch.labels.len();
        let last = self.layers.len().saturating_sub(1);
        for (i, (inputs, outputs)) in self.layers.iter().copied().enumerate() {
            let (before, after) = self.outputs.split_at_mut(i);
            let y = &mut after[0][..n * outputs];
            let (shifted, cursors) = (&mut self.bias[..outputs], &mut self.cursors);
            with_slice(&parameters[2 * i].var, |w| {
                with_slice(&parameters[2 * i + 1].var, |bias| {
                    if i == 0 && batch.form != Form::Dense {
                        // (x - s) w + b = x w + (b - s 1 w).
                        sum_rows(w, shifted);
                        add_scaled(shifted, bias, -batch.shift);
                        sparse::product(&batch.by_image, 0..n, w, outputs, y, cursors);
                        finish(y, shifted, i < last);
                        return Ok(());
                    }
                    let x = before.last().map_or(&batch.pixels[..], |x| &x[..n * inputs]);
                    let a = Strided { data: x, row: inputs, column: 1 };
                    let epilogue = Epilogue { bias: Some(bias), relu: i < last };
                    matmul(level(), (n, outputs, inputs), a, w, y, epilogue);
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
        let scale = 1.0 / n as f32;
        let (sum, _) = cross_entropy::sum_losses(logits, &batch.labels, CLASSES);
        if let Some(gradient) = self.gradients.last_mut() {
            cross_entropy::gradients(logits, &batch.labels, CLASSES, scale, gradient);
        }
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
        for (i, (inputs, outputs)) in self.layers.iter().copied().enumerate().rev() {
            let (before, after) = self.gradients.split_at_mut(i);
            let dz = &after[0][..n * outputs];
            let x = match i.checked_sub(1) {
                None => &batch.pixels[..],
                Some(below) => &self.outputs[below][..n * inputs],
            };
            if let Some(dx) = before.last_mut() {
                let (dx, scratch) = (&mut dx[..n * inputs], &mut self.transposed);
                with_slice(&parameters[2 * i].var, |w| {
                    input_gradient((n, inputs, outputs), w, dz, dx, scratch);
                    Ok(())
                })?;
                mask(dx, x);
            }
            let bias = &mut self.bias[..outputs];
            sum_rows(dz, bias);
            each(2 * i + 1, &mut |take| take(0, bias))?;
            let (piece, rows, cursors) = (&mut self.piece, rows_of(outputs), &mut self.cursors);
            each(2 * i, &mut |take| {
                for first in (0..inputs).step_by(rows) {
                    let rows = rows.min(inputs - first);
                    let piece = &mut piece[..rows * outputs];
                    if i == 0 && batch.form != Form::Dense {
                        // (x - s)' dz = x' dz - s 1' dz, and the last factor is the bias's gradient.
                        sparse::product(&batch.by_pixel, first..first + rows, dz, outputs, piece, cursors);
                        piece.chunks_exact_mut(outputs).for_each(|row| shift(row, bias, -batch.shift));
                        take(first * outputs, piece);
                        continue;
                    }
                    let a = Strided { data: &x[first..], row: 1, column: inputs };
                    matmul(level(), (rows, outputs, n), a, dz, piece, Epilogue::default());
                    take(first * outputs, piece);
                }
            })?;
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
    } else {
        let (dz_transposed, dx_transposed) = scratch[..n * (inputs + outputs)].split_at_mut(n * outputs);
        transpose(dz, outputs, dz_transposed);
        let a = Strided { data: w, row: outputs, column: 1 };
        matmul(level(), (inputs, n, outputs), a, dz_transposed, dx_transposed, Epilogue::default());
        transpose(dx_transposed, n, dx);
    }
}

leveled! {
/// (rows, columns) to (columns, rows), a few columns at a time so that reads and writes stay in the cache.
fn transpose(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    const BLOCK: usize = 16;
    let rows = matrix.len() / columns.max(1);
    for first in (0..columns).step_by(BLOCK) {
        let last = (first + BLOCK).min(columns);
        for (i, row) in matrix.chunks_exact(columns).enumerate() {
            for (j, x) in row[first..last].iter().enumerate() {
                transposed[(first + j) * rows + i] = *x;
            }
        }
    }
}
}

leveled! {
/// No gradient where the ReLU let nothing through.
fn mask(gradient: &mut [f32], y: &[f32]) {
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient = if *y <= 0.0 { 0.0 } else { *gradient };
    }
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

leveled! {
/// Adds the rows of a matrix, from the first to the last.
fn sum_rows(matrix: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for row in matrix.chunks_exact(sums.len().max(1)) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x;
        }
    }
}
}
