//! Products with a sparse matrix, such as images with many zero pixels: only non-zero elements are used. Each output element adds its
//! products in the order of k, each with one fused multiply-add, so the bits are those of a dense product that skips zeros, on any
//! instruction set.

use std::ops::Range;

use super::{Kernel, Line, Vector, level, load, room, store};
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

    /// Indices and values in memory.
    pub fn numbers(&self) -> usize {
        self.starts.len() + self.columns.len() + self.values.len()
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
    if lanes > 8 { 48 << 10 } else { 28 << 10 }
}

/// Vectors in the widest strip.
const MOST: usize = 8;
/// Rows of B with at least this many numbers share few places in the L1 cache if their number is a power of two: a panel is copied.
const FAR: usize = 256;
/// With fewer rows of A than this, a panel is used too few times to be worth a copy.
const FEW_ROWS: usize = 32;

/// The buffers of [`product`].
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// For each panel of B, one after another, and each row of A: where the row's elements for the panel end.
    ends: Vec<u32>,
    /// A panel of B in contiguous memory.
    panel: Vec<Line>,
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
    /// Buffers that are used again and again.
    pub scratch: &'a mut Scratch,
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
            && output.start.len() >= n,
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
    let width = output.columns.div_ceil(V::LANES).min(MOST) * V::LANES;
    let panel = (panel_bytes(V::LANES) / (4 * width.max(1))).max(8);
    find_ends(a, &rows, panel, &mut output.scratch.ends);
    let mut j = 0;
    while j < output.columns {
        let columns = (output.columns - j).min(MOST * V::LANES);
        let wide = columns.div_ceil(V::LANES);
        let strip =
            Strip { a, rows: &rows, b: &b[j..], panel, first: j, last: columns - (wide - 1) * V::LANES };
        // SAFETY: columns j.. of B and C lie inside the shapes, and there are `columns` of them.
        unsafe {
            macro_rules! pick {
                ($($wide:literal)*) => {
                    match wide {
                        $($wide if strip.last == V::LANES => strip.run::<V, $wide, false>(output),
                        $wide => strip.run::<V, $wide, true>(output),)*
                        _ => unreachable!("strips are at most 8 vectors wide"),
                    }
                };
            }
            pick!(1 2 3 4 5 6 7 8);
        }
        j += columns;
    }
}

/// Fills [`Scratch::ends`].
#[inline(always)]
fn find_ends(a: &Rows, rows: &Range<usize>, panel: usize, ends: &mut Vec<u32>) {
    ends.clear();
    for first in (0..a.width.max(1)).step_by(panel) {
        let end = (first + panel) as u32;
        if end as usize >= a.width {
            ends.extend_from_slice(&a.starts[rows.start + 1..=rows.end]);
            return;
        }
        for row in rows.clone() {
            let below = |column: &u32| u32::from(*column < end);
            ends.push(a.starts[row] + a.columns[a.range(row)].iter().map(below).sum::<u32>());
        }
    }
}

/// Some columns of C.
struct Strip<'a> {
    a: &'a Rows,
    rows: &'a Range<usize>,
    /// B from the first column on.
    b: &'a [f32],
    /// Rows of a panel of B.
    panel: usize,
    /// Its first column.
    first: usize,
    /// Columns in its last vector.
    last: usize,
}

impl Strip<'_> {
    /// Computes it panel by panel of B.
    ///
    /// # Safety
    /// As for `strips`.
    #[inline(always)]
    unsafe fn run<V: Vector, const WIDE: usize, const EDGE: bool>(&self, output: &mut Output<'_>) {
        let (width, n) = (self.a.width, output.columns);
        let copies = n >= FAR && self.rows.len() >= FEW_ROWS;
        let copy = copies.then(|| room(&mut output.scratch.panel, self.panel * WIDE * V::LANES));
        let mut starts = &self.a.starts[self.rows.start..self.rows.end];
        let Output { c, start, relu, scratch, .. } = output;
        let (c, start) = (c[self.first..].as_mut_ptr(), start[self.first..].as_ptr());
        for (index, begin) in (0..width.max(1)).step_by(self.panel).enumerate() {
            let ends = &scratch.ends[index * self.rows.len()..][..self.rows.len()];
            let mut b = (self.b.as_ptr().wrapping_add(begin * n), n);
            // SAFETY: guaranteed by the caller; the copy has room for a panel.
            unsafe {
                if let Some(copy) = copy {
                    copy_panel::<V, WIDE, EDGE>(b, self.panel.min(width - begin), self.last, copy);
                    b = (copy, WIDE * V::LANES);
                }
                let from = if begin == 0 { (start, 0) } else { (c.cast_const(), n) };
                let relu = *relu && begin + self.panel >= width;
                let b = (b.0.wrapping_sub(begin * b.1), b.1);
                self.panel::<V, WIDE, EDGE>((starts, ends), b, from, (c, n), relu);
            }
            starts = ends;
        }
    }

    /// Adds the products of the elements from `starts` to `ends`, one range for each row, to the numbers of `from`. B, `from` and C
    /// are pointers with distances between rows.
    ///
    /// # Safety
    /// As for `strips`.
    #[inline(always)]
    unsafe fn panel<V: Vector, const WIDE: usize, const EDGE: bool>(
        &self,
        (starts, ends): (&[u32], &[u32]),
        (b, b_row): (*const f32, usize),
        (from, from_row): (*const f32, usize),
        (c, c_row): (*mut f32, usize),
        relu: bool,
    ) {
        let last = self.last;
        for (i, (start, end)) in starts.iter().zip(ends).enumerate() {
            if start == end && from_row > 0 && !relu {
                continue;
            }
            let elements = *start as usize..*end as usize;
            let elements = self.a.columns[elements.clone()].iter().zip(&self.a.values[elements]);
            // SAFETY: the strip lies inside the columns of C, B and the start; with EDGE only `last` columns of the last vector are
            // accessed. Columns of A are below its width.
            unsafe {
                let from = from.add(i * from_row);
                let mut sums = [V::splat(0.0); WIDE];
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = load::<V, WIDE, EDGE>(from, j, last);
                }
                for (column, value) in elements {
                    let (from, value) = (b.wrapping_add(*column as usize * b_row), V::splat(*value));
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = value.mul_add(load::<V, WIDE, EDGE>(from, j, last), *sum);
                    }
                }
                for (j, sum) in sums.into_iter().enumerate() {
                    let sum = if relu { sum.relu() } else { sum };
                    store::<V, WIDE, EDGE>(sum, c.add(i * c_row), j, last);
                }
            }
        }
    }
}

/// Copies rows of B, which start at a pointer and have a distance.
///
/// # Safety
/// As for `strips`; there are `rows` rows.
#[inline(always)]
unsafe fn copy_panel<V: Vector, const WIDE: usize, const EDGE: bool>(
    (b, n): (*const f32, usize),
    rows: usize,
    last: usize,
    to: *mut f32,
) {
    for i in 0..rows {
        let (from, to) = (b.wrapping_add(i * n), to.wrapping_add(i * WIDE * V::LANES));
        for j in 0..WIDE {
            // SAFETY: guaranteed by the caller.
            unsafe { load::<V, WIDE, EDGE>(from, j, last).store(to.add(j * V::LANES)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn products_match_the_definition(
            m in 0usize..50, k in 1usize..250, n in 1usize..300, seed: u64, share in 0u32..100,
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
            let mut scratch = Scratch::default();
            let mut c = vec![f32::NAN; m * n];
            let mut output = |c: &mut [f32], a: &Rows, rows: Range<usize>, relu: bool| {
                let output = &mut Output { c, columns: n, start: &start, relu, scratch: &mut scratch };
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
