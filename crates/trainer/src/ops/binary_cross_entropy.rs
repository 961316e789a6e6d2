//! Summed binary cross-entropy with logits: max(x, 0) - x y + ln(1 + exp(-|x|)), as PyTorch's
//! `binary_cross_entropy_with_logits`.

use candle_core::{Result, Tensor};

use super::by_candle::{mean_loss, summed_loss};
use super::is_cpu_f32;
use super::operation::{Inputs, Loss, Scratch, Targets};
use kernels::binary_cross_entropy;

/// Sum over all elements. `logits` and `targets` (from 0 to 1) have the same shape; the result is a scalar. The targets get no
/// gradient.
///
/// # Errors
/// The shapes differ, or the device fails.
pub fn binary_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    check_shapes(logits, targets)?;
    if is_cpu_f32(logits) {
        return summed_loss(BinaryCrossEntropy, &[logits, targets]);
    }
    by_candle(logits, targets)
}

/// The same for each row of (examples, numbers), averaged over the examples.
pub(crate) fn mean_binary_cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    check_shapes(logits, targets)?;
    if is_cpu_f32(logits) {
        return mean_loss(BinaryCrossEntropy, &[logits, targets]);
    }
    by_candle(logits, targets)? / logits.dim(0)? as f64
}

fn check_shapes(logits: &Tensor, targets: &Tensor) -> Result<()> {
    if logits.shape() == targets.shape() {
        return Ok(());
    }
    candle_core::bail!(
        "binary cross-entropy: shapes differ: logits {:?}, targets {:?}",
        logits.shape(),
        targets.shape()
    )
}

/// The sum with candle's operations.
fn by_candle(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let log = ((logits.abs()?.neg()?.exp()? + 1.0)?).log()?;
    ((logits.relu()? - (logits * targets.detach())?)? + log)?.sum_all()
}

#[derive(Debug)]
struct BinaryCrossEntropy;

impl Loss for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        "sweep-binary-cross-entropy"
    }

    fn passes(&self, input: usize) -> bool {
        input == 0
    }

    fn sum(&self, x: &Inputs<'_>, _: &mut Scratch) -> (f64, Option<usize>) {
        let [logits, targets, ..] = x.numbers;
        (binary_cross_entropy::loss(logits, targets), None)
    }

    fn gradients(&self, x: &Inputs<'_>, scale: f32, dx: &mut Targets<'_>, scratch: &mut Scratch) -> f64 {
        let ([logits, targets, ..], mut sum) = (x.numbers, 0.0);
        if let Some(target) = &mut dx[0] {
            target.write(&mut scratch.spare, |dx| {
                sum = binary_cross_entropy::loss_and_gradient(logits, targets, scale, dx);
            });
        }
        sum
    }
}
