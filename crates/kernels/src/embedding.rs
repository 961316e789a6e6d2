//! Token and position embedding: a row of one table for the token, plus a row of another table for its position. Positions restart
//! after each context.

use crate::multiversioned;

multiversioned! {
/// For each token its row of `table`, (alphabet, width), plus the row of its position in `places`, (context, width). `out` is
/// (tokens, width).
pub fn embedding(table: &[f32], places: &[f32], tokens: &[u32], width: usize, out: &mut [f32]) {
    let rows = out.chunks_exact_mut(width).zip(places.chunks_exact(width).cycle());
    for ((out, place), token) in rows.zip(tokens) {
        let row = &table[*token as usize * width..][..width];
        for ((out, a), b) in out.iter_mut().zip(row).zip(place) {
            *out = a + b;
        }
    }
}
}

multiversioned! {
/// The gradients of both tables, overwritten. Rows are added in the order of the tokens, so that the sums have a fixed order.
pub fn backward(tokens: &[u32], d_out: &[f32], width: usize, d_table: &mut [f32], d_places: &mut [f32]) {
    d_table.fill(0.0);
    d_places.fill(0.0);
    let context = d_places.len() / width.max(1);
    for (i, (token, d)) in tokens.iter().zip(d_out.chunks_exact(width)).enumerate() {
        let places = &mut d_places[i % context * width..][..width];
        let table = &mut d_table[*token as usize * width..][..width];
        for ((table, place), d) in table.iter_mut().zip(places).zip(d) {
            *table += d;
            *place += d;
        }
    }
}
}
