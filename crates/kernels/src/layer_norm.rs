//! Layer normalisation of rows (Ba, Kiros and Hinton, arXiv 1607.06450), with weight and bias:
//! (x - mean) / sqrt(variance + eps) weight + bias, with mean and (biased) variance over the row.

use crate::multiversioned;
use crate::rows::add_up;

/// Where the gradients go.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// That of the input.
    pub x: &'a mut [f32],
    /// Whether the gradient of the input is added to the numbers there. Otherwise it overwrites them.
    pub add: bool,
    /// That of the weight, overwritten.
    pub weight: &'a mut [f32],
    /// That of the bias, overwritten.
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
        let [mean] = add_up([x], |[x]| [x]).map(|sum| sum / n as f32);
        let [variance] = add_up([x], |[x]| [(x - mean) * (x - mean)]).map(|sum| sum / n as f32);
        let scale = 1.0 / (variance + eps).sqrt();
        for (((y, x), weight), bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
            *y = ((x - mean) * scale).mul_add(*weight, *bias);
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
        let row = Row::new((x, dy, weight), statistics[0], statistics[1]);
        if add {
            row.backward::<true>(x, dy, weight, dx, d_weight, d_bias);
        } else {
            row.backward::<false>(x, dy, weight, dx, d_weight, d_bias);
        }
    }
}
}

/// Numbers that the gradients of a row need.
struct Row {
    mean: f32,
    /// 1 / deviation.
    scale: f32,
    /// The mean of the gradient of the normalised row.
    shift: f32,
    /// The mean of its product with the normalised row.
    along: f32,
}

impl Row {
    #[inline(always)]
    fn new((x, dy, weight): (&[f32], &[f32], &[f32]), mean: f32, scale: f32) -> Self {
        let [shift, along] = add_up([x, dy, weight], |[x, dy, w]| {
            let g = dy * w;
            [g, g * ((x - mean) * scale)]
        });
        let n = weight.len() as f32;
        Self { mean, scale, shift: shift / n, along: along / n }
    }

    /// Computes the gradient of the input, and adds to those of weight and bias.
    #[inline(always)]
    fn backward<const ADD: bool>(
        &self,
        x: &[f32],
        dy: &[f32],
        weight: &[f32],
        dx: &mut [f32],
        d_weight: &mut [f32],
        d_bias: &mut [f32],
    ) {
        let (mean, scale, shift, along) = (self.mean, self.scale, self.shift, self.along);
        let to = dx.iter_mut().zip(d_weight).zip(d_bias);
        for ((((dx, dw), db), (x, dy)), w) in to.zip(x.iter().zip(dy)).zip(weight) {
            let normal = (x - mean) * scale;
            *dw = dy.mul_add(normal, *dw);
            *db += dy;
            // Without the components that would only change mean and deviation.
            let d = scale * normal.mul_add(-along, dy * w - shift);
            *dx = if ADD { *dx + d } else { d };
        }
    }
}
