//! Causal self-attention (Vaswani et al. 2017, arXiv 1706.03762): each position attends to itself and to earlier positions.

use crate::matmul::{Epilogue, Strided, Target, Workspace, matmul};
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
    /// Numbers of scratch that the backward pass needs.
    pub fn scratch(&self) -> usize {
        self.square()
    }

    /// Distance between two positions in queries, keys and values.
    fn stride(&self) -> usize {
        3 * self.heads * self.size
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

    /// The attention weights of one head.
    fn head_weights(
        &self,
        qkv: &[f32],
        [q, k, _]: [usize; 3],
        weights: &mut [f32],
        products: &mut Workspace,
    ) {
        let (context, size, stride) = (self.context, self.size, self.stride());
        let (queries, keys) = (part(qkv, q, stride), part(qkv, k, stride).transposed());
        let target = Target::rows(weights, context);
        matmul((context, context, size), queries, keys, target, Epilogue::default(), products);
        let scale = 1.0 / (size as f32).sqrt();
        for (i, row) in weights.chunks_exact_mut(context).enumerate() {
            let (seen, later) = row.split_at_mut(i + 1);
            softmax_in_place(seen, scale);
            later.fill(0.0);
        }
    }

    /// The output. `weights` are those that the backward pass needs; without a backward pass pass those of one head, which are then
    /// used for all.
    pub fn forward(&self, qkv: &[f32], weights: &mut [f32], out: &mut [f32], products: &mut Workspace) {
        let (context, size, width) = (self.context, self.size, self.heads * self.size);
        let square = self.square();
        let heads = (weights.len() / square.max(1)).max(1);
        self.each(out.len() / width.max(1), |number, at, to| {
            let weights = &mut weights[number % heads * square..][..square];
            self.head_weights(qkv, at, weights, products);
            let (weights, values) = (Strided::rows(weights, context), part(qkv, at[2], self.stride()));
            let target = Target { data: &mut out[to..], row: width };
            matmul((context, size, context), weights, values, target, Epilogue::default(), products);
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
        products: &mut Workspace,
    ) {
        let (context, size, width) = (self.context, self.size, self.heads * self.size);
        let (stride, scale) = (self.stride(), 1.0 / (size as f32).sqrt());
        let (sizes, plain) = ((context, size, context), Epilogue::default());
        let gradient = &mut scratch[..self.square()];
        self.each(d_out.len() / width.max(1), |number, [q, k, v], out| {
            let weights = &weights[number * self.square()..][..self.square()];
            let d_out = part(d_out, out, width);
            // dV = P' dO.
            let by_key = Strided::rows(weights, context).transposed();
            matmul(sizes, by_key, d_out, Target { data: &mut d_qkv[v..], row: stride }, plain, products);
            // dP = dO V'; dS = P (dP - its mean under P).
            let (values, target) = (part(qkv, v, stride).transposed(), Target::rows(gradient, context));
            matmul((context, context, size), d_out, values, target, plain, products);
            for (weights, gradient) in weights.chunks_exact(context).zip(gradient.chunks_exact_mut(context)) {
                row_backward(weights, gradient, scale);
            }
            // dQ = dS K, dK = dS' Q.
            let (by_query, keys) = (Strided::rows(gradient, context), part(qkv, k, stride));
            matmul(sizes, by_query, keys, Target { data: &mut d_qkv[q..], row: stride }, plain, products);
            let target = Target { data: &mut d_qkv[k..], row: stride };
            matmul(sizes, by_query.transposed(), part(qkv, q, stride), target, plain, products);
        });
    }
}

/// Rows at distance `row`, from index `first` on.
fn part(data: &[f32], first: usize, row: usize) -> Strided<'_> {
    Strided { data: &data[first..], row, column: 1 }
}
