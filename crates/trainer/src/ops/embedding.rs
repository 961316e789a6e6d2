//! Token and position embedding: a row of one table for the token, plus a row of another table for its position.

use std::ops::Range;

use candle_core::{Result, Tensor};

use super::by_candle::apply;
use super::is_cpu_f32;
use super::operation::{Done, Inputs, Operation, Scratch, Take, Targets, at_least};
use kernels::embedding;

/// For each token, its row of `table`, (alphabet, width), plus the row of its position in `places`, (context, width). Positions
/// restart after `context` tokens. The result is (tokens, width).
///
/// # Errors
/// The shapes don't fit, a token is out of range, or the device fails.
pub fn embedding(table: &Tensor, places: &Tensor, tokens: &[u32]) -> Result<Tensor> {
    let (alphabet, _) = table.dims2()?;
    if tokens.iter().any(|token| *token as usize >= alphabet) {
        candle_core::bail!("embedding: expected tokens below {alphabet}");
    }
    embedding_of(table, places, &Tensor::new(tokens, table.device())?)
}

/// The same for tokens that are known to be in range.
pub(crate) fn embedding_of(table: &Tensor, places: &Tensor, tokens: &Tensor) -> Result<Tensor> {
    let ((_, width), (context, same), count) = (table.dims2()?, places.dims2()?, tokens.dims1()?);
    if width != same || !count.is_multiple_of(context.max(1)) {
        candle_core::bail!(
            "embedding: shapes do not fit: {count} tokens, table {:?}, places {:?}",
            table.shape(),
            places.shape()
        );
    }
    if is_cpu_f32(table) {
        let sizes = [table.elem_count(), places.elem_count()];
        return apply(Embedding { width, sizes }, &[table, places, tokens], (count, width));
    }
    let rows = table.index_select(tokens, 0)?.reshape((count / context, context, width))?;
    rows.broadcast_add(places)?.reshape((count, width))
}

#[derive(Debug)]
struct Embedding {
    width: usize,
    /// Numbers of the two tables.
    sizes: [usize; 2],
}

impl Operation for Embedding {
    fn name(&self) -> &'static str {
        "sweep-embedding"
    }

    fn weights(&self) -> Range<usize> {
        0..2
    }

    fn passes(&self, input: usize) -> bool {
        self.weights().contains(&input)
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], _: &mut [f32], _: &mut Scratch) {
        let [table, places, ..] = x.numbers;
        embedding::embedding(table, places, x.indices, self.width, y);
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], _: &mut Targets<'_>, scratch: &mut Scratch) {
        let [table, places] = self.sizes;
        let (of_table, of_places) = at_least(&mut scratch.small, table + places).split_at_mut(table);
        embedding::backward(at.x.indices, dy, self.width, of_table, of_places);
    }

    fn weight_gradient(
        &self,
        weight: usize,
        _: &Done<'_>,
        _: &[f32],
        scratch: &mut Scratch,
        take: &mut Take<'_>,
    ) {
        let [table, places] = self.sizes;
        let (first, n) = if weight == 0 { (0, table) } else { (table, places) };
        take(0, &scratch.small[first..first + n]);
    }
}
