//! Convolution without padding, stride 1, with bias and an optional ReLU: image by image as a matrix
//! product over unfolded windows.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::linear::masked;
use super::matmul::{Epilogue, Strided, matmul};
use super::reduce::sum;
use super::simd::{level, leveled};
use super::{is_ours, slice, with_slice};

/// A convolution. `x` is (batch, channels, height, width), `w` is (outputs, channels, size, size), `b` is
/// (outputs); the result is (batch, outputs, height - size + 1, width - size + 1). With `relu`, negative
/// results become 0. Without `input_gradient` the backward forms none for `x`: for a first layer.
///
/// # Errors
/// Shapes that don't fit, or a device that fails.
pub fn conv(x: &Tensor, w: &Tensor, b: &Tensor, relu: bool, input_gradient: bool) -> Result<Tensor> {
    if is_ours(x) {
        return x.apply_op3(w, b, Conv { relu, input_gradient });
    }
    let x = if input_gradient { x.clone() } else { x.detach() };
    let y = x.conv2d(w, 0, 1, 1, 1)?.broadcast_add(&b.reshape((1, (), 1, 1))?)?;
    if relu { y.relu() } else { Ok(y) }
}

struct Conv {
    relu: bool,
    input_gradient: bool,
}

/// The sizes of one image's convolution.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    channels: usize,
    height: usize,
    width: usize,
    outputs: usize,
    size: usize,
}

impl Sizes {
    fn of(x: &Shape, w: &Shape) -> Result<(usize, Self)> {
        let (batch, channels, height, width) = x.dims4()?;
        let (outputs, inputs, size, other) = w.dims4()?;
        if inputs != channels || size != other || size == 0 || size > height || size > width {
            candle_core::bail!("conv: x {x:?}, w {w:?}");
        }
        Ok((batch, Self { channels, height, width, outputs, size }))
    }

    fn out_height(self) -> usize {
        self.height - self.size + 1
    }

    fn out_width(self) -> usize {
        self.width - self.size + 1
    }

    /// Pixels of a result.
    fn positions(self) -> usize {
        self.out_height() * self.out_width()
    }

    /// Numbers in a window.
    fn window(self) -> usize {
        self.channels * self.size * self.size
    }

    /// Numbers in an image.
    fn image(self) -> usize {
        self.channels * self.height * self.width
    }

    /// Calls `f` with each row of windows: number in the window, first position, first pixel. The row has
    /// `out_width` positions, and as many pixels side by side.
    #[inline(always)]
    fn for_rows(self, mut f: impl FnMut(usize, usize, usize)) {
        let (out_height, out_width) = (self.out_height(), self.out_width());
        let mut number = 0;
        for channel in 0..self.channels {
            for down in 0..self.size {
                for right in 0..self.size {
                    for row in 0..out_height {
                        let pixel = (channel * self.height + row + down) * self.width + right;
                        f(number, row * out_width, pixel);
                    }
                    number += 1;
                }
            }
        }
    }
}

leveled! {
/// Unfolds an image to (window, positions).
fn unfold(sizes: Sizes, x: &[f32], unfolded: &mut [f32]) {
    let (positions, width) = (sizes.positions(), sizes.out_width());
    sizes.for_rows(|number, position, pixel| {
        let to = number * positions + position;
        unfolded[to..to + width].copy_from_slice(&x[pixel..pixel + width]);
    });
}
}

leveled! {
/// Adds what stands in (window, positions) to the pixels it came from, in the order of the window.
fn fold(sizes: Sizes, unfolded: &[f32], x: &mut [f32]) {
    let (positions, width) = (sizes.positions(), sizes.out_width());
    sizes.for_rows(|number, position, pixel| {
        let from = number * positions + position;
        for (x, u) in x[pixel..pixel + width].iter_mut().zip(&unfolded[from..from + width]) {
            *x += u;
        }
    });
}
}

leveled! {
/// Adds the bias to each plane of a result.
fn finish(y: &mut [f32], bias: &[f32], positions: usize, relu: bool) {
    for (plane, bias) in y.chunks_exact_mut(positions).zip(bias) {
        for y in plane {
            let z = *y + bias;
            *y = if relu && 0.0 > z { 0.0 } else { z };
        }
    }
}
}

leveled! {
/// Adds one gradient to another.
fn accumulate(sum: &mut [f32], part: &[f32]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "sweep-conv"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, sizes) = Sizes::of(x_layout.shape(), w_layout.shape())?;
        if b_layout.shape().dims1()? != sizes.outputs {
            candle_core::bail!("conv: {} outputs, bias {:?}", sizes.outputs, b_layout.shape());
        }
        let (x, w, b) = (slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?);
        let (window, positions) = (sizes.window(), sizes.positions());
        let mut unfolded = vec![0.0; window * positions];
        let mut y = vec![0.0; batch * sizes.outputs * positions];
        let weights = Strided { data: w, row: window, column: 1 };
        for (x, y) in x.chunks_exact(sizes.image()).zip(y.chunks_exact_mut(sizes.outputs * positions)) {
            unfold(sizes, x, &mut unfolded);
            matmul(level(), (sizes.outputs, positions, window), weights, &unfolded, y, Epilogue::default());
            finish(y, b, positions, self.relu);
        }
        let shape = Shape::from((batch, sizes.outputs, sizes.out_height(), sizes.out_width()));
        Ok((CpuStorage::F32(y), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, sizes) = Sizes::of(x.shape(), w.shape())?;
        let dy = dy.contiguous()?;
        let dz = if self.relu { masked(&dy, y)? } else { with_slice(&dy, |dy| Ok(dy.to_vec()))? };
        let gradients = with_slice(x, |x| with_slice(w, |w| Ok(self.gradients(sizes, x, w, &dz))))?;
        let dx = match gradients.x {
            Some(dx) => Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            None => None,
        };
        let dw = Tensor::from_vec(gradients.w, w.shape(), w.device())?;
        let db = Tensor::from_vec(gradients.b, b.shape(), b.device())?;
        Ok((dx, Some(dw), Some(db)))
    }
}

struct Gradients {
    x: Option<Vec<f32>>,
    w: Vec<f32>,
    b: Vec<f32>,
}

impl Conv {
    /// All gradients, the images' shares added from the first to the last.
    fn gradients(&self, sizes: Sizes, x: &[f32], w: &[f32], dz: &[f32]) -> Gradients {
        let (window, positions, outputs) = (sizes.window(), sizes.positions(), sizes.outputs);
        let mut dx = self.input_gradient.then(|| vec![0.0; x.len()]);
        let (mut dw, mut db) = (vec![0.0; w.len()], vec![0.0; outputs]);
        let mut unfolded = vec![0.0; window * positions];
        let mut windows = vec![0.0; window * positions];
        let mut share = vec![0.0; w.len()];
        for (i, (x, dz)) in
            x.chunks_exact(sizes.image()).zip(dz.chunks_exact(outputs * positions)).enumerate()
        {
            let left = Strided { data: dz, row: positions, column: 1 };
            unfold(sizes, x, &mut unfolded);
            transpose_into(&unfolded, positions, &mut windows);
            matmul(level(), (outputs, window, positions), left, &windows, &mut share, Epilogue::default());
            accumulate(&mut dw, &share);
            for (db, plane) in db.iter_mut().zip(dz.chunks_exact(positions)) {
                *db += sum(plane);
            }
            if let Some(dx) = &mut dx {
                let weights = Strided { data: w, row: 1, column: window };
                matmul(
                    level(),
                    (window, positions, outputs),
                    weights,
                    dz,
                    &mut unfolded,
                    Epilogue::default(),
                );
                fold(sizes, &unfolded, &mut dx[i * sizes.image()..(i + 1) * sizes.image()]);
            }
        }
        Gradients { x: dx, w: dw, b: db }
    }
}

leveled! {
/// (rows, columns) to (columns, rows), a few columns at a time so that reads and writes stay in the cache.
fn transpose_into(matrix: &[f32], columns: usize, transposed: &mut [f32]) {
    const BLOCK: usize = 16;
    let rows = matrix.len() / columns;
    for first in (0..columns).step_by(BLOCK) {
        let last = (first + BLOCK).min(columns);
        for (i, row) in matrix.chunks_exact(columns).enumerate() {
            for (j, x) in row[first..last].iter().enumerate() {
                transposed[(first + j) * rows + i] = *x;
            }
        }
    }
}
}
