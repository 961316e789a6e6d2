//! Causal self-attention (Vaswani et al. 2017, arXiv 1706.03762): each position attends to itself and to earlier positions.

use candle_core::{Result, Tensor};

use super::by_candle::apply;
use super::is_cpu_f32;
use super::operation::{Done, Inputs, Operation, Scratch, Targets, at_least};
use super::softmax::softmax;
use kernels::attention::Attention;

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
        return apply(Attention { context, heads, size }, &[qkv], (rows, width));
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

impl Operation for Attention {
    fn name(&self) -> &'static str {
        "sweep-causal-attention"
    }

    /// The attention weights.
    fn kept(&self, outputs: usize) -> usize {
        self.weights(outputs / (self.heads * self.size).max(1))
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], kept: &mut [f32], scratch: &mut Scratch) {
        let space = at_least(&mut scratch.piece, self.scratch());
        Attention::forward(self, x.numbers[0], kept, y, space);
    }

    fn backward(&self, at: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, scratch: &mut Scratch) {
        let Scratch { piece, spare, .. } = scratch;
        let space = at_least(piece, self.scratch());
        if let Some(target) = &mut dx[0] {
            target.write(spare, |dx| {
                Attention::backward(self, at.x.numbers[0], at.kept, dy, dx, space);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

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
