//! Max-pooling over 2x2 windows. The backward pass of candle 0.11.1 is wrong (for the window [1, 2, 3, 4] it gives [0, 0, 0, 0.25]
//! instead of [0, 0, 0, 1]), so no device uses it.

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use super::{is_cpu_f32, slice, with_slice};
use kernels::channels_last::{pool, pool_gradient};

/// The largest number of each 2x2 window. `x` is (batch, channels, height, width) with even height and width; the result is (batch,
/// channels, height / 2, width / 2). If numbers are equal, the first one, row by row, gets the gradient.
///
/// # Errors
/// The height or width is odd, or the device fails.
pub fn max_pool_2x2(x: &Tensor) -> Result<Tensor> {
    let (batch, channels, height, width) = x.dims4()?;
    if height % 2 != 0 || width % 2 != 0 {
        candle_core::bail!("max_pool_2x2: height and width must be even, found {:?}", x.shape());
    }
    if is_cpu_f32(x) {
        return x.apply_op1(MaxPool);
    }
    let windows = x.reshape((batch, channels, height / 2, 2, width / 2, 2))?;
    windows.max(D::Minus1)?.max(D::Minus2)
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "sweep-max-pool-2x2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, channels, height, width) = layout.shape().dims4()?;
        let x = slice(x, layout)?;
        let (y, _) = pooled(x, width);
        Ok((CpuStorage::F32(y), Shape::from((batch, channels, height / 2, width / 2))))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (.., width) = x.dims4()?;
        let dy = dy.contiguous()?;
        let dx = with_slice(x, |x| {
            with_slice(&dy, |dy| {
                let mut dx = vec![0.0; x.len()];
                let (_, which) = pooled(x, width);
                pool_gradient(dy, &which, width, 1, &mut dx);
                Ok(dx)
            })
        })?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

/// Pools all channels of all images as one image of a single channel, in which they are below each other.
fn pooled(x: &[f32], width: usize) -> (Vec<f32>, Vec<u8>) {
    let (mut y, mut which) = (vec![0.0; x.len() / 4], vec![0; x.len() / 4]);
    pool(x, width, 1, &mut y, &mut which);
    (y, which)
}
