//! Matrix products. Each output element adds its k products in the order of k, each with one fused multiply-add. Vectors run across
//! the columns of the output, never across k, so the bits do not depend on the instruction set or on the other elements.

use super::{Level, Vector, load, store};

/// A matrix that is read element by element: element (i, j) is `data[i * row + j * column]`. A transposed
/// matrix is the same data with the strides exchanged.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    /// The elements.
    pub data: &'a [f32],
    /// Distance between rows.
    pub row: usize,
    /// Distance between columns.
    pub column: usize,
}

/// Operations on a finished element of the product.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// Added to each row; has the length of a row.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become 0.
    pub relu: bool,
}

/// C = A B: `a` is (m, k), `b` is (k, n) with contiguous rows, `c` is (m, n) contiguous. Every element of
/// `c` is overwritten.
///
/// # Panics
/// The slices are shorter than their shapes: a bug of the caller.
pub fn matmul(
    level: Level,
    (m, n, k): (usize, usize, usize),
    a: Strided<'_>,
    b: &[f32],
    c: &mut [f32],
    epilogue: Epilogue<'_>,
) {
    // The only bounds checks: all code below computes addresses inside these shapes.
    assert!(m == 0 || k == 0 || a.data.len() > (m - 1) * a.row + (k - 1) * a.column, "a is too short");
    assert!(b.len() >= k * n && c.len() >= m * n, "b or c is too short");
    assert!(epilogue.bias.is_none_or(|bias| bias.len() >= n), "the bias is too short");
    let product = Product { m, n, k, a, b, epilogue };
    match level {
        // SAFETY: the bounds were checked above; a level is used only if the processor has it
        // (`Level::available`, `selected_level`).
        Level::Scalar => unsafe { tiles::<f32>(&product, c) },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { tiles_avx2(&product, c) },
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { tiles_avx512(&product, c) },
    }
}

struct Product<'a> {
    m: usize,
    n: usize,
    k: usize,
    a: Strided<'a>,
    b: &'a [f32],
    epilogue: Epilogue<'a>,
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn tiles_avx2(product: &Product<'_>, c: &mut [f32]) {
    unsafe { tiles::<std::arch::x86_64::__m256>(product, c) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn tiles_avx512(product: &Product<'_>, c: &mut [f32]) {
    unsafe { tiles::<std::arch::x86_64::__m512>(product, c) }
}

/// Splits C into tiles that fit into registers. The outer loop is over columns, so that a strip of B stays in the cache.
///
/// # Safety
/// The processor has V's instruction set; the slices are as long as their shapes require.
#[inline(always)]
unsafe fn tiles<V: Vector>(product: &Product<'_>, c: &mut [f32]) {
    let (rows, vectors) = V::TILE;
    let mut j = 0;
    while j < product.n {
        let columns = (product.n - j).min(vectors * V::LANES);
        let wide = columns.div_ceil(V::LANES);
        let last = columns - (wide - 1) * V::LANES;
        let mut i = 0;
        while i < product.m {
            let high = (product.m - i).min(rows);
            // SAFETY: rows i.. of A and C and columns j.. of B and C lie inside the shapes, and the tile
            // is `high` rows and `columns` columns large.
            unsafe {
                let at = Tile {
                    k: product.k,
                    a: product.a.data.as_ptr().add(i * product.a.row),
                    a_row: product.a.row,
                    a_column: product.a.column,
                    b: product.b.as_ptr().add(j),
                    c: c.as_mut_ptr().add(i * product.n + j),
                    width: product.n,
                    last,
                    bias: product.epilogue.bias.map_or(std::ptr::null(), |bias| bias.as_ptr().add(j)),
                    relu: product.epilogue.relu,
                };
                at.dispatch::<V>(high, wide);
            }
            i += high;
        }
        j += columns;
    }
}

/// One tile of C.
struct Tile {
    k: usize,
    a: *const f32,
    a_row: usize,
    a_column: usize,
    b: *const f32,
    c: *mut f32,
    /// Distance between rows of B and of C.
    width: usize,
    /// Columns in the last vector.
    last: usize,
    bias: *const f32,
    relu: bool,
}

impl Tile {
    /// Selects the code for a tile of this size. Sizes must be constants so that the sums stay in registers.
    #[inline(always)]
    unsafe fn dispatch<V: Vector>(&self, high: usize, wide: usize) {
        macro_rules! pick {
            ($wide:literal: $($high:literal)*) => {
                match high {
                    $($high if self.last == V::LANES => unsafe { self.run::<V, $high, $wide, false>() },
                    $high => unsafe { self.run::<V, $high, $wide, true>() },)*
                    _ => unreachable!("tiles are at most 6 rows high"),
                }
            };
        }
        match wide {
            1 => pick!(1: 1 2 3 4 5 6),
            2 => pick!(2: 1 2 3 4 5 6),
            3 => pick!(3: 1 2 3 4 5 6),
            _ => pick!(4: 1 2 3 4 5 6),
        }
    }

    #[inline(always)]
    unsafe fn run<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool>(&self) {
        // SAFETY: `tiles` keeps the tile inside its matrices; with EDGE only the first `last` columns of the last vector are
        // accessed.
        unsafe {
            let mut sums = [[V::splat(0.0); WIDE]; HIGH];
            let (mut a, mut b) = (self.a, self.b);
            for _ in 0..self.k {
                let mut right = [V::splat(0.0); WIDE];
                for (j, right) in right.iter_mut().enumerate() {
                    *right = load::<V, WIDE, EDGE>(b, j, self.last);
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let left = V::splat(*a.add(i * self.a_row));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = left.mul_add(right, *sum);
                    }
                }
                a = a.add(self.a_column);
                b = b.add(self.width);
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (j, mut sum) in sums.into_iter().enumerate() {
                    if !self.bias.is_null() {
                        sum = sum.add(load::<V, WIDE, EDGE>(self.bias, j, self.last));
                    }
                    if self.relu {
                        sum = sum.relu();
                    }
                    store::<V, WIDE, EDGE>(sum, self.c.add(i * self.width), j, self.last);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    /// The definition: k in order, each product added with one fused multiply-add.
    fn by_definition(
        (m, n, k): (usize, usize, usize),
        a: Strided<'_>,
        b: &[f32],
        epilogue: Epilogue<'_>,
    ) -> Vec<f32> {
        let mut c = Vec::new();
        for i in 0..m {
            for j in 0..n {
                let sum =
                    (0..k).fold(0.0f32, |sum, l| a.data[i * a.row + l * a.column].mul_add(b[l * n + j], sum));
                let sum = epilogue.bias.map_or(sum, |bias| sum + bias[j]);
                c.push(if epilogue.relu && 0.0 > sum { 0.0 } else { sum });
            }
        }
        c
    }

    fn assert_on_every_level(
        expected: &[f32],
        sizes: (usize, usize, usize),
        a: Strided<'_>,
        b: &[f32],
        epilogue: Epilogue<'_>,
    ) {
        for level in Level::available() {
            let mut c = vec![f32::NAN; expected.len()];
            matmul(level, sizes, a, b, &mut c, epilogue);
            let bits = |c: &[f32]| c.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&c), bits(expected), "{level:?} {sizes:?}");
        }
    }

    #[test]
    fn every_instruction_set_gives_the_bits_of_the_definition() {
        let mut stream = Stream::new(2, "matmul");
        for (m, n, k) in
            [(1, 1, 1), (5, 7, 3), (6, 64, 20), (7, 65, 9), (13, 33, 40), (64, 10, 128), (3, 130, 0)]
        {
            let mut numbers =
                |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
            let (a, b, bias) = (numbers(m * k), numbers(k * n), numbers(n));
            for (row, column) in [(k, 1), (1, m)] {
                let a = Strided { data: &a, row, column };
                for epilogue in [Epilogue::default(), Epilogue { bias: Some(&bias), relu: true }] {
                    let expected = by_definition((m, n, k), a, &b, epilogue);
                    assert_on_every_level(&expected, (m, n, k), a, &b, epilogue);
                }
            }
        }
    }

    #[test]
    fn relu_keeps_nan() {
        for level in Level::available() {
            let mut c = [0.0; 2];
            let a = Strided { data: &[f32::NAN], row: 1, column: 1 };
            matmul(level, (1, 2, 1), a, &[1.0, 2.0], &mut c, Epilogue { bias: None, relu: true });
            assert!(c.iter().all(|x| x.is_nan()), "{level:?} {c:?}");
        }
    }
}
