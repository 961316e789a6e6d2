//! Causal self-attention (Vaswani et al. 2017, arXiv 1706.03762): each position attends to itself and to earlier positions.

use crate::channels_last::transpose;
use crate::matmul::{Epilogue, Strided, matmul};
use crate::simd::level;
use crate::softmax::{row_backward, softmax_in_place};

/// Attention over sequences of `context` positions. Queries, keys and values `qkv` are (sequences x context, 3, heads, size), the
/// output is (sequences x context, heads, size).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attention {
    /// Positions in a sequence.
    pub context: usize,
    /// Number of heads.
    pub heads: usize,
    /// Width of a head.
    pub size: usize,
}

impl Attention {
    /// Numbers of scratch that each call needs.
    pub fn scratch(&self) -> usize {
        6 * self.context * self.size + self.square()
    }

    /// Numbers of weights that the backward pass needs, for the positions `rows` of all sequences.
    pub fn weights(&self, rows: usize) -> usize {
        rows / self.context.max(1) * self.heads * self.square()
    }

    /// Numbers of weights of one head of one sequence.
    fn square(&self) -> usize {
        self.context * self.context
    }

    /// For each head of each sequence, calls `f` with its number, the index of the first element of queries, keys and values, and that
    /// of the output.
    fn each(&self, rows: usize, mut f: impl FnMut(usize, [usize; 3], usize)) {
        let width = self.heads * self.size;
        for sequence in 0..rows / self.context.max(1) {
            for head in 0..self.heads {
                let (row, column) = (sequence * self.context, head * self.size);
                let first = row * 3 * width + column;
                let number = sequence * self.heads + head;
                f(number, [first, first + width, first + 2 * width], row * width + column);
            }
        }
    }

    /// Copies the rows of a head, which are at distance `stride`, into consecutive rows.
    fn gather(&self, from: &[f32], first: usize, stride: usize, to: &mut [f32]) {
        for (i, to) in to.chunks_exact_mut(self.size).enumerate() {
            let at = first + i * stride;
            to.copy_from_slice(&from[at..at + self.size]);
        }
    }

    fn scatter(&self, from: &[f32], to: &mut [f32], first: usize, stride: usize) {
        for (i, from) in from.chunks_exact(self.size).enumerate() {
            let at = first + i * stride;
            to[at..at + self.size].copy_from_slice(from);
        }
    }

    /// The attention weights of one head. The scratch is two heads large.
    fn head_weights(&self, qkv: &[f32], [q, k, _]: [usize; 3], weights: &mut [f32], scratch: &mut [f32]) {
        let (context, size, stride) = (self.context, self.size, 3 * self.heads * self.size);
        let (keys, transposed) = scratch.split_at_mut(context * size);
        self.gather(qkv, k, stride, keys);
        transpose(keys, size, transposed);
        let queries = Strided { data: &qkv[q..], row: stride, column: 1 };
        matmul(level(), (context, context, size), queries, transposed, weights, Epilogue::default());
        let scale = 1.0 / (size as f32).sqrt();
        for (i, row) in weights.chunks_exact_mut(context).enumerate() {
            let (seen, later) = row.split_at_mut(i + 1);
            softmax_in_place(seen, scale);
            later.fill(0.0);
        }
    }

    /// The output. `weights` are those that the backward pass needs; without a backward pass pass those of one head, which are then
    /// used for all.
    pub fn forward(&self, qkv: &[f32], weights: &mut [f32], out: &mut [f32], scratch: &mut [f32]) {
        let (context, size, width) = (self.context, self.size, self.heads * self.size);
        let (square, small) = (self.square(), context * size);
        let heads = (weights.len() / square.max(1)).max(1);
        self.each(out.len() / width.max(1), |number, at, to| {
            let weights = &mut weights[number % heads * square..][..square];
            let (of_weights, rest) = scratch.split_at_mut(2 * small);
            self.head_weights(qkv, at, weights, of_weights);
            let (values, product) = rest[..2 * small].split_at_mut(small);
            self.gather(qkv, at[2], 3 * width, values);
            let weights = Strided { data: weights, row: context, column: 1 };
            matmul(level(), (context, size, context), weights, values, product, Epilogue::default());
            self.scatter(product, out, to, width);
        });
    }

    /// The gradient of `qkv`, overwritten, from the weights of [`Attention::forward`].
    pub fn backward(
        &self,
        qkv: &[f32],
        weights: &[f32],
        d_out: &[f32],
        d_qkv: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (context, size, width) = (self.context, self.size, self.heads * self.size);
        let (scale, small) = (1.0 / (size as f32).sqrt(), context * size);
        let (stride, shape) = (3 * width, (context, size, context));
        let (gradient, rest) = scratch.split_at_mut(self.square());
        let (d, rest) = rest.split_at_mut(small);
        let (product, rest) = rest.split_at_mut(small);
        let (rows, transposed) = rest[..2 * small].split_at_mut(small);
        self.each(d_out.len() / width.max(1), |number, [q, k, v], out| {
            let weights = &weights[number * self.square()..][..self.square()];
            self.gather(d_out, out, width, d);
            // dV = P' dO.
            let by_key = Strided { data: weights, row: 1, column: context };
            matmul(level(), shape, by_key, d, product, Epilogue::default());
            self.scatter(product, d_qkv, v, stride);
            // dP = dO V'; dS = P (dP - its mean under P).
            self.gather(qkv, v, stride, rows);
            transpose(rows, size, transposed);
            let by_query = Strided { data: d, row: size, column: 1 };
            matmul(level(), (context, context, size), by_query, transposed, gradient, Epilogue::default());
            for (weights, gradient) in weights.chunks_exact(context).zip(gradient.chunks_exact_mut(context)) {
                row_backward(weights, gradient, scale);
            }
            // dQ = dS K, dK = dS' Q.
            self.gather(qkv, k, stride, rows);
            let by_query = Strided { data: gradient, row: context, column: 1 };
            matmul(level(), shape, by_query, rows, product, Epilogue::default());
            self.scatter(product, d_qkv, q, stride);
            self.gather(qkv, q, stride, rows);
            let by_key = Strided { data: gradient, row: 1, column: context };
            matmul(level(), shape, by_key, rows, product, Epilogue::default());
            self.scatter(product, d_qkv, k, stride);
        });
    }
}
