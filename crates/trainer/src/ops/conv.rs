//! Convolution without padding, stride 1, with bias and an optional ReLU, as a candle operation.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::activation::Activation;
use super::{is_cpu_f32, slice, with_slice};
use kernels::channels_last::{self, Gradient, Sizes, transposed};

/// A convolution. `x` is (batch, channels, height, width), `w` is (outputs, channels, size, size), `b` is
/// (outputs); the result is (batch, outputs, height - size + 1, width - size + 1). With `relu`, negative results become 0. Without
/// `input_gradient`, for first layers, the backward pass computes no gradient of `x`.
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn conv(x: &Tensor, w: &Tensor, b: &Tensor, relu: bool, input_gradient: bool) -> Result<Tensor> {
    if is_cpu_f32(x) {
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

/// Batch size and sizes, after checking that the shapes fit.
fn sizes(x: &Shape, w: &Shape) -> Result<(usize, Sizes)> {
    let (batch, channels, height, width) = x.dims4()?;
    let (outputs, inputs, size, other) = w.dims4()?;
    if inputs != channels || size != other || size == 0 || size > height || size > width {
        candle_core::bail!("conv: shapes do not fit: x {x:?}, w {w:?}");
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
            candle_core::bail!(
                "conv: expected a bias for {} outputs, found shape {:?}",
                sizes.outputs,
                b_layout.shape()
            );
        }
        let (x, w, b) = (slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?);
        let mut conv = channels_last::Conv::new(sizes);
        conv.load(w);
        let mut y = vec![0.0; sizes.outputs * sizes.positions() * batch];
        let x = by_image(x, sizes.inputs(), sizes.height * sizes.width);
        let images = x.chunks_exact(sizes.inputs());
        for (x, y) in images.zip(y.chunks_exact_mut(sizes.outputs * sizes.positions())) {
            conv.forward(x, b, self.relu, y);
        }
        let y = by_image(&y, sizes.outputs * sizes.positions(), sizes.outputs);
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
        let (_, sizes) = sizes(x.shape(), w.shape())?;
        let dy = dy.contiguous()?;
        let mut dz = with_slice(&dy, |dy| Ok(dy.to_vec()))?;
        if self.relu {
            with_slice(y, |y| {
                Activation::Relu.backward(y, &mut dz);
                Ok(())
            })?;
        }
        let outputs = sizes.outputs * sizes.positions();
        let dz = by_image(&dz, outputs, sizes.positions());
        let (mut dw, mut db) = (vec![0.0; w.elem_count()], vec![0.0; sizes.outputs]);
        let mut dx = self.input_gradient.then(|| vec![0.0; x.elem_count()]);
        with_slice(x, |x| {
            with_slice(w, |w| {
                let x = by_image(x, sizes.inputs(), sizes.height * sizes.width);
                let mut conv = channels_last::Conv::new(sizes);
                conv.load(w);
                let gradient = |image: usize| Gradient::Full(&dz[image * outputs..][..outputs]);
                conv.gradients(&x, gradient, &mut dw, &mut db, dx.as_deref_mut());
                Ok(())
            })
        })?;
        let dx = dx.map(|dx| {
            let dx = by_image(&dx, sizes.inputs(), sizes.channels);
            Tensor::from_vec(dx, x.shape(), x.device())
        });
        let dw = Tensor::from_vec(dw, w.shape(), w.device())?;
        let db = Tensor::from_vec(db, b.shape(), b.device())?;
        Ok((dx.transpose()?, Some(dw), Some(db)))
    }
}

/// Transposes each image: from channels last to channels first, or back.
fn by_image(images: &[f32], numbers: usize, columns: usize) -> Vec<f32> {
    images.chunks_exact(numbers).flat_map(|image| transposed(image, columns)).collect()
}
