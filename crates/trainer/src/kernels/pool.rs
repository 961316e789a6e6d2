//! Max-pooling over 2x2 windows. candle 0.11.1's own backward is wrong (for the window [1, 2, 3, 4] it
//! gives [0, 0, 0, 0.25] instead of [0, 0, 0, 1]), so this one has its own on every device.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use super::{is_ours, slice, with_slice};

/// The largest of each 2x2 window. `x` is (batch, channels, height, width) with even height and width;
/// the result is (batch, channels, height / 2, width / 2). Of equal numbers the first one, row by row,
/// gets the gradient.
///
/// # Errors
/// An odd height or width, or a device that fails.
pub fn max_pool_2x2(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    if height % 2 != 0 || width % 2 != 0 {
        candle_core::bail!("max_pool_2x2: height and width must be even, found {:?}", x.shape());
    }
    if is_ours(x) {
        return x.apply_op1(MaxPool);
    }
    let windows = x.reshape((batch, channels, height / 2, 2, width / 2, 2))?;
    windows.max(D::Minus1)?.max(D::Minus2)
}

struct MaxPool;

/// Calls `f` with the index of each result and the indices of its window.
fn for_windows(planes: usize, height: usize, width: usize, mut f: impl FnMut(usize, [usize; 4])) {
    let mut result = 0;
    for plane in 0..planes {
        for row in (0..height).step_by(2) {
            for column in (0..width).step_by(2) {
                let first = (plane * height + row) * width + column;
                f(result, [first, first + 1, first + width, first + width + 1]);
                result += 1;
            }
        }
    }
}

/// The first of the largest.
fn largest(x: &[f32], window: [usize; 4]) -> usize {
    let mut best = window[0];
    for i in window {
        // A NaN wins, so that it is seen.
        if x[i] > x[best] || (x[i].is_nan() && !x[best].is_nan()) {
            best = i;
        }
    }
    best
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "sweep-max-pool-2x2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let x = slice(x, layout)?;
        let mut y = vec![0.0; x.len() / 4];
        for_windows(batch * channels, height, width, |i, window| y[i] = x[largest(x, window)]);
        Ok((CpuStorage::F32(y), Shape::from((batch, channels, height / 2, width / 2))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (batch, channels, height, width) = x.dims4()?;
        let dy = dy.contiguous()?;
        let dx = with_slice(x, |x| {
            with_slice(&dy, |dy| {
                let mut dx = vec![0.0; x.len()];
                for_windows(batch * channels, height, width, |i, window| dx[largest(x, window)] = dy[i]);
                Ok(dx)
            })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}
