//! Convolution and pooling on planes: activations laid out (channels, height, width, images), the images of
//! a batch side by side. So vectors run across images, no window is unfolded, and every sum has one order.

use super::reduce::add_rows;
use super::simd::leveled;
use super::tiles::{Finish, Walk, product};

/// The sizes of a convolution without padding, stride 1, with square windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Channels of the input.
    pub channels: usize,
    /// Of the input.
    pub height: usize,
    /// Of the input.
    pub width: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Of the window.
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

    /// Pixels of an output channel.
    pub fn positions(self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Numbers in a window.
    pub fn window(self) -> usize {
        self.channels * self.size * self.size
    }

    /// Numbers that come in for one image.
    pub fn inputs(self) -> usize {
        self.channels * self.height * self.width
    }
}

/// A convolution of batches of one size: its tables.
#[derive(Debug, Clone)]
pub struct Conv {
    sizes: Sizes,
    images: usize,
    /// Over (channel, down, right).
    forward: Walk,
    /// Where the weights of each output begin.
    outputs: Vec<u32>,
    /// For the pixels of the input: over (output, down, right), as far as these positions exist. By first
    /// and last step down and to the right.
    backward: Vec<([usize; 4], Walk)>,
    /// Where the weights of each channel begin within an output.
    channels: Vec<u32>,
    /// Over (column, image), for one row of the output.
    weights: Walk,
    /// Where the inputs of each weight of a window begin.
    windows: Vec<u32>,
}

impl Conv {
    /// The tables for batches of this size.
    pub fn new(sizes: Sizes, images: usize) -> Self {
        let Sizes { channels, height, width, outputs, size } = sizes;
        let square = size * size;
        let all = || (0..size).flat_map(|down| (0..size).map(move |right| (down, right)));
        let inner = all()
            .map(|(down, right)| ((down * size + right) as u32, ((down * width + right) * images) as u32));
        let forward = Walk::new(channels, (square, height * width * images), inner.collect());
        let windows = (0..channels).flat_map(|channel| {
            all().map(move |(down, right)| (((channel * height + down) * width + right) * images) as u32)
        });
        let row = sizes.out_width() * images;
        let mut conv = Self {
            sizes,
            images,
            forward,
            outputs: (0..outputs).map(|output| (output * sizes.window()) as u32).collect(),
            backward: Vec::new(),
            channels: (0..channels).map(|channel| (channel * square) as u32).collect(),
            weights: Walk::new(1, (0, 0), (0..row).map(|k| (k as u32, (k * outputs) as u32)).collect()),
            windows: windows.collect(),
        };
        for y in 0..height {
            for x in 0..width {
                let reach = conv.reach(y, x);
                if conv.backward.iter().all(|(known, _)| *known != reach) {
                    let walk = conv.back(reach);
                    conv.backward.push((reach, walk));
                }
            }
        }
        conv
    }

    /// Its sizes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The size of batches.
    pub fn images(&self) -> usize {
        self.images
    }

    /// First and last step down, and to the right, by which a pixel is seen from some position.
    fn reach(&self, y: usize, x: usize) -> [usize; 4] {
        let Sizes { size, .. } = self.sizes;
        let of = |at: usize, positions: usize| ((at + 1).saturating_sub(positions), at.min(size - 1));
        let ((first_down, last_down), (first_right, last_right)) =
            (of(y, self.sizes.out_height()), of(x, self.sizes.out_width()));
        [first_down, last_down, first_right, last_right]
    }

    /// From the position furthest up and to the left, which the last steps lead from.
    fn back(&self, [first_down, last_down, first_right, last_right]: [usize; 4]) -> Walk {
        let (size, width) = (self.sizes.size, self.sizes.out_width());
        let steps = (first_down..=last_down)
            .flat_map(|down| (first_right..=last_right).map(move |right| (down, right)));
        let inner = steps.map(|(down, right)| {
            let position = (last_down - down) * width + (last_right - right);
            ((down * size + right) as u32, (position * self.images) as u32)
        });
        let strides = (self.sizes.window(), self.sizes.positions() * self.images);
        Walk::new(self.sizes.outputs, strides, inner.collect())
    }

    /// y = x * w + b, and with `relu` what is negative becomes 0. `w` is (outputs, channels, size, size).
    pub fn forward(&self, x: &[f32], w: &[f32], b: &[f32], relu: bool, y: &mut [f32]) {
        let Sizes { width, .. } = self.sizes;
        let (out_height, out_width) = (self.sizes.out_height(), self.sizes.out_width());
        let plane = self.sizes.positions() * self.images;
        for row in 0..out_height {
            for column in 0..out_width {
                let from = &x[(row * width + column) * self.images..];
                let to = &mut y[(row * out_width + column) * self.images..];
                let finish = Finish::Bias(b, relu);
                product(&self.forward, w, &self.outputs, from, self.images, (to, plane), finish);
            }
        }
    }

    /// Gradient of the input from that of the output before its activation.
    pub fn input_gradient(&self, w: &[f32], dz: &[f32], dx: &mut [f32]) {
        let Sizes { height, width, .. } = self.sizes;
        let plane = height * width * self.images;
        for y in 0..height {
            for x in 0..width {
                let reach = self.reach(y, x);
                let Some((_, walk)) = self.backward.iter().find(|(known, _)| *known == reach) else {
                    continue;
                };
                let [_, last_down, _, last_right] = reach;
                let position = (y - last_down) * self.sizes.out_width() + (x - last_right);
                let from = &dz[position * self.images..];
                let to = &mut dx[(y * width + x) * self.images..];
                product(walk, w, &self.channels, from, self.images, (to, plane), Finish::Write);
            }
        }
    }

    /// Gradients of the weights and, as sums over positions and images, of the bias. `scratch` holds at least
    /// (columns, images, outputs) and (window, outputs) numbers: [`Conv::scratch`].
    pub fn weight_gradient(
        &self,
        x: &[f32],
        dz: &[f32],
        dw: &mut [f32],
        db: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Sizes { width, outputs, .. } = self.sizes;
        let row = self.sizes.out_width() * self.images;
        let plane = self.sizes.out_height() * row;
        let (by_position, rest) = scratch.split_at_mut(row * outputs);
        let by_window = &mut rest[..self.sizes.window() * outputs];
        let db = &mut db[..outputs];
        db.fill(0.0);
        by_window.fill(0.0);
        // Row by row, so that what is transposed is still in the cache when it is used.
        for y in 0..self.sizes.out_height() {
            transpose_part(&dz[y * row..], plane, row, by_position);
            add_rows(by_position, db);
            let x = &x[y * width * self.images..];
            product(
                &self.weights,
                x,
                &self.windows,
                by_position,
                outputs,
                (by_window, outputs),
                Finish::GoOn,
            );
        }
        transpose(by_window, outputs, dw);
    }

    /// Numbers of scratch that [`Conv::weight_gradient`] takes.
    pub fn scratch(&self) -> usize {
        (self.sizes.out_width() * self.images + self.sizes.window()) * self.sizes.outputs
    }
}

/// (rows, columns) to (columns, rows).
pub fn transpose(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    transpose_part(matrix, columns, columns, &mut transposed[..matrix.len()]);
}

/// The same, as a list of its own.
pub(crate) fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    let mut to = vec![0.0; matrix.len()];
    transpose(matrix, columns, &mut to);
    to
}

leveled! {
/// Some columns of a matrix whose rows stand `stride` apart, as (columns, rows) to `transposed`, whose length
/// says how many rows there are. Block by block, so that reads and writes stay in the cache.
fn transpose_part(matrix: &[f32], stride: usize, columns: usize, transposed: &mut [f32]) {
    const BLOCK: usize = 16;
    let rows = transposed.len() / columns.max(1);
    for top in (0..rows).step_by(BLOCK) {
        for left in (0..columns).step_by(BLOCK) {
            let (high, wide) = (BLOCK.min(rows - top), BLOCK.min(columns - left));
            if (high, wide) == (BLOCK, BLOCK) {
                let mut block = [[0.0f32; BLOCK]; BLOCK];
                for (i, row) in block.iter_mut().enumerate() {
                    let at = (top + i) * stride + left;
                    row.copy_from_slice(&matrix[at..at + BLOCK]);
                }
                let columns = (0..BLOCK).map(|j| block.map(|row| row[j]));
                for (j, column) in columns.enumerate() {
                    let at = (left + j) * rows + top;
                    transposed[at..at + BLOCK].copy_from_slice(&column);
                }
                continue;
            }
            for j in 0..wide {
                for i in 0..high {
                    transposed[(left + j) * rows + top + i] = matrix[(top + i) * stride + left + j];
                }
            }
        }
    }
}
}

leveled! {
/// The largest of each 2x2 window; a NaN wins, so that it is seen. `x` is (planes, height, width, images)
/// with even height and width.
pub fn pool(x: &[f32], width: usize, images: usize, y: &mut [f32]) {
    let row = width * images;
    for (pair, to) in x.chunks_exact(2 * row).zip(y.chunks_exact_mut(width / 2 * images)) {
        let (above, below) = pair.split_at(row);
        let windows = above.chunks_exact(2 * images).zip(below.chunks_exact(2 * images));
        for ((above, below), to) in windows.zip(to.chunks_exact_mut(images)) {
            let ((a, b), (c, d)) = (above.split_at(images), below.split_at(images));
            for ((((to, a), b), c), d) in to.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                let larger = |a: f32, b: f32| if b > a || (b.is_nan() && !a.is_nan()) { b } else { a };
                *to = larger(larger(larger(*a, *b), *c), *d);
            }
        }
    }
}
}

leveled! {
/// Gradient of [`pool`]: the first of the largest of a window, row by row, gets all of it. With `relu` the
/// gradient before the ReLU that gave `x`: none, where the largest is not above 0.
pub fn pool_gradient(x: &[f32], dy: &[f32], width: usize, images: usize, relu: bool, dx: &mut [f32]) {
    let row = width * images;
    let pairs = x.chunks_exact(2 * row).zip(dx.chunks_exact_mut(2 * row));
    for ((x, dx), dy) in pairs.zip(dy.chunks_exact(width / 2 * images)) {
        let ((above, below), (to_above, to_below)) = (x.split_at(row), dx.split_at_mut(row));
        let windows = above.chunks_exact(2 * images).zip(below.chunks_exact(2 * images));
        let to = to_above.chunks_exact_mut(2 * images).zip(to_below.chunks_exact_mut(2 * images));
        for (((above, below), (to_above, to_below)), dy) in windows.zip(to).zip(dy.chunks_exact(images)) {
            let ((a, b), (c, d)) = (above.split_at(images), below.split_at(images));
            let ((da, db), (dc, dd)) = (to_above.split_at_mut(images), to_below.split_at_mut(images));
            // Lengths that the compiler knows to be equal.
            let (a, b, c, d, dy) = (&a[..images], &b[..images], &c[..images], &d[..images], &dy[..images]);
            let (da, db) = (&mut da[..images], &mut db[..images]);
            let (dc, dd) = (&mut dc[..images], &mut dd[..images]);
            for i in 0..images {
                let wins = |new: f32, old: f32| (new > old) | (new.is_nan() & !old.is_nan());
                let second = wins(b[i], a[i]);
                let best = if second { b[i] } else { a[i] };
                let third = wins(c[i], best);
                let best = if third { c[i] } else { best };
                let last = wins(d[i], best);
                let best = if last { d[i] } else { best };
                let dy = if relu & (best <= 0.0) { 0.0 } else { dy[i] };
                da[i] = if second | third | last { 0.0 } else { dy };
                db[i] = if second & !third & !last { dy } else { 0.0 };
                dc[i] = if third & !last { dy } else { 0.0 };
                dd[i] = if last { dy } else { 0.0 };
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

    fn numbers(seed: u64, name: &str, count: usize) -> Vec<f32> {
        let mut stream = Stream::new(seed, "test", name);
        (0..count).map(|_| stream.uniform(1.0)).collect()
    }

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|x| x.to_bits()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Output by output, in the order that the functions promise.
        #[test]
        fn convolutions_are_those_of_the_definition(
            channels in 1usize..4, outputs in 1usize..11, size in 1usize..5, more in (0usize..5, 0usize..4),
            images in 1usize..40, seed: u64,
        ) {
            let sizes = Sizes { channels, height: size + more.0, width: size + more.1, outputs, size };
            let (high, wide) = (sizes.out_height(), sizes.out_width());
            let conv = Conv::new(sizes, images);
            let x = numbers(seed, "x", sizes.inputs() * images);
            let (w, b) = (numbers(seed, "w", outputs * sizes.window()), numbers(seed, "b", outputs));
            let dz = numbers(seed, "dz", outputs * sizes.positions() * images);
            let x_at = |c: usize, y: usize, x: usize, n: usize| ((c * sizes.height + y) * sizes.width + x) * images + n;
            let z_at = |o: usize, y: usize, x: usize, n: usize| ((o * high + y) * wide + x) * images + n;
            let w_at = |o: usize, c: usize, down: usize, right: usize| ((o * channels + c) * size + down) * size + right;

            let mut y = vec![f32::NAN; dz.len()];
            conv.forward(&x, &w, &b, true, &mut y);
            let mut dx = vec![f32::NAN; x.len()];
            conv.input_gradient(&w, &dz, &mut dx);
            let (mut dw, mut db) = (vec![f32::NAN; w.len()], vec![f32::NAN; outputs]);
            conv.weight_gradient(&x, &dz, &mut dw, &mut db, &mut vec![f32::NAN; conv.scratch()]);

            let mut expected = vec![0.0f32; dz.len()];
            let (mut back, mut weights, mut bias) = (vec![0.0f32; x.len()], vec![0.0f32; w.len()], vec![0.0f32; outputs]);
            for o in 0..outputs {
                for (row, column) in (0..high).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                    for n in 0..images {
                        let at = z_at(o, row, column, n);
                        for c in 0..channels {
                            for (down, right) in (0..size).flat_map(|d| (0..size).map(move |r| (d, r))) {
                                let (x_at, w_at) = (x_at(c, row + down, column + right, n), w_at(o, c, down, right));
                                expected[at] = w[w_at].mul_add(x[x_at], expected[at]);
                                weights[w_at] = x[x_at].mul_add(dz[at], weights[w_at]);
                            }
                        }
                        expected[at] = (expected[at] + b[o]).max(0.0);
                        bias[o] += dz[at];
                    }
                }
                for c in 0..channels {
                    for (down, right) in (0..size).flat_map(|d| (0..size).map(move |r| (d, r))) {
                        for (row, column) in (0..high).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                            for n in 0..images {
                                let at = x_at(c, row + down, column + right, n);
                                back[at] = w[w_at(o, c, down, right)].mul_add(dz[z_at(o, row, column, n)], back[at]);
                            }
                        }
                    }
                }
            }
            prop_assert_eq!(bits(&y), bits(&expected));
            prop_assert_eq!(bits(&dx), bits(&back));
            prop_assert_eq!(bits(&dw), bits(&weights));
            prop_assert_eq!(bits(&db), bits(&bias));
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
            planes in 1usize..4, height in 1usize..4, width in 1usize..4, images in 1usize..40, seed: u64,
        ) {
            let (height, width) = (2 * height, 2 * width);
            // Few values, so that equal ones meet; and a NaN now and then.
            let mut x = numbers(seed, "x", planes * height * width * images);
            x.iter_mut().for_each(|x| *x = if *x > 0.9 { f32::NAN } else { (*x * 2.0).round() });
            let dy = numbers(seed, "dy", x.len() / 4);
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![f32::NAN; x.len()]);
            pool(&x, width, images, &mut y);
            pool_gradient(&x, &dy, width, images, false, &mut dx);
            let mut masked = vec![f32::NAN; x.len()];
            pool_gradient(&x, &dy, width, images, true, &mut masked);
            for (i, y) in y.iter().enumerate() {
                let (n, at) = (i % images, i / images);
                let (row, column) = (at / (width / 2), at % (width / 2));
                let window = [(0, 0), (0, 1), (1, 0), (1, 1)]
                    .map(|(down, right)| ((2 * row + down) * width + 2 * column + right) * images + n);
                let mut best = window[0];
                for i in window {
                    if x[i] > x[best] || (x[i].is_nan() && !x[best].is_nan()) {
                        best = i;
                    }
                }
                prop_assert_eq!(y.to_bits(), x[best].to_bits());
                for i in window {
                    let own = if i == best { dy[at * images + n] } else { 0.0 };
                    prop_assert_eq!(dx[i], own);
                    prop_assert_eq!(masked[i], if x[best] <= 0.0 { 0.0 } else { own });
                }
            }
        }
    }
}
