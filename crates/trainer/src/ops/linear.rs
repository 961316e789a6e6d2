//! A fully connected layer: y = x w + b, and an activation.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, Tensor};

use super::activation::{Activation, by_candle};
use super::by_candle::apply;
use super::is_cpu_f32;
use super::operation::{Done, Inputs, NonZero, Operation, Scratch, Take, Target, Targets, at_least};
use kernels::activation::{gelu_and_slope, multiply};
use kernels::matmul::{self, Epilogue, Strided, Workspace, matmul, matmul_in_pieces};
use kernels::reduce::sum_rows_into;
use kernels::sparse;

/// A fully connected layer. `x` is (batch, inputs), `w` is (inputs, outputs), `b` is (outputs); the result is (batch, outputs).
/// Without `input_gradient`, for first layers, the backward pass computes no gradient of `x`.
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn linear(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    activation: Activation,
    input_gradient: bool,
) -> Result<Tensor> {
    if is_cpu_f32(x) {
        let ((rows, k), (inputs, outputs)) = (x.dims2()?, w.dims2()?);
        if inputs != k || b.dims1()? != outputs {
            candle_core::bail!(
                "linear: shapes do not fit: x {:?}, w {:?}, b {:?}",
                x.shape(),
                w.shape(),
                b.shape()
            );
        }
        let linear = Linear { inputs, outputs, activation, input_gradient, residual: false };
        return apply(linear, &[x, w, b], (rows, outputs));
    }
    let x = if input_gradient { x.clone() } else { x.detach() };
    by_candle(activation, &x.matmul(w)?.broadcast_add(b)?)
}

/// The inputs are x, the weight, the bias, and with `residual` what is added to the output.
#[derive(Debug, Clone)]
struct Linear {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    input_gradient: bool,
    residual: bool,
}

const X: usize = 0;
const WEIGHT: usize = 1;
const BIAS: usize = 2;
const RESIDUAL: usize = 3;

/// The most numbers in the pieces in which gradients are passed on. A piece stays in the L2 cache, and is large enough to pay for the
/// copies that a product makes.
const PIECE: usize = 64 * 1024;
/// Rows of a piece are a multiple of this, the largest height of a product's tiles.
const TILE: usize = 12;

impl Linear {
    fn rows(&self, numbers: usize) -> usize {
        numbers / self.outputs.max(1)
    }

    /// dx = dz wᵀ, with (n, inputs) = (n, outputs) (outputs, inputs).
    fn input_gradient(&self, w: &[f32], dz: &[f32], dx: &mut Target<'_>, products: &mut Workspace) {
        let Self { inputs, outputs, .. } = *self;
        let sizes = (self.rows(dz.len()), inputs, outputs);
        let (dz, w) = (Strided::rows(dz, outputs), Strided::rows(w, outputs).transposed());
        let epilogue = Epilogue { accumulate: dx.add, ..Epilogue::default() };
        matmul(sizes, dz, w, matmul::Target::rows(dx.numbers, inputs), epilogue, products);
    }

    /// The rows of the weight in each piece of its gradient: about equally many.
    fn pieces(&self) -> impl ExactSizeIterator<Item = Range<usize>> {
        let Self { inputs, outputs, .. } = *self;
        let (tiles, most) = (inputs.div_ceil(TILE), (PIECE / outputs.max(1) / TILE).max(1));
        let count = tiles.div_ceil(most);
        let edge = move |i: usize| (tiles * i / count * TILE).min(inputs);
        (0..count).map(move |i| edge(i)..edge(i + 1))
    }

    /// dw = xᵀ dz, a few rows at a time.
    fn piece_by_piece(&self, x: &Inputs<'_>, dz: &[f32], scratch: &mut Scratch, take: &mut Take<'_>) {
        let Self { inputs, outputs, .. } = *self;
        let Scratch { products, piece, small, sparse, .. } = scratch;
        let Some(NonZero { by_pixel, .. }) = x.non_zero else {
            let sizes = (outputs, self.rows(dz.len()));
            let factors = (Strided::rows(x.numbers[X], inputs).transposed(), Strided::rows(dz, outputs));
            let take = &mut |row: usize, numbers: &[f32]| take(row * outputs, numbers);
            return matmul_in_pieces(sizes, factors, self.pieces(), piece, products, take);
        };
        for rows in self.pieces() {
            let piece = at_least(piece, rows.len() * outputs);
            sparse_product((by_pixel, rows.clone()), dz, piece, small, sparse);
            take(rows.start * outputs, piece);
        }
    }
}

/// C = A B for some rows of a sparse A. The bits are those of the dense product: it adds 0 where this one adds nothing.
fn sparse_product(
    (a, rows): (&sparse::Rows, Range<usize>),
    b: &[f32],
    c: &mut [f32],
    small: &mut Vec<f32>,
    scratch: &mut sparse::Scratch,
) {
    let columns = c.len() / rows.len().max(1);
    let start = at_least(small, columns);
    start.fill(0.0);
    sparse::product(a, rows, b, &mut sparse::Output { c, columns, start, relu: false, scratch });
}

impl Operation for Linear {
    fn name(&self) -> &'static str {
        "sweep-linear"
    }

    fn weights(&self) -> Range<usize> {
        WEIGHT..BIAS + 1
    }

    fn passes(&self, input: usize) -> bool {
        input != X || self.input_gradient
    }

    /// The slopes of the activation, if its outputs don't determine them.
    fn kept(&self, outputs: usize) -> usize {
        if self.activation.needs_input() { outputs } else { 0 }
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], kept: &mut [f32], scratch: &mut Scratch) {
        let (non_zero, [x, w, bias, residual]) = (x.non_zero, x.numbers);
        let sizes = (self.rows(y.len()), self.outputs, self.inputs);
        let epilogue = Epilogue {
            bias: Some(bias),
            relu: self.activation == Activation::Relu,
            residual: self.residual.then_some(residual),
            accumulate: false,
        };
        let mut product = |to: &mut [f32]| {
            if let Some(NonZero { by_image, first, .. }) = non_zero {
                let Scratch { small, sparse, .. } = scratch;
                sparse_product((by_image, first..first + sizes.0), w, to, small, sparse);
                return epilogue.apply(to, self.outputs);
            }
            let (x, w) = (Strided::rows(x, self.inputs), Strided::rows(w, self.outputs));
            let target = matmul::Target::rows(to, self.outputs);
            matmul(sizes, x, w, target, epilogue, &mut scratch.products);
        };
        if self.activation.needs_input() {
            product(kept);
            gelu_and_slope(kept, y);
        } else {
            product(y);
            if self.activation != Activation::Relu {
                self.activation.apply(y);
            }
        }
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, scratch: &mut Scratch) {
        if let Some(target) = &mut dx[RESIDUAL] {
            target.put(dy);
        }
        if self.activation.needs_input() {
            multiply(at.kept, dy);
        } else {
            self.activation.backward(at.y, dy);
        }
        if let Some(target) = &mut dx[X] {
            self.input_gradient(at.x.numbers[WEIGHT], dy, target, &mut scratch.products);
        }
    }

    fn weight_gradient(
        &self,
        weight: usize,
        at: &Done<'_>,
        dz: &[f32],
        scratch: &mut Scratch,
        take: &mut Take<'_>,
    ) {
        if weight == WEIGHT {
            return self.piece_by_piece(&at.x, dz, scratch, take);
        }
        let sums = at_least(&mut scratch.small, self.outputs);
        sum_rows_into(dz, sums);
        take(0, sums);
    }

    fn with_residual(&self) -> Option<Arc<dyn Operation>> {
        // With an activation the output would not be that of the activation, which its gradient needs.
        let can = self.activation == Activation::Identity && !self.residual;
        can.then(|| -> Arc<dyn Operation> { Arc::new(Self { residual: true, ..self.clone() }) })
    }
}
