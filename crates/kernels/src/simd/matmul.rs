//! Matrix products. Each output element adds its k products in the order of k, each with one fused multiply-add. Vectors run across
//! the columns of the output, never across k, so the bits do not depend on the instruction set, on the other elements, or on how
//! the matrices are split.
//!
//! C is computed in tiles whose sums stay in registers. For the tiles, B is copied into panels as wide as a tile, with zeros beyond the
//! last column; only a B of contiguous rows that is used few times is read in place. k is split so that a panel of B stays in the L1
//! cache and a block of A in the L2 cache; between two blocks of k the sums wait in memory, which does not change them. A is read in
//! place, unless its numbers for a tile have large distances: then they are copied, because they would share few places in the L1
//! cache.

use std::ops::Range;

use super::{Kernel, Level, Line, Vector, level, room};
use crate::multiversioned;

/// A matrix that is read element by element: element (i, j) is `data[i * row + j * column]`.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub column: usize,
}

impl<'a> Strided<'a> {
    /// A matrix of contiguous rows with `columns` numbers.
    pub fn rows(data: &'a [f32], columns: usize) -> Self {
        Self { data, row: columns, column: 1 }
    }

    /// The transposed matrix: the same data with the strides exchanged.
    pub fn transposed(self) -> Self {
        Self { row: self.column, column: self.row, ..self }
    }
}

/// The result of a product: row i starts at `data[i * row]`. The numbers between two rows stay as they are.
#[derive(Debug)]
pub struct Target<'a> {
    /// The elements.
    pub data: &'a mut [f32],
    /// Distance between rows.
    pub row: usize,
}

impl<'a> Target<'a> {
    /// Contiguous rows with `columns` numbers.
    pub fn rows(data: &'a mut [f32], columns: usize) -> Self {
        Self { data, row: columns }
    }
}

/// Operations on a finished sum of products, in the order of the fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to each row; has the length of a row.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become 0.
    pub relu: bool,
    /// Added to the result; element (i, j) has the same index as in C.
    pub residual: Option<&'a [f32]>,
    /// Whether the result is added to what C contains. The finished result is added, with one rounding: the bits are those of a
    /// product and a separate sum.
    pub accumulate: bool,
}

impl Epilogue<'_> {
    /// Applies it to the sums of a product that another kernel computed, except `accumulate`: rows with `columns` numbers.
    pub fn apply(&self, sums: &mut [f32], columns: usize) {
        let Self { bias, relu, residual, .. } = *self;
        for (i, row) in sums.chunks_exact_mut(columns.max(1)).enumerate() {
            let residual = residual.map(|residual| &residual[i * columns..][..columns]);
            finish_row(row, bias.unwrap_or_default(), relu, residual.unwrap_or_default());
        }
    }
}

multiversioned! {
/// Without bias or residual these are empty.
fn finish_row(row: &mut [f32], bias: &[f32], relu: bool, residual: &[f32]) {
    for (sum, bias) in row.iter_mut().zip(bias) {
        *sum += bias;
    }
    if relu {
        for sum in &mut *row {
            *sum = if 0.0 > *sum { 0.0 } else { *sum };
        }
    }
    for (sum, residual) in row.iter_mut().zip(residual) {
        *sum += residual;
    }
}
}

/// The buffers for the copies of matrices, and the instruction set. It grows with the largest product and is used again and again.
#[derive(Debug, Clone)]
pub struct Workspace {
    level: Level,
    /// Tiles of A.
    a: Vec<Line>,
    /// Panels of B.
    b: Vec<Line>,
    /// Sums between two blocks of k, if C can't contain them.
    sums: Vec<Line>,
}

impl Default for Workspace {
    fn default() -> Self {
        Self::at(level())
    }
}

impl Workspace {
    /// Empty buffers for products with this instruction set.
    ///
    /// # Panics
    /// The processor does not have it.
    pub fn at(level: Level) -> Self {
        assert!(Level::available().contains(&level), "this processor does not support {}", level.name());
        Self { level, a: Vec::new(), b: Vec::new(), sums: Vec::new() }
    }
}

/// Whether the last element of a matrix with these numbers of rows and columns, at these distances, is inside a slice.
fn fits(len: usize, (rows, row): (usize, usize), (columns, column): (usize, usize)) -> bool {
    let (Some(i), Some(j)) = (rows.checked_sub(1), columns.checked_sub(1)) else { return true };
    let last = i.checked_mul(row).zip(j.checked_mul(column)).and_then(|(i, j)| i.checked_add(j));
    last.is_some_and(|last| last < len)
}

/// C = A B, followed by the epilogue: A is (m, k), B is (k, n), C is (m, n).
///
/// # Panics
/// The slices are shorter than their shapes: a bug of the caller.
pub fn matmul(
    sizes: (usize, usize, usize),
    a: Strided<'_>,
    b: Strided<'_>,
    c: Target<'_>,
    epilogue: Epilogue<'_>,
    workspace: &mut Workspace,
) {
    let product = Product::new(sizes, a, b, c, epilogue);
    // SAFETY: `Product::new` checked the bounds, and `Workspace::at` that the processor has the level.
    unsafe { workspace.level.run(Run { product, workspace }) }
}

/// C = A B some rows at a time: for each range of rows calls `take` with its first row and the finished rows, which are in `piece`. B is
/// copied once for all ranges. The bits are those of [`matmul`].
///
/// # Panics
/// As for [`matmul`]; or the ranges are not inside A.
pub fn matmul_in_pieces(
    (n, k): (usize, usize),
    (a, b): (Strided<'_>, Strided<'_>),
    pieces: impl ExactSizeIterator<Item = Range<usize>>,
    piece: &mut Vec<f32>,
    workspace: &mut Workspace,
    take: &mut dyn FnMut(usize, &[f32]),
) {
    let mut copies = if pieces.len() > 1 { Copies::First } else { Copies::Once };
    for rows in pieces {
        let numbers = rows.len() * n;
        if piece.len() < numbers {
            piece.resize(numbers, 0.0);
        }
        let c = &mut piece[..numbers];
        let data = a.data.get(rows.start * a.row..).unwrap_or_default();
        let sizes = (rows.len(), n, k);
        let product = Product::new(sizes, Strided { data, ..a }, b, Target::rows(c, n), Epilogue::default());
        let product = Product { copies, ..product };
        // SAFETY: as for `matmul`. The first product made the copies that the others find.
        unsafe { workspace.level.run(Run { product, workspace: &mut *workspace }) }
        copies = Copies::Later;
        take(rows.start, c);
    }
}

/// How long the copies of B remain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copies {
    /// For one block of k.
    Once,
    /// For products with other rows of A that follow.
    First,
    /// They were made by the product before.
    Later,
}

/// A product and its buffers.
struct Run<'a> {
    product: Product<'a>,
    workspace: &'a mut Workspace,
}

impl Kernel for Run<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        unsafe { self.product.blocks::<V>(self.workspace) }
    }
}

/// Vectors in a row of a tile.
const WIDE: usize = 2;
/// The heights of tiles. A `Vector` has registers for those up to its `HIGHEST`.
const HEIGHTS: [usize; 8] = [12, 8, 6, 5, 4, 3, 2, 1];
/// The most of k in a block: a panel of B fills about half of the L1 cache.
const DEPTH: usize = 256;
/// The most rows of A in a block: they fill about half of an L2 cache of 512 KiB.
const ROWS: usize = 240;
/// With fewer columns than this, A is used too few times to be worth a copy.
const FEW_COLUMNS: usize = 64;
/// With fewer rows than this, B is used too few times to be worth a copy.
const FEW_ROWS: usize = 24;
/// A block of B with at most this distance between its ends stays in the L1 cache without a copy.
const SMALL: usize = 4096;

/// Splits a range into parts of about equal length, at most `most` long. An empty range is one empty part.
fn parts(len: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let length = len.div_ceil(len.div_ceil(most).max(1)).max(1);
    (0..len.max(1)).step_by(length).map(move |first| (first, length.min(len - first)))
}

/// Splits rows into tiles that are at most `most` high: the first row and the height of each. Fewer than 4 rows do not keep the
/// processor's units busy, so two tiles of middle height are better than a high and a low one.
#[inline(always)]
fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = rows - first;
        let heights = || HEIGHTS.into_iter().filter(|high| *high <= left.min(most));
        let high = heights().find(|high| left == *high || left >= high + 4).or_else(|| heights().next())?;
        first += high;
        Some((first - high, high))
    })
}

/// An A whose columns are contiguous, with at least this distance between the ends of a block of k, is copied: read in place, all its
/// rows would share few places in the L1 cache.
const FAR: usize = 50 * 1024;
/// Steps of k that are copied together for all tiles of A, so that each cache line is read once.
const STEPS: usize = 8;

/// Panels of B that are copied together, so that more than one cache line of each row is read at a time.
const GROUP: usize = 2;

struct Product<'a> {
    m: usize,
    n: usize,
    k: usize,
    a: Strided<'a>,
    b: Strided<'a>,
    c: *mut f32,
    /// Distance between rows of C.
    row: usize,
    epilogue: Epilogue<'a>,
    copies: Copies,
}

/// Elements at distances: part of a matrix, or a copy.
#[derive(Clone, Copy)]
struct Panel {
    at: *const f32,
    row: usize,
    column: usize,
}

impl Panel {
    /// The part of a matrix that starts at (i, j).
    fn of(matrix: Strided<'_>, i: usize, j: usize) -> Self {
        let at = matrix.data.as_ptr().wrapping_add(i * matrix.row + j * matrix.column);
        Self { at, row: matrix.row, column: matrix.column }
    }
}

/// A block of k.
#[derive(Clone, Copy)]
struct Block {
    /// Its first step, and the number of steps.
    at: usize,
    depth: usize,
    /// Whether it is the last one.
    last: bool,
    /// Where sums wait between two blocks, and the distance between their rows.
    sums: (*mut f32, usize),
    /// Room for the panels of B.
    panels: *mut f32,
    /// Room for the tiles of A, if they are copied.
    a: Option<*mut f32>,
}

impl<'a> Product<'a> {
    /// Checks the lengths of the slices.
    fn new(
        (m, n, k): (usize, usize, usize),
        a: Strided<'a>,
        b: Strided<'a>,
        c: Target<'a>,
        epilogue: Epilogue<'a>,
    ) -> Self {
        // The only bounds checks: all code below computes addresses inside these shapes.
        assert!(fits(a.data.len(), (m, a.row), (k, a.column)), "a is too short");
        assert!(fits(b.data.len(), (k, b.row), (n, b.column)), "b is too short");
        assert!(fits(c.data.len(), (m, c.row), (n, 1)), "c is too short");
        assert!(m < 2 || c.row >= n, "the rows of c overlap");
        assert!(epilogue.bias.is_none_or(|bias| bias.len() >= n), "the bias is too short");
        let residual = epilogue.residual.is_none_or(|residual| fits(residual.len(), (m, c.row), (n, 1)));
        assert!(residual, "the residual is too short");
        Self { m, n, k, a, b, c: c.data.as_mut_ptr(), row: c.row, epilogue, copies: Copies::Once }
    }

    /// Splits the product into blocks.
    ///
    /// # Safety
    /// The processor has V's instruction set; the slices are as long as `Product::new` checks.
    #[inline(always)]
    unsafe fn blocks<V: Vector>(&self, workspace: &mut Workspace) {
        let width = self.n.next_multiple_of(WIDE * V::LANES);
        let all = self.copies != Copies::Once;
        let panels = room(&mut workspace.b, if all { self.k } else { self.k.min(DEPTH) } * width);
        let waits = self.epilogue.accumulate && self.k > DEPTH;
        let sums =
            if waits { (room(&mut workspace.sums, self.m * self.n), self.n) } else { (self.c, self.row) };
        for (at, depth) in parts(self.k, DEPTH) {
            let panels = if all { panels.wrapping_add(at * width) } else { panels };
            let far = self.a.row == 1 && depth * self.a.column >= FAR && self.n >= FEW_COLUMNS;
            let a = far.then(|| room(&mut workspace.a, self.m.min(ROWS) * depth));
            let block = Block { at, depth, last: at + depth == self.k, sums, panels, a };
            for (top, rows) in parts(self.m, ROWS) {
                // SAFETY: guaranteed by the caller; the buffers have room.
                unsafe { self.rows::<V>(block, top, rows) };
            }
        }
    }

    /// Adds the products of a block of k to some rows of C.
    ///
    /// # Safety
    /// The block and the rows are inside the product, and the buffers have room for their copies.
    #[inline(always)]
    unsafe fn rows<V: Vector>(&self, block: Block, top: usize, rows: usize) {
        let (width, copies) = (WIDE * V::LANES, self.copies_b(block.depth));
        let group = if copies { GROUP * width } else { width };
        let is_first = top == 0 && self.copies != Copies::Later;
        if let Some(to) = block.a {
            // SAFETY: guaranteed by the caller.
            unsafe {
                pack_rows::<V>(Panel::of(self.a, top, block.at), (rows, self.m - top), block.depth, to)
            };
        }
        for left in (0..self.n).step_by(width) {
            let columns = width.min(self.n - left);
            let mut b = Panel::of(self.b, block.at, left);
            if copies || columns < width {
                let copy = block.panels.wrapping_add(left * block.depth);
                if is_first && left.is_multiple_of(group) {
                    // SAFETY: guaranteed by the caller.
                    unsafe { pack_columns::<V>(b, group.min(self.n - left), block.depth, copy) };
                }
                b = Panel { at: copy, row: width, column: 1 };
            }
            // SAFETY: guaranteed by the caller.
            unsafe { self.strip::<V>(block, (top, rows), (left, columns), b) };
        }
    }

    /// Whether whole panels of B are copied, too.
    fn copies_b(&self, depth: usize) -> bool {
        let pays = self.m >= FEW_ROWS || self.copies != Copies::Once;
        self.b.column != 1 || (pays && depth * self.b.row > SMALL)
    }

    /// Whether finished sums are stored as they are.
    fn is_plain(&self) -> bool {
        let Epilogue { bias, relu, residual, accumulate } = self.epilogue;
        bias.is_none() && !relu && residual.is_none() && !accumulate
    }

    /// Computes the tiles of some rows and of the columns of one panel of B.
    ///
    /// # Safety
    /// The rows and columns are inside C, and `b` has the columns and the depth of the block.
    #[inline(always)]
    unsafe fn strip<V: Vector>(
        &self,
        block: Block,
        (top, rows): (usize, usize),
        (j, columns): (usize, usize),
        b: Panel,
    ) {
        for (i, high) in tiles(rows, V::HIGHEST) {
            let a = match block.a {
                Some(copy) => Panel { at: copy.wrapping_add(i * block.depth), row: 1, column: high },
                None => Panel::of(self.a, top + i, block.at),
            };
            let tile = Tile { product: self, block, a, b, i: top + i, j, columns };
            // SAFETY: guaranteed by the caller.
            unsafe { tile.dispatch::<V>(high) };
        }
    }
}

/// Copies rows of an A with contiguous columns, tile by tile: for each step of k the numbers of the tile's rows. Each step overwrites
/// what the vectors of the step before wrote beyond its numbers. `all`: the number of rows from the first one to the end of A.
///
/// # Safety
/// The rows are inside A; `to` has room for them.
#[inline(always)]
unsafe fn pack_rows<V: Vector>(a: Panel, (rows, all): (usize, usize), depth: usize, to: *mut f32) {
    for first in (0..depth).step_by(STEPS) {
        for (i, high) in tiles(rows, V::HIGHEST) {
            for step in first..depth.min(first + STEPS) {
                let from = a.at.wrapping_add(step * a.column + i);
                let to = to.wrapping_add(i * depth + step * high);
                // SAFETY: guaranteed by the caller.
                unsafe { copy_numbers::<V>((from, all - i), (to, (depth - step) * high), high) };
            }
        }
    }
}

/// Copies numbers; both pointers have a number of valid elements. Vectors write arbitrary numbers beyond the count.
///
/// # Safety
/// As the description says; both have at least `count` numbers.
#[inline(always)]
unsafe fn copy_numbers<V: Vector>(
    (from, readable): (*const f32, usize),
    (to, writable): (*mut f32, usize),
    count: usize,
) {
    for j in (0..count).step_by(V::LANES) {
        let (from, to, readable, writable) =
            (from.wrapping_add(j), to.wrapping_add(j), readable - j, writable - j);
        // SAFETY: guaranteed by the caller.
        unsafe {
            let numbers = if readable >= V::LANES { V::load(from) } else { V::load_some(from, readable) };
            if writable >= V::LANES { numbers.store(to) } else { numbers.store_some(to, writable) }
        }
    }
}

/// Copies columns of B into panels as wide as a tile, with zeros beyond the last column.
///
/// # Safety
/// The columns are inside B; `to` has room for the panels.
#[inline(always)]
unsafe fn pack_columns<V: Vector>(b: Panel, columns: usize, depth: usize, to: *mut f32) {
    let width = WIDE * V::LANES;
    let panels = || (0..columns).step_by(width).map(|left| (left, width.min(columns - left)));
    // SAFETY: guaranteed by the caller.
    unsafe {
        if b.column != 1 {
            for (left, columns) in panels() {
                let b = Panel { at: b.at.wrapping_add(left * b.column), ..b };
                pack_transposed::<V>(b, columns, depth, to.wrapping_add(left * depth));
            }
            return;
        }
        for step in 0..depth {
            for (left, columns) in panels() {
                let (from, to) = (b.at.add(step * b.row + left), to.add(left * depth + step * width));
                (0..WIDE).for_each(|j| load::<V>(from, j, columns).store(to.add(j * V::LANES)));
            }
        }
    }
}

/// Copies a panel of a B that has no contiguous rows.
///
/// # Safety
/// As for [`pack_columns`].
#[inline(always)]
unsafe fn pack_transposed<V: Vector>(b: Panel, columns: usize, depth: usize, to: *mut f32) {
    let width = WIDE * V::LANES;
    // The part that is transposed block by block, if B has contiguous columns.
    let (steps, groups) = (depth - depth % V::BLOCK, columns - columns % V::BLOCK);
    let (steps, groups) = if b.row == 1 { (steps, groups) } else { (0, 0) };
    // SAFETY: guaranteed by the caller.
    unsafe {
        for step in (0..steps).step_by(V::BLOCK) {
            for j in (0..groups).step_by(V::BLOCK) {
                V::transpose(b.at.add(step + j * b.column), b.column, to.add(step * width + j), width);
            }
        }
        for step in 0..depth {
            for j in if step < steps { groups } else { 0 }..columns {
                *to.add(step * width + j) = *b.at.add(step * b.row + j * b.column);
            }
            (columns..width).for_each(|j| *to.add(step * width + j) = 0.0);
        }
    }
}

/// Loads vector `j` of those of which `columns` numbers exist.
///
/// # Safety
/// The numbers can be read.
#[inline(always)]
unsafe fn load<V: Vector>(from: *const f32, j: usize, columns: usize) -> V {
    let from = from.wrapping_add(j * V::LANES);
    let count = columns.saturating_sub(j * V::LANES);
    unsafe { if count >= V::LANES { V::load(from) } else { V::load_some(from, count) } }
}

/// Stores vector `j` of those of which `columns` numbers exist.
///
/// # Safety
/// The numbers can be written.
#[inline(always)]
unsafe fn store<V: Vector>(x: V, to: *mut f32, j: usize, columns: usize) {
    let to = to.wrapping_add(j * V::LANES);
    let count = columns.saturating_sub(j * V::LANES);
    unsafe { if count >= V::LANES { x.store(to) } else { x.store_some(to, count) } }
}

/// One tile of C and one block of k.
struct Tile<'a> {
    product: &'a Product<'a>,
    block: Block,
    a: Panel,
    b: Panel,
    /// Its first row.
    i: usize,
    /// Its first column.
    j: usize,
    columns: usize,
}

/// The code for tiles of one height.
struct High<'a, const HIGH: usize>(&'a Tile<'a>);

impl<const HIGH: usize> Kernel for High<'_, HIGH> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        unsafe { self.0.run::<V, HIGH>() }
    }
}

impl Tile<'_> {
    /// Selects the code for a tile of this height, which must be a constant so that the sums stay in registers. It is a separate
    /// function, so that all addresses of its loop are in registers, too.
    ///
    /// # Safety
    /// As for [`Tile::run`].
    #[inline(always)]
    unsafe fn dispatch<V: Vector>(&self, high: usize) {
        macro_rules! pick {
            ($($high:literal)*) => {
                match high {
                    $($high if $high <= V::HIGHEST => unsafe { V::call(High::<$high>(self)) },)*
                    _ => unreachable!("HEIGHTS has no tiles of height {high}"),
                }
            };
        }
        pick!(12 8 6 5 4 3 2 1)
    }

    /// # Safety
    /// The tile is inside C, `a` has its rows, `b` has whole vectors, and both have the depth of the block.
    #[inline(always)]
    unsafe fn run<V: Vector, const HIGH: usize>(&self) {
        let Block { at, depth, last, sums: (waiting, row), .. } = self.block;
        let (waiting, full) = (waiting.wrapping_add(self.i * row + self.j), self.columns == WIDE * V::LANES);
        let place = |i: usize, j: usize| waiting.wrapping_add(i * row + j * V::LANES);
        // SAFETY: guaranteed by the caller.
        unsafe {
            let mut sums = [[V::splat(0.0); WIDE]; HIGH];
            if at > 0 && full {
                sums = std::array::from_fn(|i| std::array::from_fn(|j| V::load(place(i, j))));
            } else if at > 0 {
                sums = std::array::from_fn(|i| std::array::from_fn(|j| load(place(i, 0), j, self.columns)));
            }
            // The rows of C arrive while the products are added.
            for i in 0..HIGH {
                V::prefetch(place(i, 0));
                V::prefetch(place(i, WIDE).wrapping_sub(1));
            }
            self.add_products(depth, &mut sums);
            if full && (!last || self.product.is_plain()) {
                for (i, sums) in sums.into_iter().enumerate() {
                    (0..WIDE).for_each(|j| sums[j].store(place(i, j)));
                }
                return;
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (j, sum) in sums.into_iter().enumerate() {
                    if last {
                        self.finish::<V>(sum, i, j);
                    } else {
                        store::<V>(sum, place(i, 0), j, self.columns);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`Tile::run`].
    #[inline(always)]
    unsafe fn add_products<V: Vector, const HIGH: usize>(&self, depth: usize, sums: &mut [[V; WIDE]; HIGH]) {
        let (row, mut b) = (self.a.row, self.b.at);
        // One address for 3 rows, with the distances 0, 1 and 2: what an instruction can add.
        let mut a: [*const f32; 4] = std::array::from_fn(|i| self.a.at.wrapping_add(3 * i * row));
        for _ in 0..depth {
            // SAFETY: guaranteed by the caller.
            unsafe {
                let right: [V; WIDE] = std::array::from_fn(|j| V::load(b.add(j * V::LANES)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let left = V::splat(*a[i / 3].add(i % 3 * row));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = left.mul_add(right, *sum);
                    }
                }
            }
            a = a.map(|a| a.wrapping_add(self.a.column));
            b = b.wrapping_add(self.b.row);
        }
    }

    /// Applies the epilogue to finished sums, vector `j` of row `i`, and stores them in C.
    ///
    /// # Safety
    /// As for [`Tile::run`].
    #[inline(always)]
    unsafe fn finish<V: Vector>(&self, sum: V, i: usize, j: usize) {
        let Product { epilogue, c, row, .. } = self.product;
        let (at, mut sum) = ((self.i + i) * row + self.j, sum);
        // SAFETY: guaranteed by the caller; `Product::new` checked the lengths.
        unsafe {
            if let Some(bias) = epilogue.bias {
                sum = sum.add(load::<V>(bias.as_ptr().add(self.j), j, self.columns));
            }
            if epilogue.relu {
                sum = sum.relu();
            }
            if let Some(residual) = epilogue.residual {
                sum = sum.add(load::<V>(residual.as_ptr().add(at), j, self.columns));
            }
            let to = c.add(at);
            if epilogue.accumulate {
                sum = sum.add(load::<V>(to, j, self.columns));
            }
            store::<V>(sum, to, j, self.columns);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;

    type Sizes = (usize, usize, usize);

    /// The definition: k in order, each product added with one fused multiply-add; then the epilogue.
    fn by_definition(
        (m, n, k): Sizes,
        a: Strided<'_>,
        b: Strided<'_>,
        c: Target<'_>,
        epilogue: Epilogue<'_>,
    ) {
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let element = |of: Strided<'_>, i: usize, j: usize| of.data[i * of.row + j * of.column];
            let mut sum = (0..k).fold(0.0f32, |sum, l| element(a, i, l).mul_add(element(b, l, j), sum));
            sum = epilogue.bias.map_or(sum, |bias| sum + bias[j]);
            sum = if epilogue.relu && 0.0 > sum { 0.0 } else { sum };
            let at = i * c.row + j;
            sum = epilogue.residual.map_or(sum, |residual| sum + residual[at]);
            c.data[at] = if epilogue.accumulate { sum + c.data[at] } else { sum };
        }
    }

    /// Numbers of a matrix with these rows and columns, and how they are arranged: by rows or by columns, densely or with gaps.
    fn matrix<'a>(
        data: &'a mut Vec<f32>,
        rows: usize,
        columns: usize,
        arrangement: usize,
        stream: &mut Stream,
    ) -> Strided<'a> {
        let gap = [0, 0, 3, 5][arrangement];
        let (row, column) = match arrangement {
            0 | 2 => (columns + gap, 1),
            1 => (1, rows),
            _ => (2 * columns + gap, 2),
        };
        let len = rows.saturating_sub(1) * row + columns.saturating_sub(1) * column + 1;
        data.extend((0..len).map(|_| stream.uniform(2.0)));
        Strided { data, row, column }
    }

    /// Compares every instruction set with the definition.
    fn check((m, n, k): Sizes, (a, b, gap): (usize, usize, usize), which: u8, stream: &mut Stream) {
        let (mut for_a, mut for_b) = (Vec::new(), Vec::new());
        let a = matrix(&mut for_a, m, k, a, stream);
        let b = matrix(&mut for_b, k, n, b, stream);
        let row = n + gap;
        let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
        let (bias, residual, before) = (numbers(n), numbers(m * row), numbers(m * row));
        let has = |bit: u8| which & (1 << bit) != 0;
        let epilogue = Epilogue {
            bias: has(0).then_some(&bias),
            relu: has(1),
            residual: has(2).then_some(&residual),
            accumulate: has(3),
        };
        let mut expected = before.clone();
        by_definition((m, n, k), a, b, Target { data: &mut expected, row }, epilogue);
        let bits = |c: &[f32]| c.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let run = |name: &str, run: &dyn Fn(Target<'_>, &mut Workspace), mut workspace: Workspace| {
            // The second product finds the buffers of the first.
            for _ in 0..2 {
                let mut c = before.clone();
                run(Target { data: &mut c, row }, &mut workspace);
                assert_eq!(bits(&c), bits(&expected), "{name} {m} {n} {k} {epilogue:?}");
            }
        };
        for level in Level::available() {
            let product = |c: Target<'_>, space: &mut Workspace| matmul((m, n, k), a, b, c, epilogue, space);
            run(level.name(), &product, Workspace::at(level));
        }
        let wide = |c: Target<'_>, space: &mut Workspace| {
            // SAFETY: every processor has the instructions.
            unsafe { Product::new((m, n, k), a, b, c, epilogue).blocks::<Wide>(space) }
        };
        run("wide", &wide, Workspace::default());
    }

    /// A vector with the sizes of AVX-512, so that its tiles are tested on every processor.
    #[derive(Clone, Copy)]
    struct Wide([f32; 16]);

    // SAFETY: plain Rust on 16 numbers.
    unsafe impl Vector for Wide {
        const REGISTERS: usize = 32;
        const LANES: usize = 16;
        const TILE: (usize, usize) = (6, 4);
        const HIGHEST: usize = 12;
        const STRIP: usize = 12;
        unsafe fn call(kernel: impl Kernel) {
            unsafe { kernel.run::<Self>() }
        }
        unsafe fn splat(x: f32) -> Self {
            Self([x; 16])
        }
        unsafe fn load(from: *const f32) -> Self {
            unsafe { Self(from.cast::<[f32; 16]>().read()) }
        }
        unsafe fn load_some(from: *const f32, count: usize) -> Self {
            Self(std::array::from_fn(|i| if i < count { unsafe { *from.add(i) } } else { 0.0 }))
        }
        unsafe fn store(self, to: *mut f32) {
            unsafe { to.cast::<[f32; 16]>().write(self.0) }
        }
        unsafe fn store_some(self, to: *mut f32, count: usize) {
            (0..count).for_each(|i| unsafe { *to.add(i) = self.0[i] });
        }
        unsafe fn mul_add(self, b: Self, c: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
        }
        unsafe fn add(self, b: Self) -> Self {
            Self(std::array::from_fn(|i| self.0[i] + b.0[i]))
        }
        unsafe fn relu(self) -> Self {
            Self(self.0.map(|x| if 0.0 > x { 0.0 } else { x }))
        }
    }

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_bits_of_the_definition(
            m in 0usize..40, n in 0usize..80, k in 0usize..50,
            a in 0usize..4, b in 0usize..4, gap in 0usize..4, epilogue in 0u8..16, seed: u64,
        ) {
            check((m, n, k), (a, b, gap), epilogue, &mut Stream::new(seed, "matmul"));
        }

    }

    proptest! {
        // The scalar level is slow.
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn blocks_do_not_change_bits(
            m in 1usize..2 * ROWS + 20, n in 1usize..40, k in 1usize..3 * DEPTH + 5,
            a in 0usize..4, b in 0usize..4, gap in 0usize..4, epilogue in 0u8..16, seed: u64,
        ) {
            check((m, n, k), (a, b, gap), epilogue, &mut Stream::new(seed, "blocks"));
        }
    }

    /// Sizes at which A is copied: several blocks of k and of rows, tiles of several heights, and vectors beyond the last row.
    #[test]
    fn copies_of_a_do_not_change_bits() {
        let mut stream = Stream::new(1, "copies");
        for (sizes, b) in [((211, 70, 300), 0), ((2 * ROWS + 13, 64, 257), 1), ((530, 65, 100), 2)] {
            assert!(sizes.0 * sizes.2.min(DEPTH / 2) > FAR / 2 && sizes.1 >= FEW_COLUMNS);
            check(sizes, (1, b, 1), 8, &mut stream);
        }
    }

    #[test]
    fn pieces_have_the_bits_of_the_whole_product() {
        let mut stream = Stream::new(1, "pieces");
        for ((m, n, k), columns) in [((230, 70, 300), 1), ((100, 33, 5), 0), ((70, 200, 520), 2)] {
            let (mut for_a, mut for_b) = (Vec::new(), Vec::new());
            let a = matrix(&mut for_a, m, k, columns, &mut stream);
            let b = matrix(&mut for_b, k, n, 0, &mut stream);
            let mut expected = vec![0.0; m * n];
            let target = Target::rows(&mut expected, n);
            by_definition((m, n, k), a, b, target, Epilogue::default());
            for (level, edges) in Level::available().into_iter().flat_map(|level| {
                [vec![0, m], vec![0, 12, 60, m], vec![0, 24, m - 1, m]].map(|edges| (level, edges))
            }) {
                let (mut space, mut piece, mut found) = (Workspace::at(level), Vec::new(), Vec::new());
                let pieces: Vec<Range<usize>> = edges.windows(2).map(|edge| edge[0]..edge[1]).collect();
                let mut take = |row: usize, c: &[f32]| {
                    assert_eq!(row * n, found.len());
                    found.extend_from_slice(c);
                };
                matmul_in_pieces((n, k), (a, b), pieces.into_iter(), &mut piece, &mut space, &mut take);
                let found = found.iter().map(|x: &f32| x.to_bits());
                assert!(found.eq(expected.iter().map(|x| x.to_bits())), "{level:?}");
            }
        }
    }

    #[test]
    fn relu_keeps_nan() {
        for level in Level::available() {
            let mut c = [0.0; 2];
            let (a, b) = (Strided::rows(&[f32::NAN], 1), Strided::rows(&[1.0, 2.0], 2));
            let epilogue = Epilogue { relu: true, ..Epilogue::default() };
            matmul((1, 2, 1), a, b, Target::rows(&mut c, 2), epilogue, &mut Workspace::at(level));
            assert!(c.iter().all(|x| x.is_nan()), "{level:?} {c:?}");
        }
    }

    #[test]
    #[should_panic(expected = "b is too short")]
    fn a_short_slice_is_noticed() {
        let (a, b) = (Strided::rows(&[1.0; 6], 3), Strided::rows(&[1.0; 5], 2));
        matmul(
            (2, 2, 3),
            a,
            b,
            Target::rows(&mut [0.0; 4], 2),
            Epilogue::default(),
            &mut Workspace::default(),
        );
    }

    #[test]
    fn tiles_cover_all_rows_and_are_rarely_low() {
        for most in [4, 6, 12] {
            for rows in 0..100 {
                let tiles: Vec<_> = tiles(rows, most).collect();
                assert_eq!(tiles.iter().map(|(_, high)| high).sum::<usize>(), rows);
                assert!(
                    rows < 8 || tiles.iter().filter(|(_, high)| *high < 4).count() <= 1,
                    "{rows} {tiles:?}"
                );
            }
        }
    }
}
