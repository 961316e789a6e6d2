//! Convolution and max-pooling of images in the layout (height, width, channels), one image after another. Vectors run across
//! channels, and windows are not unfolded. After max-pooling, gradients skip the positions that were not the largest of their window.
//! Every sum has a fixed order.

use crate::multiversioned;
use crate::reduce::add_rows;
use crate::simd::tiles::product;
use crate::simd::windows::{Place, Window, gather, scatter};

/// The sizes of a convolution without padding, stride 1, with square windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of the input.
    pub channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Height and width of the window.
    pub size: usize,
}

impl Sizes {
    /// Height of the output.
    pub fn out_height(self) -> usize {
        self.height - self.size + 1
    }

    /// Width of the output.
    pub fn out_width(self) -> usize {
        self.width - self.size + 1
    }

    /// Number of pixels of an output channel.
    pub fn positions(self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Number of inputs in a window.
    pub fn window(self) -> usize {
        self.channels * self.size * self.size
    }

    /// Number of inputs of one image.
    pub fn inputs(self) -> usize {
        self.channels * self.height * self.width
    }
}

/// The gradient of a convolution's output, for one image.
#[derive(Debug, Clone, Copy)]
pub enum Gradient<'a> {
    /// The gradient at each position: (positions, outputs).
    Full(&'a [f32]),
    /// The gradient of the largest number in each 2x2 window, and its position in the window (0 to 3); both (windows, outputs).
    Pooled(&'a [f32], &'a [u8]),
}

/// Number of images whose weight gradients are summed together. Their inputs stay in the L1 cache meanwhile.
const TOGETHER: usize = 2;

/// A convolution: index tables, weights in the layouts that its loops need, and buffers.
#[derive(Debug, Clone)]
pub struct Conv {
    sizes: Sizes,
    /// A window in the layout of the inputs.
    window: Window,
    /// For each position of two rows: the first index of its window.
    starts: Vec<u32>,
    /// For each position: its index, and the first index of its window. In the order of the 2x2 pooling windows.
    places: Vec<(u32, u32)>,
    /// (window, outputs).
    by_window: Vec<f32>,
    /// (outputs, window): like the model's weights, but channels last.
    by_output: Vec<f32>,
    /// Gradients of `by_output`.
    gradients: Vec<f32>,
    /// Two rows before pooling.
    rows: Vec<f32>,
    list: Vec<Place>,
}

impl Conv {
    /// A convolution with zero weights: see [`Conv::load`].
    pub fn new(sizes: Sizes) -> Self {
        let Sizes { channels, width, outputs, size, .. } = sizes;
        let (high, wide) = (sizes.out_height(), sizes.out_width());
        let start = |y: usize, x: usize| ((y * width + x) * channels) as u32;
        let windows = (0..high).step_by(2).flat_map(|y| (0..wide).step_by(2).map(move |x| (y, x)));
        let positions = windows.flat_map(|(top, left)| {
            let rows = top..(top + 2).min(high);
            rows.flat_map(move |y| (left..(left + 2).min(wide)).map(move |x| (y, x)))
        });
        Self {
            sizes,
            window: Window { rows: size, length: size * channels, stride: width * channels },
            starts: (0..2).flat_map(|y| (0..wide).map(move |x| start(y, x))).collect(),
            places: positions.map(|(y, x)| ((y * wide + x) as u32, start(y, x))).collect(),
            by_window: vec![0.0; sizes.window() * outputs],
            by_output: vec![0.0; sizes.window() * outputs],
            gradients: vec![0.0; sizes.window() * outputs],
            rows: vec![0.0; 2 * wide * outputs],
            list: vec![(0, 0.0); TOGETHER * sizes.positions()],
        }
    }

    /// Its sizes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Sets the weights, (outputs, channels, size, size).
    pub fn load(&mut self, w: &[f32]) {
        let Sizes { size, outputs, .. } = self.sizes;
        let window = self.sizes.window();
        for (from, to) in w.chunks_exact(window).zip(self.by_output.chunks_exact_mut(window)) {
            transpose(from, size * size, to);
        }
        transpose(&self.by_output, window, &mut self.by_window[..window * outputs]);
    }

    /// y = x * w + b for one image. With `relu`, negative results become 0.
    pub fn forward(&self, x: &[f32], b: &[f32], relu: bool, y: &mut [f32]) {
        let two = 2 * self.sizes.out_width() * self.sizes.outputs;
        for (pair, y) in y.chunks_mut(two).enumerate() {
            self.two_rows(x, pair, b, relu, y);
        }
    }

    /// [`Conv::forward`] with ReLU, then max-pooling over 2x2 windows. `which` gets the position of the largest number in each
    /// window. The output height and width must be even.
    pub fn forward_pooled(&mut self, x: &[f32], b: &[f32], y: &mut [f32], which: &mut [u8]) {
        let (wide, outputs) = (self.sizes.out_width(), self.sizes.outputs);
        let mut rows = std::mem::take(&mut self.rows);
        let pooled = wide / 2 * outputs;
        for (pair, (y, which)) in y.chunks_exact_mut(pooled).zip(which.chunks_exact_mut(pooled)).enumerate() {
            self.two_rows(x, pair, b, true, &mut rows);
            pool(&rows, wide, outputs, y, which);
        }
        self.rows = rows;
    }

    /// Computes rows 2 `pair` and 2 `pair` + 1 of the output; only the first if `y` has one row.
    fn two_rows(&self, x: &[f32], pair: usize, b: &[f32], relu: bool, y: &mut [f32]) {
        let Sizes { channels, width, outputs, .. } = self.sizes;
        let (x, starts) = (&x[2 * pair * width * channels..], &self.starts[..y.len() / outputs]);
        product(self.window, x, starts, &self.by_window, (&b[..outputs], relu), y);
    }

    /// Gradients of the weights, the bias and, with `dx`, the inputs. `x` holds one image after another, and `gradient` returns the
    /// gradient of an image's output. Each sum runs over images, then over positions in the order of pooling windows; zeros are
    /// skipped.
    pub fn gradients<'a>(
        &mut self,
        x: &[f32],
        gradient: impl Fn(usize) -> Gradient<'a>,
        dw: &mut [f32],
        db: &mut [f32],
        mut dx: Option<&mut [f32]>,
    ) {
        let (inputs, weights) = (self.sizes.inputs(), self.sizes.window());
        self.gradients.fill(0.0);
        db.fill(0.0);
        if let Some(dx) = &mut dx {
            dx.fill(0.0);
        }
        let images = x.len() / inputs;
        for first in (0..images).step_by(TOGETHER) {
            let some = first..(first + TOGETHER).min(images);
            some.clone().for_each(|image| self.add_to_bias(&gradient(image), db));
            let x = &x[first * inputs..];
            for output in 0..self.sizes.outputs {
                let dx = dx.as_deref_mut().map(|dx| &mut dx[first * inputs..]);
                self.sum_output(output, x, some.clone().map(&gradient), dx);
            }
        }
        for (from, to) in self.gradients.chunks_exact(weights).zip(dw.chunks_exact_mut(weights)) {
            transpose(from, self.sizes.channels, to);
        }
    }

    /// Adds the gradient of an image's output to the gradient of the bias, position by position.
    fn add_to_bias(&self, gradient: &Gradient<'_>, db: &mut [f32]) {
        let outputs = self.sizes.outputs;
        match gradient {
            Gradient::Pooled(largest, _) => add_rows(largest, db),
            Gradient::Full(all) => {
                for (position, _) in &self.places {
                    add_rows(&all[*position as usize * outputs..][..outputs], db);
                }
            }
        }
    }

    /// For one output channel: adds the contributions of some images, which start at `x` and `dx`, to the gradients of its weights
    /// and of the inputs.
    fn sum_output<'a>(
        &mut self,
        output: usize,
        x: &[f32],
        gradients: impl Iterator<Item = Gradient<'a>>,
        mut dx: Option<&mut [f32]>,
    ) {
        let (window, inputs, weights) = (self.window, self.sizes.inputs(), self.sizes.window());
        let mut count = 0;
        for (i, gradient) in gradients.enumerate() {
            let start = count;
            count = self.list(gradient, output, start, i * inputs);
            if let Some(dx) = &mut dx {
                let weights = &self.by_output[output * weights..][..weights];
                scatter(window, &self.list[start..count], weights, dx);
            }
        }
        let sums = &mut self.gradients[output * weights..][..weights];
        gather(window, &self.list[..count], x, sums);
    }

    /// Lists the positions with a non-zero gradient of an output channel, from index `count` of the list on. `image_start`: the first
    /// index of the image. Returns the new length of the list.
    fn list(&mut self, gradient: Gradient<'_>, output: usize, mut count: usize, image_start: usize) -> usize {
        let (outputs, list, image_start) = (self.sizes.outputs, &mut self.list, image_start as u32);
        // Always write, and advance only if non-zero: faster than a branch.
        let mut next = |start: u32, number: f32| {
            list[count] = (image_start + start, number);
            count += usize::from(number != 0.0);
        };
        match gradient {
            Gradient::Full(all) => {
                for (position, start) in &self.places {
                    next(*start, all[*position as usize * outputs + output]);
                }
            }
            Gradient::Pooled(largest, which) => {
                let windows = largest.chunks_exact(outputs).zip(which.chunks_exact(outputs));
                for ((largest, which), places) in windows.zip(self.places.as_chunks::<4>().0) {
                    next(places[usize::from(which[output] & 3)].1, largest[output]);
                }
            }
        }
        count
    }
}

/// Transposes a matrix with `columns` columns.
pub fn transpose(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    transpose_all(matrix, columns, &mut transposed[..matrix.len()]);
}

/// The transposed matrix, in a new vector.
pub fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut to = vec![0.0; matrix.len()];
    transpose(matrix, columns, &mut to);
    to
}

/// Height and width of the blocks in which a matrix is transposed.
const BLOCK: usize = 16;

multiversioned! {
/// Transposes block by block, so that reads and writes stay in the cache.
fn transpose_all(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    let rows = transposed.len() / columns.max(1);
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            transpose_block(matrix, (rows, columns), (top, left), transposed);
        }
    }
}
}

#[inline(always)]
fn transpose_block(
    matrix: &[f32],
    (rows, columns): (usize, usize),
    (top, left): (usize, usize),
    transposed: &mut [f32],
) {
    let (high, wide) = (BLOCK.min(rows - top), BLOCK.min(columns - left));
    if (high, wide) == (BLOCK, BLOCK) {
        let mut block = [[0.0f32; BLOCK]; BLOCK];
        for (i, row) in block.iter_mut().enumerate() {
            let at = (top + i) * columns + left;
            row.copy_from_slice(&matrix[at..at + BLOCK]);
        }
        let columns = (0..BLOCK).map(|j| block.map(|row| row[j]));
        for (j, column) in columns.enumerate() {
            let at = (left + j) * rows + top;
            transposed[at..at + BLOCK].copy_from_slice(&column);
        }
        return;
    }
    for j in 0..wide {
        for i in 0..high {
            transposed[(left + j) * rows + top + i] = matrix[(top + i) * columns + left + j];
        }
    }
}

multiversioned! {
/// The largest number of each 2x2 window, and its position in the window (0 to 3, row by row). The first of equal numbers counts; NaN
/// counts as the largest, so that it is not hidden. `x` is (height, width, channels) with even height and width.
pub fn pool(x: &[f32], width: usize, channels: usize, y: &mut [f32], which: &mut [u8]) {
    let row = width * channels;
    let to = y.chunks_exact_mut(row / 2).zip(which.chunks_exact_mut(row / 2));
    for (pair, (y, which)) in x.chunks_exact(2 * row).zip(to) {
        let (above, below) = pair.split_at(row);
        let windows = above.chunks_exact(2 * channels).zip(below.chunks_exact(2 * channels));
        let to = y.chunks_exact_mut(channels).zip(which.chunks_exact_mut(channels));
        for ((above, below), (y, which)) in windows.zip(to) {
            let ((a, b), (c, d)) = (above.split_at(channels), below.split_at(channels));
            // Equal lengths that the compiler can see, so that it omits bounds checks.
            let (a, b, c, d) = (&a[..channels], &b[..channels], &c[..channels], &d[..channels]);
            let (y, which) = (&mut y[..channels], &mut which[..channels]);
            for i in 0..channels {
                (y[i], which[i]) = largest([a[i], b[i], c[i], d[i]]);
            }
        }
    }
}
}

/// The largest number of a window, and its position.
#[inline(always)]
fn largest([first, others @ ..]: [f32; 4]) -> (f32, u8) {
    let (mut best, mut at) = (first, 0);
    for (place, new) in (1..).zip(others) {
        let wins = (new > best) | (new.is_nan() & !best.is_nan());
        best = if wins { new } else { best };
        at = if wins { place } else { at };
    }
    (best, at)
}

/// Gradient of [`pool`]: the largest number of each window gets the whole gradient.
pub fn pool_gradient(dy: &[f32], which: &[u8], width: usize, channels: usize, dx: &mut [f32]) {
    dx.fill(0.0);
    for (i, (dy, which)) in dy.iter().zip(which).enumerate() {
        let (window, channel) = (i / channels, i % channels);
        let (top, left) = (window / (width / 2) * 2, window % (width / 2) * 2);
        let (down, right) = (usize::from(which / 2), usize::from(which % 2));
        dx[((top + down) * width + left + right) * channels + channel] = *dy;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Stream;

    fn numbers(seed: u64, name: &str, count: usize) -> Vec<f32> {
        let mut stream = Stream::new(seed, name);
        (0..count).map(|_| stream.uniform(1.0)).collect()
    }

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|x| x.to_bits()).collect()
    }

    /// A gradient of 0 is skipped, so it does not change even the sign of a zero.
    fn add(to: &mut f32, by: f32, gradient: f32) {
        if gradient != 0.0 {
            *to = by.mul_add(gradient, *to);
        }
    }

    /// All positions in the order of the 2x2 windows.
    fn window_by_window(high: usize, wide: usize) -> Vec<(usize, usize)> {
        let mut all: Vec<(usize, usize)> = (0..high).flat_map(|y| (0..wide).map(move |x| (y, x))).collect();
        all.sort_by_key(|(y, x)| (y / 2, x / 2, *y, *x));
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Compares with the definition, in the documented order of sums.
        #[test]
        fn convolutions_match_the_definition(
            channels in 1usize..20, outputs in 1usize..11, size in 1usize..6, more in (0usize..5, 0usize..4),
            images in 1usize..4, seed: u64,
        ) {
            let sizes = Sizes { channels, height: size + more.0, width: size + more.1, outputs, size };
            let (high, wide, positions) = (sizes.out_height(), sizes.out_width(), sizes.positions());
            let x = numbers(seed, "x", sizes.inputs() * images);
            let (w, b) = (numbers(seed, "w", outputs * sizes.window()), numbers(seed, "b", outputs));
            // Some gradients are 0.
            let dz: Vec<f32> = numbers(seed, "dz", outputs * positions * images)
                .into_iter().map(|x| if x > 0.3 { 0.0 } else { x }).collect();
            let x_at = |n: usize, y: usize, x: usize, c: usize| ((n * sizes.height + y) * sizes.width + x) * channels + c;
            let z_at = |n: usize, y: usize, x: usize, o: usize| ((n * high + y) * wide + x) * outputs + o;
            let w_at = |o: usize, c: usize, down: usize, right: usize| ((o * channels + c) * size + down) * size + right;
            let window = || (0..size).flat_map(|d| (0..size).flat_map(move |r| (0..channels).map(move |c| (d, r, c))));

            let mut conv = Conv::new(sizes);
            conv.load(&w);
            let mut y = vec![f32::NAN; dz.len()];
            for (x, y) in x.chunks(sizes.inputs()).zip(y.chunks_mut(positions * outputs)) {
                conv.forward(x, &b, true, y);
            }
            let (mut dw, mut db, mut dx) = (vec![f32::NAN; w.len()], vec![f32::NAN; outputs], vec![f32::NAN; x.len()]);
            let of = |image: usize| Gradient::Full(&dz[image * positions * outputs..][..positions * outputs]);
            conv.gradients(&x, of, &mut dw, &mut db, Some(&mut dx));

            let mut expected = vec![0.0f32; dz.len()];
            let (mut back, mut weights, mut bias) = (vec![0.0f32; x.len()], vec![0.0f32; w.len()], vec![0.0f32; outputs]);
            for (n, o) in (0..images).flat_map(|n| (0..outputs).map(move |o| (n, o))) {
                for (row, column) in window_by_window(high, wide) {
                    let at = z_at(n, row, column, o);
                    bias[o] += dz[at];
                    for (down, right, c) in window() {
                        let (x_at, w_at) = (x_at(n, row + down, column + right, c), w_at(o, c, down, right));
                        expected[at] = x[x_at].mul_add(w[w_at], expected[at]);
                        add(&mut weights[w_at], x[x_at], dz[at]);
                        add(&mut back[x_at], w[w_at], dz[at]);
                    }
                    expected[at] = (expected[at] + b[o]).max(0.0);
                }
            }
            prop_assert_eq!(bits(&y), bits(&expected));
            prop_assert_eq!(bits(&dx), bits(&back));
            prop_assert_eq!(bits(&dw), bits(&weights));
            prop_assert_eq!(bits(&db), bits(&bias));
        }

        /// Compares pooled convolutions with a convolution followed by pooling.
        #[test]
        fn pooled_convolutions_match_convolution_then_pooling(
            channels in 1usize..4, outputs in 1usize..20, size in 1usize..4, half in (1usize..4, 1usize..4), seed: u64,
        ) {
            let (height, width) = (size - 1 + 2 * half.0, size - 1 + 2 * half.1);
            let sizes = Sizes { channels, height, width, outputs, size };
            let (x, w) = (numbers(seed, "x", sizes.inputs()), numbers(seed, "w", outputs * sizes.window()));
            let (b, windows) = (numbers(seed, "b", outputs), sizes.positions() / 4 * outputs);
            let mut conv = Conv::new(sizes);
            conv.load(&w);
            let (mut y, mut which) = (vec![f32::NAN; windows], vec![9; windows]);
            conv.forward_pooled(&x, &b, &mut y, &mut which);
            let mut all = vec![f32::NAN; 4 * windows];
            conv.forward(&x, &b, true, &mut all);
            let (mut expected, mut places) = (vec![f32::NAN; windows], vec![9; windows]);
            pool(&all, sizes.out_width(), outputs, &mut expected, &mut places);
            prop_assert_eq!(bits(&y), bits(&expected));
            prop_assert_eq!(&which, &places);

            let dy = numbers(seed, "dy", windows);
            let mut dz = vec![f32::NAN; 4 * windows];
            pool_gradient(&dy, &which, sizes.out_width(), outputs, &mut dz);
            let mut found = Vec::new();
            for gradient in [Gradient::Full(&dz), Gradient::Pooled(&dy, &which)] {
                let (mut dw, mut db, mut dx) = (vec![f32::NAN; w.len()], vec![f32::NAN; outputs], vec![f32::NAN; x.len()]);
                conv.gradients(&x, |_| gradient, &mut dw, &mut db, Some(&mut dx));
                found.push((bits(&dw), bits(&db), bits(&dx)));
            }
            prop_assert_eq!(&found[0], &found[1]);
        }

        #[test]
        fn transposing_moves_every_element(rows in 1usize..40, columns in 1usize..40, seed: u64) {
            let matrix = numbers(seed, "matrix", rows * columns);
            let mut transposed = vec![f32::NAN; matrix.len()];
            transpose(&matrix, columns, &mut transposed);
            for (i, x) in matrix.iter().enumerate() {
                prop_assert_eq!(x.to_bits(), transposed[i % columns * rows + i / columns].to_bits());
            }
        }

        #[test]
        fn pools_keep_the_first_of_the_largest(
            height in 1usize..4, width in 1usize..4, channels in 1usize..40, seed: u64,
        ) {
            let (height, width) = (2 * height, 2 * width);
            // Few different values, so that some are equal, and a few NaNs.
            let mut x = numbers(seed, "x", height * width * channels);
            x.iter_mut().for_each(|x| *x = if *x > 0.9 { f32::NAN } else { (*x * 2.0).round() });
            let dy = numbers(seed, "dy", x.len() / 4);
            let (mut y, mut which, mut dx) = (vec![0.0; dy.len()], vec![9; dy.len()], vec![f32::NAN; x.len()]);
            pool(&x, width, channels, &mut y, &mut which);
            pool_gradient(&dy, &which, width, channels, &mut dx);
            for (i, y) in y.iter().enumerate() {
                let (channel, at) = (i % channels, i / channels);
                let (row, column) = (at / (width / 2), at % (width / 2));
                let window = [(0, 0), (0, 1), (1, 0), (1, 1)]
                    .map(|(down, right)| ((2 * row + down) * width + 2 * column + right) * channels + channel);
                let wins = |new: usize, old: usize| x[new] > x[old] || (x[new].is_nan() && !x[old].is_nan());
                let best = window.into_iter().fold(window[0], |best, i| if wins(i, best) { i } else { best });
                prop_assert_eq!(y.to_bits(), x[best].to_bits());
                let expected = window.map(|i| if i == best { dy[at * channels + channel] } else { 0.0 });
                prop_assert_eq!(window.map(|i| dx[i]), expected);
            }
        }
    }
}
