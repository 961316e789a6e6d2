//! A fully connected layer: y = x w + b, with an optional ReLU.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::matmul::{Epilogue, Strided, matmul};
use super::reduce::sum_rows;
use super::simd::level;
use super::{is_ours, slice, with_slice};

/// A fully connected layer. `x` is (batch, inputs), `w` is (inputs, outputs), `b` is (outputs); the result
/// is (batch, outputs). With `relu`, negative results become 0. Without `input_gradient` the backward
/// forms none for `x`: for a first layer.
///
/// # Errors
/// Shapes that don't fit, or a device that fails.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor, relu: bool, input_gradient: bool) -> Result<Tensor> {
    if is_ours(x) {
        return x.apply_op3(w, b, Linear { relu, input_gradient });
    }
    let x = if input_gradient { x.clone() } else { x.detach() };
    let y = x.matmul(w)?.broadcast_add(b)?;
    if relu { y.relu() } else { Ok(y) }
}

struct Linear {
    relu: bool,
    input_gradient: bool,
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
                "linear: x {:?}, w {:?}, b {:?}",
                x_layout.shape(),
                w_layout.shape(),
                b_layout.shape()
            );
        }
        let a = Strided { data: slice(x, x_layout)?, row: k, column: 1 };
        let epilogue = Epilogue { bias: Some(slice(b, b_layout)?), relu: self.relu };
        let mut y = vec![0.0; m * n];
        matmul(level(), (m, n, k), a, slice(w, w_layout)?, &mut y, epilogue);
        Ok((CpuStorage::F32(y), Shape::from((m, n))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((m, k), (_, n)) = (x.dims2()?, w.dims2()?);
        let dy = dy.contiguous()?;
        let dz = if self.relu { masked(&dy, y)? } else { with_slice(&dy, |dy| Ok(dy.to_vec()))? };
        let dw = with_slice(x, |x| {
            let mut dw = vec![0.0; k * n];
            let transposed = Strided { data: x, row: 1, column: k };
            matmul(level(), (k, n, m), transposed, &dz, &mut dw, Epilogue::default());
            Tensor::from_vec(dw, (k, n), w.device())
        })?;
        let db = Tensor::from_vec(sum_rows(&dz, n), n, w.device())?;
        let dx = if self.input_gradient {
            let transposed = with_slice(w, |w| Ok(transpose(w, k, n)))?;
            let mut dx = vec![0.0; m * k];
            let dz = Strided { data: &dz, row: n, column: 1 };
            matmul(level(), (m, k, n), dz, &transposed, &mut dx, Epilogue::default());
            Some(Tensor::from_vec(dx, (m, k), x.device())?)
        } else {
            None
        };
        Ok((dx, Some(dw), Some(db)))
    }
}

/// The gradient where the ReLU let something through.
pub(super) fn masked(dy: &Tensor, y: &Tensor) -> Result<Vec<f32>> {
    with_slice(dy, |dy| {
        with_slice(y, |y| Ok(dy.iter().zip(y).map(|(dy, y)| if *y <= 0.0 { 0.0 } else { *dy }).collect()))
    })
}

/// (rows, columns) to (columns, rows).
pub(super) fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut transposed = vec![0.0; rows * columns];
    if columns > 0 && rows > 0 {
        for (i, row) in matrix.chunks_exact(columns).enumerate() {
            for (x, column) in row.iter().zip(transposed.chunks_exact_mut(rows)) {
                column[i] = *x;
            }
        }
    }
    transposed
}
