//! Products with a sparse matrix, such as images with many zero pixels: only non-zero elements are used. Each output element adds its
//! products in the order of k, each with one fused multiply-add, so the bits are those of a dense product that skips zeros, on any
//! instruction set.

use std::ops::Range;

use super::{Kernel, Vector, level, load, store};
use crate::multiversioned;

/// Rows of bytes of which only the non-zero ones are stored: images with many zero pixels.
#[derive(Debug, Clone, Default)]
pub struct ByteRows {
    /// The index of the first element of each row, and the end of the last row.
    starts: Vec<usize>,
    columns: Vec<u16>,
    values: Vec<u8>,
}

impl ByteRows {
    /// The largest number of columns.
    pub const MAX_WIDTH: usize = 1 << 16;

    /// Stores rows of `width` bytes, at most [`ByteRows::MAX_WIDTH`].
    ///
    /// # Panics
    /// The rows are wider: a bug of the caller.
    pub fn new(bytes: &[u8], width: usize) -> Self {
        assert!(width <= Self::MAX_WIDTH, "too wide");
        let all = bytes.iter().filter(|byte| **byte != 0).count();
        let mut rows =
            Self { starts: vec![0], columns: Vec::with_capacity(all), values: Vec::with_capacity(all) };
        for row in bytes.chunks_exact(width.max(1)) {
            for (column, byte) in row.iter().enumerate().filter(|(_, byte)| **byte != 0) {
                rows.columns.push(column as u16);
                rows.values.push(*byte);
            }
            rows.starts.push(rows.columns.len());
        }
        rows
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the rows. The range is cut to the existing rows.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let starts = self.starts.get(rows.start..=rows.end.min(self.len())).unwrap_or_default();
        let (first, end) = (starts.first().copied().unwrap_or(0), starts.last().copied().unwrap_or(0));
        Self {
            starts: starts.iter().map(|start| start - first).collect(),
            columns: self.columns[first..end].to_vec(),
            values: self.values[first..end].to_vec(),
        }
    }

    /// The columns and values of a row; empty beyond the last row.
    pub fn row(&self, i: usize) -> (&[u16], &[u8]) {
        let range = match self.starts.get(i..).and_then(|starts| starts.first_chunk()) {
            Some([first, end]) => *first..*end,
            None => 0..0,
        };
        (&self.columns[range.clone()], &self.values[range])
    }
}

/// The non-zero elements of a matrix, row by row, in the order of their columns.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The index of the first element of each row, and the end of the last row.
    starts: Vec<u32>,
    columns: Vec<u32>,
    values: Vec<f32>,
    /// Number of columns.
    width: usize,
}

impl Rows {
    /// Removes all rows, and sets the number of columns.
    pub fn clear(&mut self, width: usize) {
        self.starts.clear();
        self.starts.push(0);
        self.columns.clear();
        self.values.clear();
        self.width = width;
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a row: these columns, in ascending order and below the width given to [`Rows::clear`], with bytes times `scale`.
    ///
    /// # Panics
    /// A column is not below the width: a bug of the caller.
    pub fn push(&mut self, (columns, bytes): (&[u16], &[u8]), scale: f32) {
        assert!(columns.last().is_none_or(|last| usize::from(*last) < self.width), "too wide");
        let first = self.columns.len();
        self.columns.resize(first + columns.len(), 0);
        self.values.resize(first + columns.len(), 0.0);
        widen(columns, &mut self.columns[first..]);
        scale_bytes(bytes, &mut self.values[first..], scale);
        self.starts.push(self.columns.len() as u32);
    }

    /// Writes the transposed matrix into `to`.
    pub fn transpose_into(&self, to: &mut Rows) {
        to.width = self.len();
        to.columns.resize(self.columns.len(), 0);
        to.values.resize(self.values.len(), 0.0);
        // First the number of elements of each row, then the index of its next element.
        to.starts.clear();
        to.starts.resize(self.width + 1, 0);
        for column in &self.columns {
            to.starts[*column as usize + 1] += 1;
        }
        for i in 0..self.width {
            to.starts[i + 1] += to.starts[i];
        }
        for row in 0..self.len() {
            for at in self.range(row) {
                let next = &mut to.starts[self.columns[at] as usize];
                to.columns[*next as usize] = row as u32;
                to.values[*next as usize] = self.values[at];
                *next += 1;
            }
        }
        // Each start has advanced to the start of the next row.
        to.starts.rotate_right(1);
        to.starts[0] = 0;
        let end = to.columns.len() as u32;
        if let Some(last) = to.starts.last_mut() {
            *last = end;
        }
    }

    fn range(&self, row: usize) -> Range<usize> {
        self.starts[row] as usize..self.starts[row + 1] as usize
    }
}

multiversioned! {
fn widen(from: &[u16], to: &mut [u32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = u32::from(*from);
    }
}
}

multiversioned! {
fn scale_bytes(from: &[u8], to: &mut [f32], scale: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = f32::from(*from) * scale;
    }
}
}

/// Bytes of a strip of B that stays in the L1 cache while all rows of A are processed: processors with AVX-512 mostly have 48 KiB,
/// others 32 KiB.
const fn panel_bytes(lanes: usize) -> usize {
    if lanes > 8 { 48 << 10 } else { 24 << 10 }
}

/// C, the result of [`product`].
#[derive(Debug)]
pub struct Output<'a> {
    /// The numbers of C, (rows, columns), contiguous. Every element is overwritten.
    pub c: &'a mut [f32],
    /// Number of columns.
    pub columns: usize,
    /// Added to each row before all products.
    pub start: &'a [f32],
    /// Whether to set negative elements to 0 at the end.
    pub relu: bool,
    /// Scratch space with at least one element per row.
    pub cursors: &'a mut [u32],
}

/// C = start + A B for some rows of A: `b` is (k, n) with k the width of `a` and n the columns of C.
///
/// # Panics
/// The slices are shorter than their shapes: a bug of the caller.
pub fn product(a: &Rows, rows: Range<usize>, b: &[f32], output: &mut Output<'_>) {
    // The only bounds checks besides those of slices: columns are below the width (`push`, `transpose_into`).
    let n = output.columns;
    assert!(
        rows.end <= a.len()
            && b.len() >= a.width * n
            && output.c.len() >= rows.len() * n
            && output.start.len() >= n
            && output.cursors.len() >= rows.len(),
        "too short"
    );
    if rows.is_empty() {
        return;
    }
    // SAFETY: the bounds were checked; a level is used only if the processor has it.
    unsafe { level().run(Product { a, rows, b, output }) }
}

struct Product<'a, 'c> {
    a: &'a Rows,
    rows: Range<usize>,
    b: &'a [f32],
    output: &'a mut Output<'c>,
}

impl Kernel for Product<'_, '_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        unsafe { strips::<V>(self.a, self.rows, self.b, self.output) }
    }
}

/// Splits C into strips of columns whose sums fit into registers.
///
/// # Safety
/// The processor has V's instruction set; the slices are as long as their shapes require.
#[inline(always)]
unsafe fn strips<V: Vector>(a: &Rows, rows: Range<usize>, b: &[f32], output: &mut Output<'_>) {
    let mut j = 0;
    while j < output.columns {
        let columns = (output.columns - j).min(8 * V::LANES);
        let wide = columns.div_ceil(V::LANES);
        let last = columns - (wide - 1) * V::LANES;
        // SAFETY: columns j.. of B and C lie inside the shapes, and there are `columns` of them.
        unsafe {
            macro_rules! pick {
                ($($wide:literal)*) => {
                    match wide {
                        $($wide if last == V::LANES => strip::<V, $wide, false>(a, &rows, &b[j..], output, (j, last)),
                        $wide => strip::<V, $wide, true>(a, &rows, &b[j..], output, (j, last)),)*
                        _ => unreachable!("strips are at most 8 vectors wide"),
                    }
                };
            }
            pick!(1 2 3 4 5 6 7 8);
        }
        j += columns;
    }
}

/// Computes one strip, panel by panel of B.
///
/// # Safety
/// As for `strips`; `b` begins at the strip, which begins at column `first` and whose last vector has `last` columns.
#[inline(always)]
unsafe fn strip<V: Vector, const WIDE: usize, const EDGE: bool>(
    a: &Rows,
    rows: &Range<usize>,
    b: &[f32],
    output: &mut Output<'_>,
    (first, last): (usize, usize),
) {
    let panel = (panel_bytes(V::LANES) / (4 * WIDE * V::LANES)).max(8);
    let Output { c, columns: n, start, relu, cursors } = output;
    let (b, c, start, n) = (b.as_ptr(), c[first..].as_mut_ptr(), start[first..].as_ptr(), *n);
    for (cursor, row) in cursors.iter_mut().zip(rows.clone()) {
        *cursor = a.starts[row];
    }
    let mut end = 0;
    loop {
        let begins = end == 0;
        end = (end + panel).min(a.width);
        let ends = end == a.width;
        for (i, (cursor, row)) in cursors.iter_mut().zip(rows.clone()).enumerate() {
            let (first, stop) = (*cursor as usize, a.starts[row + 1] as usize);
            let columns = &a.columns[first..stop];
            let ahead = if ends {
                columns.len()
            } else {
                columns.iter().position(|column| *column as usize >= end).unwrap_or(columns.len())
            };
            if ahead == 0 && !begins && !(ends && *relu) {
                continue;
            }
            *cursor += ahead as u32;
            let values = &a.values[first..first + ahead];
            // SAFETY: the strip lies inside the `n` columns of C, B and the start; with EDGE only `last` columns of the last vector
            // are accessed. Columns of A are below its width.
            unsafe {
                let to = c.add(i * n);
                let from = if begins { start } else { to.cast_const() };
                let mut sums = [V::splat(0.0); WIDE];
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = load::<V, WIDE, EDGE>(from, j, last);
                }
                for (column, value) in columns[..ahead].iter().zip(values) {
                    let (from, value) = (b.add(*column as usize * n), V::splat(*value));
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = value.mul_add(load::<V, WIDE, EDGE>(from, j, last), *sum);
                    }
                }
                for (j, sum) in sums.into_iter().enumerate() {
                    let sum = if ends && *relu { sum.relu() } else { sum };
                    store::<V, WIDE, EDGE>(sum, to, j, last);
                }
            }
        }
        if ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn products_match_the_definition(
            m in 0usize..9, k in 1usize..130, n in 1usize..300, seed: u64, share in 0u32..100,
        ) {
            let mut stream = crate::random::Stream::new(seed, "sparse");
            let mut byte = || {
                let (keep, value) = (stream.uniform(50.0) + 50.0, stream.uniform(127.0) + 128.0);
                if keep < share as f32 { value as u8 } else { 0 }
            };
            let bytes: Vec<Vec<u8>> = (0..m).map(|_| (0..k).map(|_| byte()).collect()).collect();
            let b: Vec<f32> = (0..k.max(m) * n).map(|_| stream.uniform(1.0)).collect();
            let start: Vec<f32> = (0..n).map(|_| stream.uniform(1.0)).collect();
            let stored = ByteRows::new(&bytes.concat(), k);
            let (mut a, mut transposed) = (Rows::default(), Rows::default());
            a.clear(k);
            (0..m).for_each(|i| a.push(stored.row(i), 0.3));
            prop_assert_eq!((a.len(), stored.row(m).0.len()), (m, 0));
            a.transpose_into(&mut transposed);
            let element = |i: usize, l: usize| f32::from(bytes[i][l]) * 0.3;
            let mut cursors = vec![0; m.max(k)];
            let mut c = vec![f32::NAN; m * n];
            let mut output = |c: &mut [f32], a: &Rows, rows: Range<usize>, relu: bool| {
                let output = &mut Output { c, columns: n, start: &start, relu, cursors: &mut cursors };
                product(a, rows, &b, output);
            };
            output(&mut c, &a, 0..m, true);
            for i in 0..m {
                for j in 0..n {
                    let sum = (0..k).filter(|l| bytes[i][*l] != 0)
                        .fold(start[j], |sum, l| element(i, l).mul_add(b[l * n + j], sum));
                    prop_assert_eq!(c[i * n + j].to_bits(), if 0.0 > sum { 0 } else { sum.to_bits() });
                }
            }
            let rows = k / 3..k;
            let mut c = vec![f32::NAN; rows.len() * n];
            output(&mut c, &transposed, rows.clone(), false);
            for (at, l) in rows.enumerate() {
                for j in 0..n {
                    let sum = (0..m).filter(|i| bytes[*i][l] != 0)
                        .fold(start[j], |sum, i| element(i, l).mul_add(b[i * n + j], sum));
                    prop_assert_eq!(c[at * n + j].to_bits(), sum.to_bits());
                }
            }
        }
    }
}
