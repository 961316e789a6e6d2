//! Products of the windows of an image with a matrix, for convolutions. Each output element adds its products in the order of the
//! window, each with one fused multiply-add; vectors run across the columns of the output.

use super::windows::Window;
use super::{Kernel, Level, Vector, level, load, store};

/// c(i, j) = bias(j) + sum over k of the k-th number of window i times b(k, j). With `relu`, negative results become 0. The windows
/// start in `image` at `starts`; `b` is (numbers of a window, n), `c` is (windows, n), and `n` is the length of `bias`.
///
/// # Panics
/// The slices are shorter than their shapes: a bug of the caller.
pub fn product(
    window: Window,
    image: &[f32],
    starts: &[u32],
    b: &[f32],
    (bias, relu): (&[f32], bool),
    c: &mut [f32],
) {
    product_at(level(), window, (image, starts), b, (bias, relu), c);
}

fn product_at(
    level: Level,
    window: Window,
    (image, starts): (&[f32], &[u32]),
    b: &[f32],
    (bias, relu): (&[f32], bool),
    c: &mut [f32],
) {
    let (Some(furthest), n) = (starts.iter().max(), bias.len()) else { return };
    // The only bounds checks: all code below computes addresses inside these slices.
    assert!(image.len() >= *furthest as usize + window.extent(), "the image is too short");
    assert!(b.len() >= window.rows * window.length * n, "b is too short");
    assert!(c.len() >= starts.len() * n, "c is too short");
    let product = Product { window, image, starts, b, bias, relu, c: c.as_mut_ptr() };
    // SAFETY: the bounds were checked above; a level is used only if the processor has it.
    unsafe { level.run(product) }
}

struct Product<'a> {
    window: Window,
    image: &'a [f32],
    starts: &'a [u32],
    b: &'a [f32],
    bias: &'a [f32],
    relu: bool,
    c: *mut f32,
}

impl Kernel for Product<'_> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        unsafe { self.tiles::<V>() }
    }
}

impl Product<'_> {
    /// Splits C into tiles of about equal height that fit into registers.
    ///
    /// # Safety
    /// The processor has V's instruction set; the slices are as long as `product_at` checks.
    #[inline(always)]
    unsafe fn tiles<V: Vector>(&self) {
        let (_, vectors) = V::TILE;
        let mut j = 0;
        while j < self.bias.len() {
            let columns = (self.bias.len() - j).min(vectors * V::LANES);
            let wide = columns.div_ceil(V::LANES);
            let last = columns - (wide - 1) * V::LANES;
            let most = V::TILE.0 + if wide <= 2 && vectors > 2 { 2 } else { 0 };
            let m = self.starts.len();
            let high = m.div_ceil(m.div_ceil(most));
            for i in (0..m).step_by(high) {
                // SAFETY: rows i.. and columns j.. lie inside C: `wide` vectors, with `last` columns in the last one.
                unsafe { self.dispatch::<V>(i, high.min(m - i), j, wide, last) }
            }
            j += columns;
        }
    }

    /// Selects the code for a tile of this size. Sizes must be constants so that the sums stay in registers.
    #[inline(always)]
    unsafe fn dispatch<V: Vector>(&self, i: usize, high: usize, j: usize, wide: usize, last: usize) {
        macro_rules! pick {
            ($wide:literal: $($high:literal)*) => {
                match high {
                    $($high if last == V::LANES => unsafe { self.tile::<V, $high, $wide, false>(i, j, last) },
                    $high => unsafe { self.tile::<V, $high, $wide, true>(i, j, last) },)*
                    _ => unreachable!("tiles are at most 8 rows high"),
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
    unsafe fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool>(
        &self,
        i: usize,
        j: usize,
        last: usize,
    ) {
        // SAFETY: `product_at` checked the lengths of the slices; with EDGE only `last` columns of the last vector are accessed.
        unsafe {
            let n = self.bias.len();
            let mut sums = [[V::splat(0.0); WIDE]; HIGH];
            let mut windows = [self.image.as_ptr(); HIGH];
            for (window, start) in windows.iter_mut().zip(self.starts.get_unchecked(i..i + HIGH)) {
                *window = window.add(*start as usize);
            }
            let mut b = self.b.as_ptr().wrapping_add(j);
            for row in 0..self.window.rows {
                for at in 0..self.window.length {
                    let at = row * self.window.stride + at;
                    add_products::<V, HIGH, WIDE, EDGE>(&mut sums, windows.map(|w| w.add(at)), b, last);
                    b = b.wrapping_add(n);
                }
            }
            let (bias, to) = (self.bias.as_ptr().add(j), self.c.add(i * n + j));
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let sum = sum.add(load::<V, WIDE, EDGE>(bias, v, last));
                    let sum = if self.relu { sum.relu() } else { sum };
                    store::<V, WIDE, EDGE>(sum, to.add(r * n), v, last);
                }
            }
        }
    }
}

/// Adds the products of one number of each window and one row of `b`.
///
/// # Safety
/// `b` and each of `left` can be read as in [`Product::tile`].
#[inline(always)]
unsafe fn add_products<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool>(
    sums: &mut [[V; WIDE]; HIGH],
    left: [*const f32; HIGH],
    b: *const f32,
    last: usize,
) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        let mut right = [V::splat(0.0); WIDE];
        for (v, right) in right.iter_mut().enumerate() {
            *right = load::<V, WIDE, EDGE>(b, v, last);
        }
        for (sums, left) in sums.iter_mut().zip(left) {
            let left = V::splat(*left);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = left.mul_add(right, *sum);
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
            m in 1usize..20, n in 1usize..150, rows in 0usize..4, length in 1usize..9, gap in 0usize..9,
            seed: u64, relu: bool,
        ) {
            let window = Window { rows, length, stride: length + gap };
            let mut stream = Stream::new(seed, "tiles");
            let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
            let (image, b, bias) = (numbers(50 + window.extent()), numbers(rows * length * n), numbers(n));
            let starts: Vec<u32> = numbers(m).iter().map(|x| ((x + 2.0) * 12.0) as u32).collect();
            let mut expected = Vec::new();
            for (start, j) in starts.iter().flat_map(|start| (0..n).map(move |j| (start, j))) {
                let mut sum = 0.0;
                for k in 0..rows * length {
                    let at = *start as usize + k / length * window.stride + k % length;
                    sum = image[at].mul_add(b[k * n + j], sum);
                }
                sum += bias[j];
                expected.push(if relu { sum.max(0.0) } else { sum }.to_bits());
            }
            for level in Level::available() {
                let mut c = vec![f32::NAN; m * n];
                product_at(level, window, (&image, &starts), &b, (&bias, relu), &mut c);
                let found: Vec<u32> = c.iter().map(|x| x.to_bits()).collect();
                prop_assert_eq!(&found, &expected, "{:?}", level);
            }
        }
    }
}
