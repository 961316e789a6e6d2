//! A fully connected layer: y = x w + b, and an activation.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::activation::Activation;
use super::{is_cpu_f32, slice, with_slice, with_workspace};
use kernels::matmul::{Epilogue, Strided, Target, matmul};
use kernels::reduce::sum_rows;

/// A fully connected layer. `x` is (batch, inputs), `w` is (inputs, outputs), `b` is (outputs); the result is (batch, outputs).
/// Without `input_gradient`, for first layers, the backward pass computes no gradient of `x`.
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn linear(
    x: &Tensor,
    w: &Tensor,
    b: &Tensor,
    activation: Activation,
    input_gradient: bool,
) -> Result<Tensor> {
    if is_cpu_f32(x) {
        return x.apply_op3(w, b, Linear { activation, input_gradient });
    }
    let x = if input_gradient { x.clone() } else { x.detach() };
    activation.by_candle(&x.matmul(w)?.broadcast_add(b)?)
}

struct Linear {
    activation: Activation,
    input_gradient: bool,
}

/// x w + b.
fn affine(x: &[f32], w: &[f32], b: &[f32], (m, n, k): (usize, usize, usize)) -> Vec<f32> {
    let mut z = vec![0.0; m * n];
    let (x, w) = (Strided::rows(x, k), Strided::rows(w, n));
    let epilogue = Epilogue { bias: Some(b), ..Epilogue::default() };
    with_workspace(|space| matmul((m, n, k), x, w, Target::rows(&mut z, n), epilogue, space));
    z
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "sweep-linear"
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
        let (m, k) = x_layout.shape().dims2()?;
        let (inputs, n) = w_layout.shape().dims2()?;
        if inputs != k || b_layout.shape().dims1()? != n {
            candle_core::bail!(
                "linear: shapes do not fit: x {:?}, w {:?}, b {:?}",
                x_layout.shape(),
                w_layout.shape(),
                b_layout.shape()
            );
        }
        let (x, w, b) = (slice(x, x_layout)?, slice(w, w_layout)?, slice(b, b_layout)?);
        let mut y = affine(x, w, b, (m, n, k));
        self.activation.apply(&mut y);
        Ok((CpuStorage::F32(y), Shape::from((m, n))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((m, k), (_, n)) = (x.dims2()?, w.dims2()?);
        let dy = dy.contiguous()?;
        let mut dz = with_slice(&dy, |dy| Ok(dy.to_vec()))?;
        if self.activation.needs_input() {
            let z = with_slice(x, |x| with_slice(w, |w| with_slice(b, |b| Ok(affine(x, w, b, (m, n, k))))))?;
            self.activation.backward(&z, &mut dz);
        } else {
            with_slice(y, |y| {
                self.activation.backward(y, &mut dz);
                Ok(())
            })?;
        }
        let dw = with_slice(x, |x| {
            let mut dw = vec![0.0; k * n];
            let (x, dz) = (Strided::rows(x, k).transposed(), Strided::rows(&dz, n));
            let target = Target::rows(&mut dw, n);
            with_workspace(|space| matmul((k, n, m), x, dz, target, Epilogue::default(), space));
            Tensor::from_vec(dw, (k, n), w.device())
        })?;
        let db = Tensor::from_vec(sum_rows(&dz, n), n, w.device())?;
        let dx = if self.input_gradient {
            let mut dx = vec![0.0; m * k];
            with_slice(w, |w| {
                let (dz, w) = (Strided::rows(&dz, n), Strided::rows(w, n).transposed());
                let target = Target::rows(&mut dx, k);
                with_workspace(|space| matmul((m, k, n), dz, w, target, Epilogue::default(), space));
                Ok(())
            })?;
            Some(Tensor::from_vec(dx, (m, k), x.device())?)
        } else {
            None
        };
        Ok((dx, Some(dw), Some(db)))
    }
}
