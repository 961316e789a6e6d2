//! Convolution without padding, stride 1, with bias and an optional ReLU, as an operation of candle.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::activation::Activation;
use super::planes::{self, Sizes, transposed};
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

/// Batch and sizes, where the shapes fit.
fn sizes(x: &Shape, w: &Shape) -> Result<(usize, Sizes)> {
    let (batch, channels, height, width) = x.dims4()?;
    let (outputs, inputs, size, other) = w.dims4()?;
    if inputs != channels || size != other || size == 0 || size > height || size > width {
        candle_core::bail!("conv: x {x:?}, w {w:?}");
    }
    Ok((batch, Sizes { channels, height, width, outputs, size }))
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
        let (batch, sizes) = sizes(x_layout.shape(), w_layout.shape())?;
        if b_layout.shape().dims1()? != sizes.outputs {
            candle_core::bail!("conv: {} outputs, bias {:?}", sizes.outputs, b_layout.shape());
        }
        let (x, w, b) = (slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?);
        let mut y = vec![0.0; sizes.outputs * sizes.positions() * batch];
        planes::Conv::new(sizes, batch).forward(&transposed(x, sizes.inputs()), w, b, self.relu, &mut y);
        let shape = Shape::from((batch, sizes.outputs, sizes.out_height(), sizes.out_width()));
        Ok((CpuStorage::F32(transposed(&y, batch)), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, sizes) = sizes(x.shape(), w.shape())?;
        let dy = dy.contiguous()?;
        let mut dz = with_slice(&dy, |dy| Ok(dy.to_vec()))?;
        if self.relu {
            with_slice(y, |y| {
                Activation::Relu.back(y, &mut dz);
                Ok(())
            })?;
        }
        let dz = transposed(&dz, sizes.outputs * sizes.positions());
        let conv = planes::Conv::new(sizes, batch);
        let (mut dw, mut db) = (vec![0.0; w.elem_count()], vec![0.0; sizes.outputs]);
        with_slice(x, |x| {
            let (x, mut scratch) = (transposed(x, sizes.inputs()), vec![0.0; conv.scratch()]);
            conv.weight_gradient(&x, &dz, &mut dw, &mut db, &mut scratch);
            Ok(())
        })?;
        let dx = if self.input_gradient {
            let mut dx = vec![0.0; x.elem_count()];
            with_slice(w, |w| {
                conv.input_gradient(w, &dz, &mut dx);
                Ok(())
            })?;
            Some(Tensor::from_vec(transposed(&dx, batch), x.shape(), x.device())?)
        } else {
            None
        };
        let dw = Tensor::from_vec(dw, w.shape(), w.device())?;
        let db = Tensor::from_vec(db, b.shape(), b.device())?;
        Ok((dx, Some(dw), Some(db)))
    }
}
