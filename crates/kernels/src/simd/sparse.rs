//! Products with a sparse matrix, such as images with many zero pixels: only non-zero elements are used. Each output element adds its
//! products in the order of k, each with one fused multiply-add, so the bits are those of a dense product that skips zeros, on any
//! instruction set.

use std::ops::Range;

use super::{Kernel, Vector, level, load, store};

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

    /// Adds a row: the non-zero bytes, times `scale`. Its length is the width given to [`Rows::clear`].
    pub fn push(&mut self, bytes: &[u8], scale: f32) {
        let mut end = self.columns.len();
        // Reserve space for all of them, and truncate afterwards.
        self.columns.resize(end + bytes.len(), 0);
        self.values.resize(end + bytes.len(), 0.0);
        let (columns, values) = (&mut self.columns[..], &mut self.values[..]);
        let mut some = |first: usize, bytes: &[u8]| {
            for (i, byte) in bytes.iter().enumerate() {
                // Always write, and advance only if non-zero: faster than a branch.
                columns[end] = (first + i) as u32;
                values[end] = f32::from(*byte) * scale;
                end += usize::from(*byte != 0);
            }
        };
        let (words, rest) = bytes.as_chunks::<8>();
        for (i, word) in words.iter().enumerate() {
            if u64::from_ne_bytes(*word) != 0 {
                some(i * 8, word);
            }
        }
        some(words.len() * 8, rest);
        self.columns.truncate(end);
        self.values.truncate(end);
        self.starts.push(end as u32);
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

/// Bytes of a strip of B that stays in the L1 and L2 caches while all rows of A are processed.
const PANEL: usize = 48 << 10;

/// C = A B for some rows of A: `b` is (k, n) with k the width of `a`, `c` is (rows, n), both contiguous. Every element of `c` is
/// overwritten. `cursors` is scratch space with at least one element per row.
///
/// # Panics
/// The slices are shorter than their shapes: a bug of the caller.
pub fn product(a: &Rows, rows: Range<usize>, b: &[f32], n: usize, c: &mut [f32], cursors: &mut [u32]) {
    // The only bounds checks besides those of slices: columns are below the width (`push`, `transpose_into`).
    assert!(rows.end <= a.len() && b.len() >= a.width * n && c.len() >= rows.len() * n, "too short");
    if rows.is_empty() {
        return;
    }
    let cursors = &mut cursors[..rows.len()];
    // SAFETY: the bounds were checked; a level is used only if the processor has it.
    unsafe { level().run(Product { a, rows, b, n, c, cursors }) }
}

struct Product<'a> {
    a: &'a Rows,
    rows: Range<usize>,
    b: &'a [f32],
    n: usize,
    c: &'a mut [f32],
    cursors: &'a mut [u32],
}

impl Kernel for Product<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        unsafe { strips::<V>(self) }
    }
}

/// Splits C into strips of columns whose sums fit into registers.
///
/// # Safety
/// The processor has V's instruction set; the slices are as long as their shapes require.
#[inline(always)]
unsafe fn strips<V: Vector>(product: Product<'_>) {
    let Product { a, rows, b, n, c, cursors } = product;
    let mut j = 0;
    while j < n {
        let columns = (n - j).min(8 * V::LANES);
        let wide = columns.div_ceil(V::LANES);
        let last = columns - (wide - 1) * V::LANES;
        // SAFETY: columns j.. of B and C lie inside the shapes, and there are `columns` of them.
        unsafe {
            macro_rules! pick {
                ($($wide:literal)*) => {
                    match wide {
                        $($wide if last == V::LANES => {
                            strip::<V, $wide, false>(a, &rows, &b[j..], n, &mut c[j..], cursors, last);
                        }
                        $wide => strip::<V, $wide, true>(a, &rows, &b[j..], n, &mut c[j..], cursors, last),)*
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
/// As for `strips`; `b` and `c` begin at the strip, whose last vector has `last` columns.
#[inline(always)]
unsafe fn strip<V: Vector, const WIDE: usize, const EDGE: bool>(
    a: &Rows,
    rows: &Range<usize>,
    b: &[f32],
    n: usize,
    c: &mut [f32],
    cursors: &mut [u32],
    last: usize,
) {
    let panel = (PANEL / (4 * WIDE * V::LANES)).max(8);
    let (b, c) = (b.as_ptr(), c.as_mut_ptr());
    for (cursor, row) in cursors.iter_mut().zip(rows.clone()) {
        *cursor = a.starts[row];
    }
    let mut end = 0;
    loop {
        let begins = end == 0;
        end = (end + panel).min(a.width);
        for (i, (cursor, row)) in cursors.iter_mut().zip(rows.clone()).enumerate() {
            let (first, stop) = (*cursor as usize, a.starts[row + 1] as usize);
            let columns = &a.columns[first..stop];
            let ahead = if end == a.width {
                columns.len()
            } else {
                columns.iter().position(|column| *column as usize >= end).unwrap_or(columns.len())
            };
            if ahead == 0 && !begins {
                continue;
            }
            *cursor += ahead as u32;
            let values = &a.values[first..first + ahead];
            // SAFETY: the strip lies inside the `n` columns of C and B; with EDGE only `last` columns of the last vector are
            // accessed. Columns of A are below its width.
            unsafe {
                let to = c.add(i * n);
                let mut sums = [V::splat(0.0); WIDE];
                if !begins {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = load::<V, WIDE, EDGE>(to, j, last);
                    }
                }
                for (column, value) in columns[..ahead].iter().zip(values) {
                    let (from, value) = (b.add(*column as usize * n), V::splat(*value));
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = value.mul_add(load::<V, WIDE, EDGE>(from, j, last), *sum);
                    }
                }
                for (j, sum) in sums.into_iter().enumerate() {
                    store::<V, WIDE, EDGE>(sum, to, j, last);
                }
            }
        }
        if end == a.width {
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
            let (mut a, mut transposed) = (Rows::default(), Rows::default());
            a.clear(k);
            bytes.iter().for_each(|row| a.push(row, 0.3));
            a.transpose_into(&mut transposed);
            let element = |i: usize, l: usize| f32::from(bytes[i][l]) * 0.3;
            let mut cursors = vec![0; m.max(k)];
            let mut c = vec![f32::NAN; m * n];
            product(&a, 0..m, &b, n, &mut c, &mut cursors);
            for i in 0..m {
                for j in 0..n {
                    let sum = (0..k).filter(|l| bytes[i][*l] != 0)
                        .fold(0.0f32, |sum, l| element(i, l).mul_add(b[l * n + j], sum));
                    prop_assert_eq!(c[i * n + j].to_bits(), sum.to_bits());
                }
            }
            let rows = k / 3..k;
            let mut c = vec![f32::NAN; rows.len() * n];
            product(&transposed, rows.clone(), &b, n, &mut c, &mut cursors);
            for (at, l) in rows.enumerate() {
                for j in 0..n {
                    let sum = (0..m).filter(|i| bytes[*i][l] != 0)
                        .fold(0.0f32, |sum, i| element(i, l).mul_add(b[i * n + j], sum));
                    prop_assert_eq!(c[at * n + j].to_bits(), sum.to_bits());
                }
            }
        }
    }
}
