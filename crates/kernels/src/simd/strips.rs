//! Small products for attention, in strips of [`COLUMNS`] columns. Each output element adds its products in the order of k, each with
//! one fused multiply-add; vectors run across the columns of the output.

use super::{Level, Vector, level};

/// Columns in a strip. They are a whole number of vectors on every instruction set.
pub(crate) const COLUMNS: usize = 16;

/// Rows of numbers at a distance: number j of row i is `data[i * distance + j]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) distance: usize,
}

impl<'a> Rows<'a> {
    /// The rows from row `i` on.
    pub(crate) fn below(self, i: usize) -> Self {
        Self { data: &self.data[i * self.distance..], ..self }
    }

    /// As the left factor.
    pub(crate) fn left(self) -> Left<'a> {
        Left { data: self.data, row: self.distance, column: 1 }
    }

    /// Transposed, from column `j` on, as the left factor.
    pub(crate) fn transposed(self, j: usize) -> Left<'a> {
        Left { data: &self.data[j..], row: 1, column: self.distance }
    }
}

/// The left factor: element (i, k) is `data[i * row + k * column]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row: usize,
    pub(crate) column: usize,
}

/// C = A B for `rows` rows of C, which start at `c[0]` with the distance `distance`, and `columns` columns: the sums have the length
/// `k`.
///
/// # Panics
/// The slices are shorter than their shapes: a bug of the caller.
pub(crate) fn product(
    (rows, columns, k): (usize, usize, usize),
    a: Left<'_>,
    b: Rows<'_>,
    c: &mut [f32],
    distance: usize,
) {
    product_at(level(), (rows, columns, k), a, b, (c, distance));
}

/// The number of rows at which [`product`] is fastest.
pub(crate) fn height() -> usize {
    match level() {
        Level::Scalar => f32::STRIP,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => std::arch::x86_64::__m256::STRIP,
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => std::arch::x86_64::__m512::STRIP,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => std::arch::aarch64::float32x4_t::STRIP,
    }
}

fn product_at(
    level: Level,
    (rows, columns, k): (usize, usize, usize),
    a: Left<'_>,
    b: Rows<'_>,
    (c, distance): (&mut [f32], usize),
) {
    if rows == 0 || columns == 0 {
        return;
    }
    // The only bounds checks: all code below computes addresses inside these shapes.
    assert!(k == 0 || a.data.len() > (rows - 1) * a.row + (k - 1) * a.column, "a is too short");
    assert!(k == 0 || b.data.len() >= (k - 1) * b.distance + columns, "b is too short");
    assert!(c.len() >= (rows - 1) * distance + columns, "c is too short");
    let product = Product { rows, columns, k, a, b, c: c.as_mut_ptr(), distance };
    match level {
        // SAFETY: the bounds were checked above; a level is used only if the processor has it.
        Level::Scalar => unsafe { product.strips::<f32, 4, COLUMNS>() },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { product.avx2() },
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { product.avx512() },
        #[cfg(target_arch = "aarch64")]
        Level::Neon => unsafe { product.strips::<std::arch::aarch64::float32x4_t, 6, 4>() },
    }
}

struct Product<'a> {
    rows: usize,
    columns: usize,
    k: usize,
    a: Left<'a>,
    b: Rows<'a>,
    c: *mut f32,
    distance: usize,
}

impl Product<'_> {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(&self) {
        unsafe { self.strips::<std::arch::x86_64::__m256, 6, 2>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512(&self) {
        unsafe { self.strips::<std::arch::x86_64::__m512, 12, 1>() }
    }

    /// Splits C into strips, and these into tiles of HIGH rows. The last tile of a strip may contain rows of the one before: these are
    /// computed twice, with the same result.
    ///
    /// # Safety
    /// The processor has V's instruction set, WIDE vectors are [`COLUMNS`] numbers, and the slices are as long as `product_at` checks.
    #[inline(always)]
    unsafe fn strips<V: Vector, const HIGH: usize, const WIDE: usize>(&self) {
        const { assert!(HIGH == V::STRIP && WIDE * V::LANES == COLUMNS) };
        for j in (0..self.columns).step_by(COLUMNS) {
            let columns = COLUMNS.min(self.columns - j);
            let mut i = 0;
            while i < self.rows {
                // SAFETY: the tiles are inside C.
                unsafe {
                    if self.rows < HIGH {
                        self.tile_or_edge::<V, 1, WIDE>(i, j, columns);
                        i += 1;
                    } else {
                        self.tile_or_edge::<V, HIGH, WIDE>(i.min(self.rows - HIGH), j, columns);
                        i += HIGH;
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn tile_or_edge<V: Vector, const HIGH: usize, const WIDE: usize>(
        &self,
        i: usize,
        j: usize,
        columns: usize,
    ) {
        unsafe {
            if columns == COLUMNS {
                self.tile::<V, HIGH, WIDE, false>(i, j, columns);
            } else {
                self.tile::<V, HIGH, WIDE, true>(i, j, columns);
            }
        }
    }

    /// HIGH rows from row `i` on, and `columns` columns from column `j` on: [`COLUMNS`] of them, or fewer with EDGE.
    #[inline(always)]
    unsafe fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool>(
        &self,
        i: usize,
        j: usize,
        columns: usize,
    ) {
        // SAFETY: `product_at` checked the lengths of the slices; with EDGE only `columns` columns are accessed.
        unsafe {
            let mut sums = [[V::splat(0.0); WIDE]; HIGH];
            let mut a = self.a.data.as_ptr().wrapping_add(i * self.a.row);
            let mut b = self.b.data.as_ptr().wrapping_add(j);
            for _ in 0..self.k {
                let mut right = [V::splat(0.0); WIDE];
                for (v, right) in right.iter_mut().enumerate() {
                    *right = load::<V, EDGE>(b, v, columns);
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let left = V::splat(*a.wrapping_add(i * self.a.row));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = left.mul_add(right, *sum);
                    }
                }
                a = a.wrapping_add(self.a.column);
                b = b.wrapping_add(self.b.distance);
            }
            let c = self.c.wrapping_add(i * self.distance + j);
            for (i, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    store::<V, EDGE>(sum, c.wrapping_add(i * self.distance), v, columns);
                }
            }
        }
    }
}

/// Loads vector `v` of a strip; with EDGE the strip has only `columns` columns.
#[inline(always)]
unsafe fn load<V: Vector, const EDGE: bool>(from: *const f32, v: usize, columns: usize) -> V {
    let (from, first) = (from.wrapping_add(v * V::LANES), v * V::LANES);
    unsafe {
        if !EDGE || columns >= first + V::LANES {
            V::load(from)
        } else if columns > first {
            V::load_some(from, columns - first)
        } else {
            V::splat(0.0)
        }
    }
}

/// Stores vector `v` of a strip; with EDGE the strip has only `columns` columns.
#[inline(always)]
unsafe fn store<V: Vector, const EDGE: bool>(x: V, to: *mut f32, v: usize, columns: usize) {
    let (to, first) = (to.wrapping_add(v * V::LANES), v * V::LANES);
    unsafe {
        if !EDGE || columns >= first + V::LANES {
            x.store(to);
        } else if columns > first {
            x.store_some(to, columns - first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        let mut stream = Stream::new(3, "strips");
        for (m, n, k) in
            [(1, 1, 1), (5, 7, 3), (6, 16, 20), (13, 33, 9), (64, 32, 40), (25, 30, 0), (12, 48, 1)]
        {
            for (row, column) in [(k + 2, 1), (1, m + 3)] {
                let mut numbers =
                    |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
                let (a, b) = (numbers(m * (k + 2) + k * (m + 3)), numbers(k * (n + 5)));
                let mut expected = vec![f32::NAN; m * (n + 1)];
                for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                    expected[i * (n + 1) + j] =
                        (0..k).fold(0.0, |sum, l| a[i * row + l * column].mul_add(b[l * (n + 5) + j], sum));
                }
                for level in Level::available() {
                    let mut c = vec![f32::NAN; expected.len()];
                    let (a, b) = (Left { data: &a, row, column }, Rows { data: &b, distance: n + 5 });
                    product_at(level, (m, n, k), a, b, (&mut c, n + 1));
                    let bits = |c: &[f32]| c.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(&c), bits(&expected), "{level:?} {m} {n} {k}");
                }
            }
        }
    }
}
