//! Causal self-attention (Vaswani et al. 2017, arXiv 1706.03762): each position attends to itself and to earlier positions.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use super::softmax::{softmax, softmax_backward, softmax_in_place};
use super::{is_cpu_f32, slice, with_slice, with_workspace};
use kernels::matmul::{Epilogue, Strided, Target, Workspace, matmul};

/// Attention over sequences of `context` positions with `heads` heads. `qkv` is (sequences x context, 3 x width): for each position
/// its query, key and value, each a row of heads. The result is (sequences x context, width).
///
/// # Errors
/// The shapes don't fit, or the device fails.
pub fn causal_attention(qkv: &Tensor, context: usize, heads: usize) -> Result<Tensor> {
    let (rows, columns) = qkv.dims2()?;
    if context == 0 || heads == 0 || !rows.is_multiple_of(context) || !columns.is_multiple_of(3 * heads) {
        candle_core::bail!(
            "attention: shape {:?} does not fit {heads} heads over {context} positions",
            qkv.shape()
        );
    }
    let (width, size) = (columns / 3, columns / 3 / heads);
    if is_cpu_f32(qkv) {
        return qkv.apply_op1(Attention { context, heads, size });
    }
    // (sequences, context, 3, heads, size) -> three times (sequences, heads, context, size).
    let parts = qkv.reshape((rows / context, context, 3, heads, size))?;
    let part = |i| parts.narrow(2, i, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (part(0)?, part(1)?, part(2)?);
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * (1.0 / (size as f64).sqrt()))?;
    let mask: Vec<f32> = (0..context * context)
        .map(|i| if i % context > i / context { f32::NEG_INFINITY } else { 0.0 })
        .collect();
    let mask = Tensor::from_vec(mask, (context, context), qkv.device())?.to_dtype(qkv.dtype())?;
    let scores = scores.broadcast_add(&mask)?;
    softmax(&scores)?.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((rows, width))
}

struct Attention {
    context: usize,
    heads: usize,
    /// Width of a head.
    size: usize,
}

/// Buffers to compute one head of one sequence: (context, context) each.
struct Buffers {
    weights: Vec<f32>,
    gradient: Vec<f32>,
}

/// Rows at distance `row`, from index `first` on.
fn part(data: &[f32], first: usize, row: usize) -> Strided<'_> {
    Strided { data: &data[first..], row, column: 1 }
}

impl Attention {
    fn buffers(&self) -> Buffers {
        let square = vec![0.0; self.context * self.context];
        Buffers { weights: square.clone(), gradient: square }
    }

    /// Distance between two positions in queries, keys and values.
    fn stride(&self) -> usize {
        3 * self.heads * self.size
    }

    /// For each head of each sequence, calls `f` with the index of the first element of queries, keys and values, and of the output.
    fn each(&self, rows: usize, mut f: impl FnMut([usize; 3], usize)) {
        let width = self.heads * self.size;
        for sequence in 0..rows / self.context {
            for head in 0..self.heads {
                let (row, column) = (sequence * self.context, head * self.size);
                let first = row * 3 * width + column;
                f([first, first + width, first + 2 * width], row * width + column);
            }
        }
    }

    /// Computes the attention weights of one head.
    fn weights(&self, qkv: &[f32], [q, k, _]: [usize; 3], weights: &mut [f32], space: &mut Workspace) {
        let (context, size, stride) = (self.context, self.size, self.stride());
        let (queries, keys) = (part(qkv, q, stride), part(qkv, k, stride).transposed());
        let target = Target::rows(weights, context);
        matmul((context, context, size), queries, keys, target, Epilogue::default(), space);
        let scale = 1.0 / (size as f32).sqrt();
        for (i, row) in weights.chunks_exact_mut(context).enumerate() {
            let (seen, later) = row.split_at_mut(i + 1);
            softmax_in_place(seen, scale);
            later.fill(0.0);
        }
    }

    fn forward(&self, qkv: &[f32], out: &mut [f32], space: &mut Workspace) {
        let (context, size, width) = (self.context, self.size, self.heads * self.size);
        let Buffers { mut weights, .. } = self.buffers();
        self.each(out.len() / width, |[q, k, v], to| {
            self.weights(qkv, [q, k, v], &mut weights, space);
            let (weights, values) = (Strided::rows(&weights, context), part(qkv, v, self.stride()));
            let target = Target { data: &mut out[to..], row: width };
            matmul((context, size, context), weights, values, target, Epilogue::default(), space);
        });
    }

    fn backward(&self, qkv: &[f32], d_out: &[f32], d_qkv: &mut [f32], space: &mut Workspace) {
        let (context, size, width) = (self.context, self.size, self.heads * self.size);
        let (stride, scale) = (self.stride(), 1.0 / (size as f32).sqrt());
        let (sizes, plain) = ((context, size, context), Epilogue::default());
        let Buffers { mut weights, mut gradient } = self.buffers();
        self.each(d_out.len() / width, |[q, k, v], out| {
            self.weights(qkv, [q, k, v], &mut weights, space);
            let d_out = part(d_out, out, width);
            // dV = P' dO.
            let by_key = Strided::rows(&weights, context).transposed();
            matmul(sizes, by_key, d_out, Target { data: &mut d_qkv[v..], row: stride }, plain, space);
            // dP = dO V'; dS = P (dP - its mean under P).
            let (values, target) = (part(qkv, v, stride).transposed(), Target::rows(&mut gradient, context));
            matmul((context, context, size), d_out, values, target, plain, space);
            for (weights, gradient) in weights.chunks_exact(context).zip(gradient.chunks_exact_mut(context)) {
                softmax_backward(weights, gradient, scale);
            }
            // dQ = dS K, dK = dS' Q.
            let (by_query, keys) = (Strided::rows(&gradient, context), part(qkv, k, stride));
            matmul(sizes, by_query, keys, Target { data: &mut d_qkv[q..], row: stride }, plain, space);
            let queries = part(qkv, q, stride);
            let target = Target { data: &mut d_qkv[k..], row: stride };
            matmul(sizes, by_query.transposed(), queries, target, plain, space);
        });
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "sweep-causal-attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, columns) = layout.shape().dims2()?;
        let mut out = vec![0.0; rows * columns / 3];
        let qkv = slice(qkv, layout)?;
        with_workspace(|space| self.forward(qkv, &mut out, space));
        Ok((CpuStorage::F32(out), Shape::from((rows, columns / 3))))
    }

    fn bwd(&self, qkv: &Tensor, _out: &Tensor, d_out: &Tensor) -> Result<Option<Tensor>> {
        debug_assert_eq!(qkv.dtype(), DType::F32);
        let d_out = d_out.contiguous()?;
        let gradient = with_slice(qkv, |qkv| {
            with_slice(&d_out, |d_out| {
                let mut gradient = vec![0.0; qkv.len()];
                with_workspace(|space| self.backward(qkv, d_out, &mut gradient, space));
                Ok(gradient)
            })
        })?;
        Tensor::from_vec(gradient, qkv.shape(), qkv.device()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::random::Stream;

    /// Output and gradient, with a different weight for each number of the output.
    fn both(qkv: &[f32], rows: usize, context: usize, heads: usize, dtype: DType) -> [Vec<f64>; 2] {
        let qkv = Tensor::from_slice(qkv, (rows, qkv.len() / rows), &Device::Cpu).expect("a tensor");
        let qkv = Var::from_tensor(&qkv.to_dtype(dtype).expect("a type")).expect("a variable");
        let out = causal_attention(&qkv, context, heads).expect("attention");
        let weights: Vec<f64> = (0..out.elem_count()).map(|i| ((i * 7 % 11) as f64 - 5.0) / 5.0).collect();
        let weights = Tensor::from_vec(weights, out.shape(), &Device::Cpu).expect("weights");
        let loss =
            (&out * weights.to_dtype(dtype).expect("a type")).expect("a product").sum_all().expect("a sum");
        let gradients = loss.backward().expect("gradients");
        let numbers = |tensor: &Tensor| {
            let flat = tensor.flatten_all().and_then(|flat| flat.to_dtype(DType::F64));
            flat.and_then(|flat| flat.to_vec1()).expect("numbers")
        };
        [numbers(&out), numbers(gradients.get(&qkv).expect("its gradient"))]
    }

    /// Tests the default shape of a model (64 positions, 4 heads of 32), and sizes that do not fill a vector.
    #[test]
    fn kernels_agree_with_candles_operations_at_every_size() {
        for (sequences, context, heads, size) in
            [(2, 64, 4, 32), (1, 1, 1, 3), (3, 16, 2, 8), (2, 37, 3, 5), (1, 128, 2, 16)]
        {
            let mut qkv = vec![0.0; sequences * context * 3 * heads * size];
            Stream::new(1, "attention", &format!("{context}")).normals(&mut qkv);
            let rows = sequences * context;
            let [ours, theirs] =
                [DType::F32, DType::F64].map(|dtype| both(&qkv, rows, context, heads, dtype));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let largest = theirs.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                for (a, b) in ours.iter().zip(theirs) {
                    assert!((a - b).abs() < 1e-5 * largest, "{context} {heads} {size}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn no_position_sees_a_later_one() {
        let (context, heads, width) = (37, 3, 15);
        let mut qkv = vec![0.0; context * 3 * width];
        Stream::new(2, "attention", "").normals(&mut qkv);
        let [before, _] = both(&qkv, context, context, heads, DType::F32);
        qkv[20 * 3 * width..].iter_mut().for_each(|x| *x += 1.0);
        let [after, _] = both(&qkv, context, context, heads, DType::F32);
        assert_eq!(before[..20 * width], after[..20 * width]);
        assert!(before[20 * width..].iter().zip(&after[20 * width..]).all(|(a, b)| a != b));
    }
}
