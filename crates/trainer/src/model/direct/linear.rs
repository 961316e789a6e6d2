//! Forward and backward passes of a fully connected layer, with dense input or with non-zero pixels only.

use super::{Rows, Scratch, Take};
use crate::ops::activation::Activation;
use kernels::matmul::{Epilogue, Strided, Target, Workspace, matmul};
use kernels::multiversioned;
use kernels::reduce::sum_rows_into;
use kernels::sparse::{self, Output};

/// Approximate size, in numbers, of the pieces in which gradients are passed on. A piece stays in the L1 cache.
const PIECE: usize = 2048;

/// A fully connected layer. Its weight is (inputs, outputs).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Activation,
}

impl Linear {
    /// y = x w + b, with ReLU if that is the activation. The caller applies other activations.
    pub(super) fn forward(
        &self,
        x: Rows<'_>,
        (w, bias): (&[f32], &[f32]),
        y: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (n, outputs) = (y.len() / self.outputs.max(1), self.outputs);
        let relu = self.activation == Activation::Relu;
        match x {
            Rows::Dense(x) => {
                let (x, w) = (Strided::rows(x, self.inputs), Strided::rows(w, outputs));
                let epilogue = Epilogue { bias: Some(bias), relu, ..Epilogue::default() };
                let y = Target::rows(y, outputs);
                matmul((n, outputs, self.inputs), x, w, y, epilogue, &mut scratch.products);
            }
            Rows::Sparse(batch) => {
                // (x - s) w + b = (b - s 1 w) + x w.
                let Scratch { bias: start, sparse: scratch, .. } = scratch;
                let start = &mut start[..outputs];
                sum_rows_into(w, start);
                add_scaled(start, bias, -batch.shift);
                let output = &mut Output { c: y, columns: outputs, start, relu, scratch };
                sparse::product(&batch.by_image, 0..n, w, output);
            }
        }
    }

    /// dx = dz wᵀ, with (n, inputs) = (n, outputs) (outputs, inputs).
    pub(super) fn input_gradient(&self, w: &[f32], dz: &[f32], dx: &mut [f32], products: &mut Workspace) {
        let Self { inputs, outputs, .. } = *self;
        let sizes = (dz.len() / outputs.max(1), inputs, outputs);
        let (dz, w) = (Strided::rows(dz, outputs), Strided::rows(w, outputs).transposed());
        matmul(sizes, dz, w, Target::rows(dx, inputs), Epilogue::default(), products);
    }

    /// db = 1ᵀ dz. The result stays in the scratch for [`Linear::weight_gradient`].
    pub(super) fn bias_gradient<'a>(&self, dz: &[f32], scratch: &'a mut Scratch) -> &'a [f32] {
        let bias = &mut scratch.bias[..self.outputs];
        sum_rows_into(dz, bias);
        bias
    }

    /// dw = xᵀ dz, a few rows at a time.
    pub(super) fn weight_gradient(
        &self,
        x: Rows<'_>,
        dz: &[f32],
        scratch: &mut Scratch,
        take: &mut Take<'_>,
    ) {
        let Self { inputs, outputs, .. } = *self;
        let Scratch { piece, bias, sparse: scratch, products } = scratch;
        let n = dz.len() / outputs.max(1);
        let start = &mut bias[..outputs];
        if let Rows::Sparse(batch) = x {
            // (x - s)ᵀ dz = -s 1ᵀ dz + xᵀ dz, where 1ᵀ dz is the gradient of the bias.
            start.iter_mut().for_each(|sum| *sum *= -batch.shift);
        }
        for first in (0..inputs).step_by(self.rows()) {
            let rows = self.rows().min(inputs - first);
            let piece = &mut piece[..rows * outputs];
            match x {
                Rows::Dense(x) => {
                    let x = Strided::rows(&x[first.min(x.len())..], inputs).transposed();
                    let (dz, piece) = (Strided::rows(dz, outputs), Target::rows(piece, outputs));
                    matmul((rows, outputs, n), x, dz, piece, Epilogue::default(), products);
                }
                Rows::Sparse(batch) => {
                    let output = &mut Output { c: piece, columns: outputs, start, relu: false, scratch };
                    sparse::product(&batch.by_pixel, first..first + rows, dz, output);
                }
            }
            take(first * outputs, piece);
        }
    }

    /// Rows of the weight gradient in a piece: a multiple of the tile height.
    fn rows(&self) -> usize {
        (PIECE / self.outputs.max(1) / 12 * 12).max(12)
    }

    /// Numbers in a piece.
    pub(super) fn piece(&self) -> usize {
        self.outputs * self.rows()
    }
}

multiversioned! {
/// target = scale target + other.
fn add_scaled(target: &mut [f32], other: &[f32], scale: f32) {
    for (target, other) in target.iter_mut().zip(other) {
        *target = scale.mul_add(*target, *other);
    }
}
}
