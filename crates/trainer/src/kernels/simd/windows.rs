//! Windows of an image, seen from some of its places only: what the gradients of a convolution are made of
//! after a max-pool, which passes a gradient on to one place in four. Each output element adds its products in
//! the order of the places, each by one fused multiply-add, on any instruction set.

use super::{Level, Vector, level, load, store};

/// A window: rows of numbers that stand side by side, within images laid out row by row.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// How many.
    pub rows: usize,
    /// Numbers in each.
    pub length: usize,
    /// From row to row of the image, in numbers.
    pub stride: usize,
}

impl Window {
    /// How much of an image it reaches over, from its first number to after its last.
    pub(super) fn reach(self) -> usize {
        self.rows.saturating_sub(1) * self.stride + self.length
    }
}

/// Where a window begins, and the number that belongs to it.
pub type Place = (u32, f32);

/// sums(row, i) += the number of each place times the image's number there: `sums` is (rows, length).
///
/// # Panics
/// The slices are shorter than places and window say: a mistake of the caller.
pub fn gather(window: Window, places: &[Place], image: &[f32], sums: &mut [f32]) {
    check(window, places, image, sums);
    Windows { window, places, image: image.as_ptr().cast_mut(), own: sums.as_mut_ptr() }.at::<false>(level());
}

/// The image's number at each place += the number of the place times weights(row, i): `weights` is
/// (rows, length).
///
/// # Panics
/// As for [`gather`].
pub fn scatter(window: Window, places: &[Place], weights: &[f32], image: &mut [f32]) {
    check(window, places, image, weights);
    let own = weights.as_ptr().cast_mut();
    Windows { window, places, image: image.as_mut_ptr(), own }.at::<true>(level());
}

/// The only bounds checks: everything below computes addresses inside these.
fn check(window: Window, places: &[Place], image: &[f32], own: &[f32]) {
    let furthest = places.iter().fold(0, |most, place| place.0.max(most)) as usize;
    assert!(places.is_empty() || image.len() >= furthest + window.reach(), "the image is too short");
    assert!(own.len() >= window.rows * window.length, "the window's own numbers are too few");
}

/// `gather` writes `own` and reads `image`; `scatter` the other way round.
struct Windows<'a> {
    window: Window,
    places: &'a [Place],
    image: *mut f32,
    own: *mut f32,
}

impl Windows<'_> {
    fn at<const SCATTER: bool>(&self, level: Level) {
        match level {
            // SAFETY: the bounds were checked; a level exists only where the processor has it.
            Level::Scalar => unsafe { self.all::<f32, 2, SCATTER>() },
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { self.avx2::<SCATTER>() },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { self.avx512::<SCATTER>() },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<const SCATTER: bool>(&self) {
        unsafe { self.all::<std::arch::x86_64::__m256, 2, SCATTER>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<const SCATTER: bool>(&self) {
        unsafe { self.all::<std::arch::x86_64::__m512, 5, SCATTER>() }
    }

    /// Windows that overlap write to the same numbers of the image: place after place, so that the order of these
    /// sums does not depend on tiles.
    ///
    /// # Safety
    /// The processor has V's instruction set; the slices are as long as `check` says.
    #[inline(always)]
    unsafe fn all<V: Vector, const MOST: usize, const SCATTER: bool>(&self) {
        for places in self.places.chunks(if SCATTER { 1 } else { usize::MAX }) {
            // SAFETY: as promised to us.
            unsafe { self.tiles::<V, MOST, SCATTER>(places) }
        }
    }

    /// Cuts the window into tiles that fit the registers: up to five rows of up to `MOST` vectors.
    ///
    /// # Safety
    /// As for `all`.
    #[inline(always)]
    unsafe fn tiles<V: Vector, const MOST: usize, const SCATTER: bool>(&self, places: &[Place]) {
        let Window { rows, length, .. } = self.window;
        let mut column = 0;
        while column < length {
            let left = length - column;
            let wide = match left.div_ceil(V::LANES) {
                wide if wide >= MOST => MOST,
                2.. => 2,
                _ => 1,
            };
            let columns = left.min(wide * V::LANES);
            let last = columns - (wide - 1) * V::LANES;
            let mut row = 0;
            while row < rows {
                let high = if rows - row >= 5 { 5 } else { 1 };
                macro_rules! pick {
                    ($($high:literal $wide:tt)*) => {
                        match (high, wide) {
                            $(($high, $wide) if last == V::LANES => {
                                self.tile::<V, $high, $wide, false, SCATTER>(places, row, column, last);
                            }
                            ($high, $wide) => self.tile::<V, $high, $wide, true, SCATTER>(places, row, column, last),)*
                            _ => unreachable!("there are no other tiles"),
                        }
                    };
                }
                // SAFETY: rows row.. and columns column.. lie inside the window.
                unsafe { pick!(1 1 1 2 1 5 5 1 5 2 5 5) }
                row += high;
            }
            column += columns;
        }
    }

    /// # Safety
    /// As for `tiles`; the tile lies inside the window, and its last vector has `last` columns.
    #[inline(always)]
    unsafe fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool, const SCATTER: bool>(
        &self,
        places: &[Place],
        row: usize,
        column: usize,
        last: usize,
    ) {
        let Window { length, stride, .. } = self.window;
        // SAFETY: with EDGE only `last` columns of the last vector are touched; places were checked.
        unsafe {
            let own = self.own.add(row * length + column);
            let image = self.image.add(row * stride + column);
            let mut tile = [[V::splat(0.0); WIDE]; HIGH];
            for (r, row) in tile.iter_mut().enumerate() {
                for (v, vector) in row.iter_mut().enumerate() {
                    *vector = load::<V, WIDE, EDGE>(own.add(r * length), v, last);
                }
            }
            for (offset, number) in places {
                let (image, number) = (image.add(*offset as usize), V::splat(*number));
                for (r, row) in tile.iter_mut().enumerate() {
                    add_row::<V, WIDE, EDGE, SCATTER>(row, number, image.add(r * stride), last);
                }
            }
            if !SCATTER {
                for (r, row) in tile.into_iter().enumerate() {
                    for (v, vector) in row.into_iter().enumerate() {
                        store::<V, WIDE, EDGE>(vector, own.add(r * length), v, last);
                    }
                }
            }
        }
    }
}

/// Adds `number` times a row of the image to a row of the tile, or with `SCATTER` the other way.
///
/// # Safety
/// The row of the image can be read, and with `SCATTER` written, as in [`Windows::tile`].
#[inline(always)]
unsafe fn add_row<V: Vector, const WIDE: usize, const EDGE: bool, const SCATTER: bool>(
    row: &mut [V; WIDE],
    number: V,
    image: *mut f32,
    last: usize,
) {
    // SAFETY: as the caller promises.
    unsafe {
        for (v, vector) in row.iter_mut().enumerate() {
            let seen = load::<V, WIDE, EDGE>(image, v, last);
            if SCATTER {
                store::<V, WIDE, EDGE>(number.mul_add(*vector, seen), image, v, last);
            } else {
                *vector = number.mul_add(seen, *vector);
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
            rows in 0usize..8, length in 1usize..100, beside in 0usize..20, count in 0usize..12, seed: u64,
        ) {
            let window = Window { rows, length, stride: length + beside };
            let mut stream = Stream::new(seed, "test", "windows");
            let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
            let (image, own, values) = (numbers(50 + window.reach()), numbers(rows * length), numbers(count));
            let places: Vec<Place> = numbers(count).iter().map(|x| ((x + 2.0) * 12.0) as u32).zip(values).collect();
            let (mut gathered, mut scattered) = (own.clone(), image.clone());
            for (offset, number) in &places {
                for (row, i) in (0..rows).flat_map(|row| (0..length).map(move |i| (row, i))) {
                    let (at, seen) = (row * length + i, *offset as usize + row * window.stride + i);
                    gathered[at] = number.mul_add(image[seen], gathered[at]);
                    scattered[seen] = number.mul_add(own[at], scattered[seen]);
                }
            }
            let bits = |numbers: &[f32]| -> Vec<u32> { numbers.iter().map(|x| x.to_bits()).collect() };
            for level in Level::available() {
                let (mut sums, mut seen) = (own.clone(), image.clone());
                check(window, &places, &image, &sums);
                let (from, to) = (image.as_ptr().cast_mut(), sums.as_mut_ptr());
                Windows { window, places: &places, image: from, own: to }.at::<false>(level);
                let from = own.as_ptr().cast_mut();
                Windows { window, places: &places, image: seen.as_mut_ptr(), own: from }.at::<true>(level);
                prop_assert_eq!(bits(&sums), bits(&gathered), "{:?}", level);
                prop_assert_eq!(bits(&seen), bits(&scattered), "{:?}", level);
            }
        }
    }
}
