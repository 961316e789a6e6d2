//! Sums over the windows of an image at some of its positions only, for the gradients of a convolution after max-pooling, which passes
//! a gradient to one position in four. Each output element adds its products in the order of the positions, each with one fused
//! multiply-add, on any instruction set.

use super::{Kernel, Level, Vector, level, load, store};

/// A window: rows of consecutive numbers in an image that is stored row by row.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Number of rows.
    pub rows: usize,
    /// Numbers per row.
    pub length: usize,
    /// Distance between rows of the image, in numbers.
    pub stride: usize,
}

impl Window {
    /// Distance from its first number to the end of its last row.
    pub(super) fn extent(self) -> usize {
        self.rows.saturating_sub(1) * self.stride + self.length
    }
}

/// The first index of a window in the image, and the number that belongs to the window.
pub type Place = (u32, f32);

/// For each place: sums(row, i) += its number times the image at (row, i) of its window. `sums` is (rows, length).
///
/// # Panics
/// The slices are shorter than places and window require: a bug of the caller.
pub fn gather(window: Window, places: &[Place], image: &[f32], sums: &mut [f32]) {
    check(window, places, image, sums);
    let image = image.as_ptr().cast_mut();
    Windows::<false> { window, places, image, values: sums.as_mut_ptr() }.run_at(level());
}

/// For each place: the image at (row, i) of its window += its number times weights(row, i). `weights` is (rows, length).
///
/// # Panics
/// As for [`gather`].
pub fn scatter(window: Window, places: &[Place], weights: &[f32], image: &mut [f32]) {
    check(window, places, image, weights);
    let values = weights.as_ptr().cast_mut();
    Windows::<true> { window, places, image: image.as_mut_ptr(), values }.run_at(level());
}

/// The only bounds checks: all code below computes addresses inside these slices.
fn check(window: Window, places: &[Place], image: &[f32], values: &[f32]) {
    let furthest = places.iter().fold(0, |most, place| place.0.max(most)) as usize;
    assert!(places.is_empty() || image.len() >= furthest + window.extent(), "the image is too short");
    assert!(values.len() >= window.rows * window.length, "the window has too few values");
}

/// Without `SCATTER` it reads `image` and writes `values`; with it, it reads `values` and writes `image`.
struct Windows<'a, const SCATTER: bool> {
    window: Window,
    places: &'a [Place],
    image: *mut f32,
    values: *mut f32,
}

impl<const SCATTER: bool> Kernel for Windows<'_, SCATTER> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        unsafe { self.all::<V>() }
    }
}

impl<const SCATTER: bool> Windows<'_, SCATTER> {
    fn run_at(self, level: Level) {
        // SAFETY: `check` checked the bounds; a level is used only if the processor has it.
        unsafe { level.run(self) }
    }

    /// Processes all places. Overlapping windows write to the same numbers of the image, so `scatter` goes place by place: then the
    /// order of sums does not depend on tiles.
    ///
    /// # Safety
    /// The processor has V's instruction set; the slices are as long as `check` requires.
    #[inline(always)]
    unsafe fn all<V: Vector>(&self) {
        for places in self.places.chunks(if SCATTER { 1 } else { usize::MAX }) {
            // SAFETY: guaranteed by the caller.
            unsafe { self.tiles::<V>(places) }
        }
    }

    /// Splits the window into tiles that fit into registers: up to five rows of five vectors, or of two with few registers.
    ///
    /// # Safety
    /// As for `all`.
    #[inline(always)]
    unsafe fn tiles<V: Vector>(&self, places: &[Place]) {
        let Window { rows, length, .. } = self.window;
        let most = if V::REGISTERS > 16 { 5 } else { 2 };
        let mut column = 0;
        while column < length {
            let left = length - column;
            let wide = match left.div_ceil(V::LANES) {
                wide if wide >= most => most,
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
                                self.tile::<V, $high, $wide, false>(places, row, column, last);
                            }
                            ($high, $wide) => self.tile::<V, $high, $wide, true>(places, row, column, last),)*
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
    unsafe fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const EDGE: bool>(
        &self,
        places: &[Place],
        row: usize,
        column: usize,
        last: usize,
    ) {
        let Window { length, stride, .. } = self.window;
        // SAFETY: with EDGE only `last` columns of the last vector are accessed; places were checked.
        unsafe {
            let values = self.values.add(row * length + column);
            let image = self.image.add(row * stride + column);
            let mut tile = [[V::splat(0.0); WIDE]; HIGH];
            for (r, row) in tile.iter_mut().enumerate() {
                for (v, vector) in row.iter_mut().enumerate() {
                    *vector = load::<V, WIDE, EDGE>(values.add(r * length), v, last);
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
                        store::<V, WIDE, EDGE>(vector, values.add(r * length), v, last);
                    }
                }
            }
        }
    }
}

/// Adds `number` times a row of the image to a row of the tile; with `SCATTER`, `number` times the tile's row to the image.
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
    // SAFETY: guaranteed by the caller.
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
            rows in 0usize..8, length in 1usize..100, gap in 0usize..20, count in 0usize..12, seed: u64,
        ) {
            let window = Window { rows, length, stride: length + gap };
            let mut stream = Stream::new(seed, "windows");
            let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| stream.uniform(2.0)).collect() };
            let (image, values) = (numbers(50 + window.extent()), numbers(rows * length));
            let factors = numbers(count);
            let places: Vec<Place> = numbers(count).iter().map(|x| ((x + 2.0) * 12.0) as u32).zip(factors).collect();
            let (mut gathered, mut scattered) = (values.clone(), image.clone());
            for (offset, number) in &places {
                for (row, i) in (0..rows).flat_map(|row| (0..length).map(move |i| (row, i))) {
                    let (at, seen) = (row * length + i, *offset as usize + row * window.stride + i);
                    gathered[at] = number.mul_add(image[seen], gathered[at]);
                    scattered[seen] = number.mul_add(values[at], scattered[seen]);
                }
            }
            let bits = |numbers: &[f32]| -> Vec<u32> { numbers.iter().map(|x| x.to_bits()).collect() };
            for level in Level::available() {
                let (mut sums, mut seen) = (values.clone(), image.clone());
                check(window, &places, &image, &sums);
                let (from, to) = (image.as_ptr().cast_mut(), sums.as_mut_ptr());
                Windows::<false> { window, places: &places, image: from, values: to }.run_at(level);
                let from = values.as_ptr().cast_mut();
                let to = seen.as_mut_ptr();
                Windows::<true> { window, places: &places, image: to, values: from }.run_at(level);
                prop_assert_eq!(bits(&sums), bits(&gathered), "{:?}", level);
                prop_assert_eq!(bits(&seen), bits(&scattered), "{:?}", level);
            }
        }
    }
}
