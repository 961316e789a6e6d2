//! Token and position embedding: a row of one table for the token, plus a row of another table for its position.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};

/// For each token, its row of `table`, (alphabet, width), plus the row of its position in `places`, (context, width). Positions
/// restart after `context` tokens. The result is (tokens, width).
///
/// # Errors
/// The shapes don't fit, a token is out of range, or the device fails.
pub fn embedding(table: &Tensor, places: &Tensor, tokens: &[u32]) -> Result<Tensor> {
    let ((alphabet, width), (context, same)) = (table.dims2()?, places.dims2()?);
    let fits = width == same && tokens.len().is_multiple_of(context.max(1));
    if !fits || tokens.iter().any(|token| *token as usize >= alphabet) {
        candle_core::bail!(
            "embedding: shapes do not fit, or a token is out of range: {} tokens, table {:?}, places {:?}",
            tokens.len(),
            table.shape(),
            places.shape()
        );
    }
    if is_cpu_f32(table) {
        return table.apply_op2(places, Embedding { tokens: tokens.to_vec() });
    }
    let rows = table.index_select(&Tensor::new(tokens, table.device())?, 0)?;
    let rows = rows.reshape((tokens.len() / context, context, width))?;
    rows.broadcast_add(places)?.reshape((tokens.len(), width))
}

struct Embedding {
    tokens: Vec<u32>,
}

impl CustomOp2 for Embedding {
    fn name(&self) -> &'static str {
        "sweep-embedding"
    }

    fn cpu_fwd(
        &self,
        table: &CpuStorage,
        table_layout: &Layout,
        places: &CpuStorage,
        places_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, width) = table_layout.shape().dims2()?;
        let (table, places) = (slice(table, table_layout)?, slice(places, places_layout)?);
        let mut out = Vec::with_capacity(self.tokens.len() * width);
        for (token, place) in self.tokens.iter().zip(places.chunks_exact(width).cycle()) {
            let first = *token as usize * width;
            out.extend(table[first..first + width].iter().zip(place).map(|(a, b)| a + b));
        }
        Ok((CpuStorage::F32(out), Shape::from((self.tokens.len(), width))))
    }

    fn bwd(
        &self,
        table: &Tensor,
        places: &Tensor,
        _out: &Tensor,
        d_out: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let ((_, width), (context, _)) = (table.dims2()?, places.dims2()?);
        let (mut d_table, mut d_places) = (vec![0.0; table.elem_count()], vec![0.0; places.elem_count()]);
        let d_out = d_out.contiguous()?;
        with_slice(&d_out, |d_out| {
            // In the order of the text, so that the order of additions is fixed.
            for (i, (token, d)) in self.tokens.iter().zip(d_out.chunks_exact(width)).enumerate() {
                let (first, place) = (*token as usize * width, i % context * width);
                add(&mut d_table[first..first + width], d);
                add(&mut d_places[place..place + width], d);
            }
            Ok(())
        })?;
        let d_table = Tensor::from_vec(d_table, table.shape(), table.device())?;
        Ok((Some(d_table), Some(Tensor::from_vec(d_places, places.shape(), places.device())?)))
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}
