//! Normalisation of rows by their root mean square (Zhang and Sennrich, arXiv 1910.07467), with a weight:
//! x / sqrt(mean of x² + eps) weight.

use crate::multiversioned;
use crate::rows::add_up;

multiversioned! {
/// Normalises the rows of `x` into `y`. `weight` has the length of a row. For the backward pass it writes each row's
/// 1 / root mean square into `scales`.
pub fn forward(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], scales: &mut [f32]) {
    let n = weight.len().max(1);
    for ((x, y), scale) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)).zip(scales) {
        let [squares] = add_up([x], |[x]| [x * x]);
        *scale = 1.0 / (squares / n as f32 + eps).sqrt();
        for ((y, x), weight) in y.iter_mut().zip(x).zip(weight) {
            *y = x * *scale * weight;
        }
    }
}
}

multiversioned! {
/// The gradients of input and weight, overwritten, from the input of [`forward`], the scales that it wrote, and the gradient of its
/// output.
pub fn backward(
    x: &[f32],
    scales: &[f32],
    weight: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    d_weight: &mut [f32],
) {
    let n = weight.len().max(1);
    d_weight.fill(0.0);
    let rows = x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n));
    for (((x, dy), dx), scale) in rows.zip(scales) {
        let [along] = add_up([x, dy, weight], |[x, dy, w]| [dy * w * (x * scale)]).map(|sum| sum / n as f32);
        for ((((x, dy), w), dx), dw) in x.iter().zip(dy).zip(weight).zip(dx).zip(d_weight.iter_mut()) {
            let normal = x * scale;
            *dw = dy.mul_add(normal, *dw);
            *dx = scale * normal.mul_add(-along, dy * w);
        }
    }
}
}
