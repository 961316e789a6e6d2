//! Products whose operands stand apart in memory and are found by tables of offsets: what convolutions are
//! made of. Each output element adds its products in the order of the walk, each by one fused multiply-add;
//! vectors run across the columns of the output.

use super::{Level, Vector, level, load, store};

/// Which elements are multiplied, and in which order: for each of `outers` rounds, each pair of `inner`.
/// Distances are in numbers.
#[derive(Debug, Clone)]
pub struct Walk {
    outers: usize,
    /// How far A and B move from round to round.
    strides: (usize, usize),
    /// Offsets into A and B within a round.
    inner: Vec<(u32, u32)>,
    /// The furthest offsets of all.
    furthest: (usize, usize),
}

impl Walk {
    /// See the fields.
    pub fn new(outers: usize, strides: (usize, usize), inner: Vec<(u32, u32)>) -> Self {
        let most = inner.iter().fold((0, 0), |most, pair| (pair.0.max(most.0), pair.1.max(most.1)));
        let rounds = outers.saturating_sub(1);
        let furthest = (most.0 as usize + rounds * strides.0, most.1 as usize + rounds * strides.1);
        Self { outers, strides, inner, furthest }
    }
}

/// What happens to a finished element.
#[derive(Debug, Clone, Copy)]
pub enum Finish<'a> {
    /// It is written.
    Write,
    /// The sum goes on from what stands there.
    GoOn,
    /// The number of its row is added, and with the flag a ReLU follows.
    Bias(&'a [f32], bool),
}

/// c(i, j) = sum of a(i, k) b(k, j) over the walk, for each of `rows` (the offset of each in `a`) and `n`
/// columns: a(i, k) is `a[rows[i] + its offset]`, b(k, j) is `b[its offset + j]`, c(i, j) is
/// `c[i * width + j]`.
///
/// # Panics
/// The slices are shorter than the offsets say: a mistake of the caller.
pub fn product(
    walk: &Walk,
    a: &[f32],
    rows: &[u32],
    b: &[f32],
    n: usize,
    to: (&mut [f32], usize),
    finish: Finish<'_>,
) {
    product_at(level(), walk, (a, rows), (b, n), to, finish);
}

fn product_at(
    level: Level,
    walk: &Walk,
    (a, rows): (&[f32], &[u32]),
    (b, n): (&[f32], usize),
    (c, width): (&mut [f32], usize),
    finish: Finish<'_>,
) {
    let (Some(last), true) = (rows.iter().max(), n > 0) else { return };
    // The only bounds checks: everything below computes addresses inside these.
    assert!(walk.inner.is_empty() || a.len() > *last as usize + walk.furthest.0, "a is too short");
    assert!(walk.inner.is_empty() || b.len() >= walk.furthest.1 + n, "b is too short");
    assert!(c.len() >= (rows.len() - 1) * width + n && (width >= n || rows.len() == 1), "c is too short");
    assert!(!matches!(finish, Finish::Bias(bias, _) if bias.len() < rows.len()), "the bias is too short");
    let product = Product { walk, a, rows, b, n, c: c.as_mut_ptr(), width, finish };
    match level {
        // SAFETY: the bounds were checked above; a level exists only where the processor has it.
        Level::Scalar => unsafe { product.tiles::<f32>() },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { product.avx2() },
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { product.avx512() },
    }
}

struct Product<'a> {
    walk: &'a Walk,
    a: &'a [f32],
    rows: &'a [u32],
    b: &'a [f32],
    n: usize,
    c: *mut f32,
    width: usize,
    finish: Finish<'a>,
}

impl Product<'_> {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(&self) {
        unsafe { self.tiles::<std::arch::x86_64::__m256>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512(&self) {
        unsafe { self.tiles::<std::arch::x86_64::__m512>() }
    }

    /// Cuts C into tiles that fit the registers, about equally high.
    ///
    /// # Safety
    /// The processor has V's instruction set; the slices are as long as the offsets say.
    #[inline(always)]
    unsafe fn tiles<V: Vector>(&self) {
        let (_, vectors) = V::TILE;
        let mut j = 0;
        while j < self.n {
            let columns = (self.n - j).min(vectors * V::LANES);
            let wide = columns.div_ceil(V::LANES);
            let last = columns - (wide - 1) * V::LANES;
            let most = V::TILE.0 + if wide <= 2 && vectors > 2 { 2 } else { 0 };
            let m = self.rows.len();
            let high = m.div_ceil(m.div_ceil(most));
            for i in (0..m).step_by(high) {
                // SAFETY: rows i.. and columns j.. lie inside, `wide` vectors with `last` columns in the last.
                unsafe { self.any::<V>(i, high.min(m - i), j, wide, last) }
            }
            j += columns;
        }
    }

    /// Picks the code for a tile of this size: sizes must be constants for the sums to stay in registers.
    #[inline(always)]
    unsafe fn any<V: Vector>(&self, i: usize, high: usize, j: usize, wide: usize, last: usize) {
        macro_rules! pick {
            ($wide:literal: $($high:literal)*) => {
                match high {
                    $($high if last == V::LANES => unsafe { self.run::<V, $high, $wide, false>(i, j, last) },
                    $high => unsafe { self.run::<V, $high, $wide, true>(i, j, last) },)*
                    _ => unreachable!("tiles are no higher than that"),
                }
            };
        }
        match wide {
            1 => pick!(1: 1 2 3 4 5 6 7 8),
            2 => pick!(2: 1 2 3 4 5 6 7 8),
            3 => pick!(3: 1 2 3 4 5 6),
            _ => pick!(4: 1 2 3 4 5 6),
        }
    }

    #[inline(always)]
    unsafe fn run<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool>(
        &self,
        i: usize,
        j: usize,
        last: usize,
    ) {
        // SAFETY: offsets were checked by `product`; with EDGE only `last` columns of the last vector are
        // touched.
        unsafe {
            let to = self.c.add(i * self.width + j);
            let mut sums = [[V::splat(0.0); WIDE]; HIGH];
            if let Finish::GoOn = self.finish {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = load::<V, WIDE, EDGE>(to.add(r * self.width), v, last);
                    }
                }
            }
            let mut rows = [self.a.as_ptr(); HIGH];
            for (row, offset) in rows.iter_mut().zip(self.rows.get_unchecked(i..i + HIGH)) {
                *row = row.add(*offset as usize);
            }
            let mut b = self.b.as_ptr().add(j);
            let mut moved = 0;
            for _ in 0..self.walk.outers {
                for (left, right) in &self.walk.inner {
                    let (left, from) = (moved + *left as usize, b.add(*right as usize));
                    let mut right = [V::splat(0.0); WIDE];
                    for (v, right) in right.iter_mut().enumerate() {
                        *right = load::<V, WIDE, EDGE>(from, v, last);
                    }
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let left = V::splat(*row.add(left));
                        for (sum, right) in sums.iter_mut().zip(right) {
                            *sum = left.mul_add(right, *sum);
                        }
                    }
                }
                moved += self.walk.strides.0;
                b = b.wrapping_add(self.walk.strides.1);
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, mut sum) in sums.into_iter().enumerate() {
                    if let Finish::Bias(bias, relu) = self.finish {
                        sum = sum.add(V::splat(*bias.get_unchecked(i + r)));
                        if relu {
                            sum = sum.relu();
                        }
                    }
                    store::<V, WIDE, EDGE>(sum, to.add(r * self.width), v, last);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_bits_of_the_definition(
            m in 1usize..20, n in 1usize..150, outers in 0usize..4, inner in 0usize..9, seed: u64, finish in 0..3,
        ) {
            let mut stream = Stream::new(seed, "test", "tiles");
            let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
            let (a, b, bias, before) = (numbers(200), numbers(400 + n), numbers(m), numbers(m * n));
            let mut offsets = Stream::new(seed, "test", "offsets");
            let mut below = |most: u32| (offsets.uniform(0.5) + 0.5).mul_add(most as f32, 0.0) as u32;
            let pairs: Vec<(u32, u32)> = (0..inner).map(|_| (below(50), below(100))).collect();
            let rows: Vec<u32> = (0..m).map(|_| below(50)).collect();
            let strides = (below(30) as usize, below(90) as usize);
            let walk = Walk::new(outers, strides, pairs.clone());
            let finish = match finish {
                0 => Finish::Write,
                1 => Finish::GoOn,
                _ => Finish::Bias(&bias, true),
            };
            let mut expected = Vec::new();
            for i in 0..m {
                for j in 0..n {
                    let mut sum = if matches!(finish, Finish::GoOn) { before[i * n + j] } else { 0.0 };
                    for round in 0..outers {
                        for (left, right) in &pairs {
                            let left = a[(rows[i] + left) as usize + round * strides.0];
                            sum = left.mul_add(b[*right as usize + round * strides.1 + j], sum);
                        }
                    }
                    if let Finish::Bias(bias, _) = finish {
                        sum = (sum + bias[i]).max(0.0);
                    }
                    expected.push(sum.to_bits());
                }
            }
            for level in Level::available() {
                let mut c = before.clone();
                product_at(level, &walk, (&a, &rows), (&b, n), (&mut c, n), finish);
                let found: Vec<u32> = c.iter().map(|x| x.to_bits()).collect();
                prop_assert_eq!(&found, &expected, "{:?}", level);
            }
        }
    }
}
