//! Causal self-attention (Vaswani et al. 2017, arXiv 1706.03762): each position attends to itself and to earlier positions. The scores
//! of a head are computed in blocks of rows, up to the block's last position, and become weights while they are in the cache.

use crate::math::exp;
use crate::multiversioned;
use crate::rows::{LANES, largest, total};
use crate::simd::strips::{Rows, height, product};
use crate::softmax::row_backward;

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

/// A head of a sequence.
struct Head {
    /// Its number in all heads of all sequences.
    number: usize,
    /// Its number in its sequence.
    in_sequence: usize,
    /// The index of its first query, and of its first output.
    query: usize,
    out: usize,
}

/// The scratch.
struct Scratch<'a> {
    /// The keys or values of a head, transposed.
    transposed: &'a mut [f32],
    /// The queries, keys and values of a sequence: (3, heads, context, size).
    qkv: &'a mut [f32],
    /// The gradient of the output of a sequence: (heads, context, size).
    d_out: &'a mut [f32],
    /// Gradients of the scores of a head; in the forward pass the scores of a block of rows.
    scores: &'a mut [f32],
}

impl Attention {
    /// Numbers of scratch that each call needs.
    pub fn scratch(&self) -> usize {
        self.size * self.padded() + 4 * self.context * self.width() + self.square()
    }

    /// Numbers of weights that the backward pass needs, for `rows` positions of all sequences.
    pub fn weights(&self, rows: usize) -> usize {
        rows / self.context.max(1) * self.heads * self.square()
    }

    /// Distance between the rows of weights: whole pieces.
    fn padded(&self) -> usize {
        self.context.next_multiple_of(LANES)
    }

    /// Numbers of weights of one head of one sequence.
    fn square(&self) -> usize {
        self.context * self.padded()
    }

    fn width(&self) -> usize {
        self.heads * self.size
    }

    /// 1 / sqrt(size): what scores are multiplied by.
    fn scale(&self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }

    /// All heads of all sequences.
    fn heads(&self, rows: usize) -> impl Iterator<Item = Head> {
        let (all, width) = (*self, self.width());
        (0..rows / self.context.max(1) * self.heads).map(move |number| {
            let (row, in_sequence) = (number / all.heads * all.context, number % all.heads);
            let column = in_sequence * all.size;
            Head { number, in_sequence, query: row * 3 * width + column, out: row * width + column }
        })
    }

    /// Blocks of positions: the first one and the number. Queries in a block see keys up to its end.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (context, height) = (self.context, height());
        (0..context).step_by(height).map(move |first| {
            let high = height.min(context);
            (first.min(context - high), high)
        })
    }

    /// Splits the scratch.
    fn split<'a>(&self, scratch: &'a mut [f32]) -> Scratch<'a> {
        let (transposed, rest) = scratch.split_at_mut(self.size * self.padded());
        let (qkv, rest) = rest.split_at_mut(3 * self.context * self.width());
        let (d_out, rest) = rest.split_at_mut(self.context * self.width());
        Scratch { transposed, qkv, d_out, scores: &mut rest[..self.square()] }
    }

    /// Copies the rows of a sequence, which consist of parts as wide as a head: `to` gets the rows of the first part, then those of the
    /// next one. At the distance of the sequence's rows, the rows of a head would share few places in the cache.
    fn gather(&self, sequence: &[f32], to: &mut [f32]) {
        gather(sequence, self.size, to, self.context * self.size);
    }

    /// The rows of a part that [`Attention::gather`] copied.
    fn rows<'a>(&self, copies: &'a [f32], part: usize) -> Rows<'a> {
        let numbers = self.context * self.size;
        Rows { data: &copies[part * numbers..][..numbers], distance: self.size }
    }

    /// The output. `weights` are those that the backward pass needs. Without a backward pass, [`Attention::weights`] for one sequence
    /// are enough; they are overwritten by each sequence.
    pub fn forward(&self, qkv: &[f32], weights: &mut [f32], out: &mut [f32], scratch: &mut [f32]) {
        let (width, padded, square) = (self.width(), self.padded(), self.square());
        let scratch = self.split(scratch);
        let kept = (weights.len() / square.max(1)).max(1);
        for head in self.heads(out.len() / width.max(1)) {
            if head.in_sequence == 0 {
                self.gather(&qkv[head.query..][..3 * self.context * width], scratch.qkv);
            }
            let [queries, keys, values] =
                [0, 1, 2].map(|part| self.rows(scratch.qkv, part * self.heads + head.in_sequence));
            let weights = &mut weights[head.number % kept * square..][..square];
            transpose(keys, scratch.transposed, padded);
            let keys = Rows { data: scratch.transposed, distance: padded };
            for (top, high) in self.blocks() {
                let (seen, end) = (top + high, (top + high).next_multiple_of(LANES));
                let scores = &mut scratch.scores[..high * end];
                product((high, end, self.size), queries.below(top).left(), keys, scores, end);
                scores_to_weights(scores, end, top, self.scale(), &mut weights[top * padded..], padded);
                let block = Rows { data: &weights[top * padded..], distance: padded }.left();
                product((high, self.size, seen), block, values, &mut out[head.out + top * width..], width);
            }
        }
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
        let (width, padded, square) = (self.width(), self.padded(), self.square());
        let scratch = self.split(scratch);
        for head in self.heads(d_out.len() / width.max(1)) {
            if head.in_sequence == 0 {
                self.gather(&qkv[head.query..][..3 * self.context * width], scratch.qkv);
                self.gather(&d_out[head.out..][..self.context * width], scratch.d_out);
            }
            let [queries, keys, values] =
                [0, 1, 2].map(|part| self.rows(scratch.qkv, part * self.heads + head.in_sequence));
            let d = self.rows(scratch.d_out, head.in_sequence);
            let weights = Rows { data: &weights[head.number * square..][..square], distance: padded };
            transpose(values, scratch.transposed, padded);
            let values = Rows { data: scratch.transposed, distance: padded };
            let to = |part: usize, top: usize| head.query + part * width + top * 3 * width;
            for (top, high) in self.blocks() {
                // dP = dO V'; dS = P (dP - its mean under P); dQ = dS K.
                let (seen, block) = (top + high, &mut scratch.scores[top * padded..]);
                let shape = (high, seen.next_multiple_of(LANES), self.size);
                product(shape, d.below(top).left(), values, block, padded);
                softmax_backward(
                    weights.below(top).data,
                    &mut block[..high * padded],
                    padded,
                    top,
                    self.scale(),
                );
                let block = Rows { data: block, distance: padded }.left();
                product((high, self.size, seen), block, keys, &mut d_qkv[to(0, top)..], 3 * width);
            }
            let gradient = Rows { data: scratch.scores, distance: padded };
            for (top, high) in self.blocks() {
                // dK = dS' Q; dV = P' dO. Queries before the block do not see its keys.
                let shape = (high, self.size, self.context - top);
                let left = gradient.below(top).transposed(top);
                product(shape, left, queries.below(top), &mut d_qkv[to(1, top)..], 3 * width);
                let left = weights.below(top).transposed(top);
                product(shape, left, d.below(top), &mut d_qkv[to(2, top)..], 3 * width);
            }
        }
    }
}

multiversioned! {
/// Copies rows that consist of parts of `size` numbers. Each part has `distance` numbers in `to`.
fn gather(from: &[f32], size: usize, to: &mut [f32], distance: usize) {
    let (parts, whole) = (to.len() / distance.max(1), size - size % LANES);
    for (i, row) in from.chunks_exact(parts * size).enumerate() {
        // The inner loop is over parts: the compiler makes each piece a few vectors, but calls a function to copy a whole part.
        for at in (0..whole).step_by(LANES) {
            for (to, from) in to.chunks_exact_mut(distance).zip(row.chunks_exact(size)) {
                to[i * size + at..][..LANES].copy_from_slice(&from[at..at + LANES]);
            }
        }
        for (to, from) in to.chunks_exact_mut(distance).zip(row.chunks_exact(size)) {
            to[i * size + whole..(i + 1) * size].copy_from_slice(&from[whole..]);
        }
    }
}
}

/// Transposes rows into rows of length `padded`. The rest of these is 0.
fn transpose(from: Rows<'_>, to: &mut [f32], padded: usize) {
    for row in to.chunks_exact_mut(padded) {
        row[from.data.len() / from.distance..].fill(0.0);
    }
    transpose_rows(from.data, from.distance, to, padded);
}

multiversioned! {
fn transpose_rows(from: &[f32], size: usize, to: &mut [f32], padded: usize) {
    let mut rows = from.chunks_exact(size * 4);
    let mut left = 0;
    for rows in &mut rows {
        let (a, rest) = rows.split_at(size);
        let (b, rest) = rest.split_at(size);
        let (c, d) = rest.split_at(size);
        let columns = a.iter().zip(b).zip(c).zip(d);
        for ((((a, b), c), d), to) in columns.zip(to.chunks_exact_mut(padded)) {
            to[left..left + 4].copy_from_slice(&[*a, *b, *c, *d]);
        }
        left += 4;
    }
    for (i, row) in rows.remainder().chunks_exact(size).enumerate() {
        for (x, to) in row.iter().zip(to.chunks_exact_mut(padded)) {
            to[left + i] = *x;
        }
    }
}
}

multiversioned! {
/// Turns the scores of a block of rows of length `end` into weights: softmax of the scores that each row sees, times `scale`, followed
/// by zeros. The first row sees `top + 1` positions, and each next row one more. The rows of weights are at distance `padded`.
fn scores_to_weights(
    scores: &mut [f32],
    end: usize,
    top: usize,
    scale: f32,
    weights: &mut [f32],
    padded: usize,
) {
    for (i, row) in scores.chunks_exact_mut(end).enumerate() {
        let seen = top + i + 1;
        row[seen..].fill(f32::NEG_INFINITY);
        let largest = largest(row);
        for piece in row.as_chunks_mut::<LANES>().0 {
            piece.iter_mut().for_each(|x| *x = (*x - largest) * scale);
        }
    }
    for x in scores.iter_mut() {
        *x = exp(*x);
    }
    for (row, to) in scores.chunks_exact(end).zip(weights.chunks_mut(padded)) {
        let factor = 1.0 / total(row);
        for (to, piece) in to.as_chunks_mut::<LANES>().0.iter_mut().zip(row.as_chunks::<LANES>().0) {
            to.iter_mut().zip(piece).for_each(|(to, x)| *to = x * factor);
        }
    }
}
}

multiversioned! {
/// Turns the gradients of weights into those of scores, in place, for rows as in [`scores_to_weights`].
fn softmax_backward(weights: &[f32], gradient: &mut [f32], padded: usize, top: usize, scale: f32) {
    let end = (top + gradient.len() / padded).next_multiple_of(LANES);
    for (weights, gradient) in weights.chunks_exact(padded).zip(gradient.chunks_exact_mut(padded)) {
        row_backward(&weights[..end], &mut gradient[..end], scale);
    }
}
}
