//! Sums and maxima of rows, with a fixed order of additions that fills the vectors of every instruction set: number i of a whole piece
//! belongs to lane i, the lanes are combined as a tree at the end, and what follows the last whole piece is added one by one.
//!
//! The compiler vectorizes two kinds of loops: those over all numbers of a slice, each computed separately, and those over the lanes of
//! a piece with a single operation. So exponentials and the like are computed in a loop of the first kind, and reduced in one of the
//! second.

/// Numbers in a piece.
pub(crate) const LANES: usize = 16;

/// Combines the lanes as a tree.
#[inline(always)]
fn tree(mut lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] = f(lanes[i], lanes[i + width]);
        }
    }
    lanes[0]
}

/// The sum.
#[inline(always)]
pub(crate) fn total(row: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (pieces, rest) = row.as_chunks::<LANES>();
    for piece in pieces {
        for (sum, x) in sums.iter_mut().zip(piece) {
            *sum += x;
        }
    }
    rest.iter().fold(tree(sums, |a, b| a + b), |sum, x| sum + x)
}

/// The sum of products.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let ((left, a), (right, b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (left, right) in left.iter().zip(right) {
        for ((sum, a), b) in sums.iter_mut().zip(left).zip(right) {
            *sum = a.mul_add(*b, *sum);
        }
    }
    a.iter().zip(b).fold(tree(sums, |a, b| a + b), |sum, (a, b)| a.mul_add(*b, sum))
}

/// Sums over rows of equal length: of each number that `f` returns for the numbers at one index.
#[inline(always)]
pub(crate) fn add_up<const IN: usize, const OUT: usize>(
    rows: [&[f32]; IN],
    f: impl Fn([f32; IN]) -> [f32; OUT],
) -> [f32; OUT] {
    let mut sums = [[0.0f32; LANES]; OUT];
    let rows = rows.map(|row| row.as_chunks::<LANES>());
    for i in 0..rows[0].0.len() {
        let pieces = rows.map(|(pieces, _)| &pieces[i]);
        for lane in 0..LANES {
            let numbers = f(pieces.map(|piece| piece[lane]));
            for (sums, x) in sums.iter_mut().zip(numbers) {
                sums[lane] += x;
            }
        }
    }
    let mut totals = sums.map(|sums| tree(sums, |a, b| a + b));
    for i in 0..rows[0].1.len() {
        let numbers = f(rows.map(|(_, rest)| rest[i]));
        totals.iter_mut().zip(numbers).for_each(|(total, x)| *total += x);
    }
    totals
}

/// The larger number. If one is NaN: `b`.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The largest number; some number of the row, if one is NaN.
#[inline(always)]
pub(crate) fn largest(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (pieces, rest) = row.as_chunks::<LANES>();
    for piece in pieces {
        for (lane, x) in lanes.iter_mut().zip(piece) {
            *lane = larger(*lane, *x);
        }
    }
    rest.iter().copied().fold(tree(lanes, larger), larger)
}
