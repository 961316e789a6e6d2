//! Layer normalisation of rows (Ba, Kiros and Hinton, arXiv 1607.06450), with weight and bias:
//! (x - mean) / sqrt(variance + eps) weight + bias, with mean and (biased) variance over the row.

use crate::multiversioned;
use crate::reduce::{sum, sum_of_squares};

/// Where the gradients go.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Of the input.
    pub x: &'a mut [f32],
    /// Whether the gradient of the input is added to the numbers there. Otherwise it overwrites them.
    pub add: bool,
    /// Of the weight, overwritten.
    pub weight: &'a mut [f32],
    /// Of the bias, overwritten.
    pub bias: &'a mut [f32],
}

multiversioned! {
/// Normalises the rows of `x` into `y`. `weight` and `bias` have the length of a row. For the backward pass it writes each row's
/// mean and 1 / deviation into `statistics`, (rows, 2).
pub fn forward(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    y: &mut [f32],
    statistics: &mut [f32],
) {
    let n = weight.len().max(1);
    let rows = x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(statistics.chunks_exact_mut(2));
    for ((x, y), statistics) in rows {
        let mean = sum(x) / n as f32;
        for (y, x) in y.iter_mut().zip(x) {
            *y = x - mean;
        }
        let scale = 1.0 / (sum_of_squares(y) as f32 / n as f32 + eps).sqrt();
        for ((y, weight), bias) in y.iter_mut().zip(weight).zip(bias) {
            *y = (*y * scale).mul_add(*weight, *bias);
        }
        statistics.copy_from_slice(&[mean, scale]);
    }
}
}

multiversioned! {
/// The gradients, from the input of [`forward`], the statistics that it wrote, and the gradient of its output.
pub fn backward(x: &[f32], statistics: &[f32], weight: &[f32], dy: &[f32], gradients: Gradients<'_>) {
    let n = weight.len().max(1);
    let Gradients { x: dx, add, weight: d_weight, bias: d_bias } = gradients;
    d_weight.fill(0.0);
    d_bias.fill(0.0);
    let rows = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
    for (((x, dy), dx), statistics) in rows.zip(statistics.chunks_exact(2)) {
        let (mean, scale) = (statistics[0], statistics[1]);
        let (mut total, mut along) = (0.0f32, 0.0f32);
        for ((x, dy), w) in x.iter().zip(dy).zip(weight) {
            let g = dy * w;
            total += g;
            along = g.mul_add((x - mean) * scale, along);
        }
        let (total, along) = (total / n as f32, along / n as f32);
        for ((((x, dy), w), dx), (dw, db)) in
            x.iter().zip(dy).zip(weight).zip(dx).zip(d_weight.iter_mut().zip(d_bias.iter_mut()))
        {
            let normal = (x - mean) * scale;
            *dw = dy.mul_add(normal, *dw);
            *db += dy;
            // Without the components that would only change mean and deviation.
            let d = scale * normal.mul_add(-along, dy * w - total);
            *dx = if add { *dx + d } else { d };
        }
    }
}
}
