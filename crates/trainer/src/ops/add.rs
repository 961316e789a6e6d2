//! The sum of two tensors of the same shape, as in a residual connection.

use candle_core::{Result, Tensor};

use super::is_cpu_f32;
use super::operation::{Done, Inputs, Operation, Scratch, Targets};
use super::record::{Call, is_recording, note};

/// The sum of two tensors of the same shape.
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if is_recording() && is_cpu_f32(a) && a.shape() == b.shape() {
        return note(Call::Add, &[a, b], a.shape());
    }
    a + b
}

/// As a separate operation of a plan: if no other operation adds it to its output.
#[derive(Debug)]
pub(crate) struct Add;

impl Operation for Add {
    fn name(&self) -> &'static str {
        "sweep-add"
    }

    fn forward(&self, x: &Inputs<'_>, y: &mut [f32], _: &mut [f32], _: &mut Scratch) {
        y.copy_from_slice(x.numbers[0]);
        super::operation::add(y, x.numbers[1]);
    }

    fn backward(&self, _: &Done<'_>, dy: &mut [f32], dx: &mut Targets<'_>, _: &mut Scratch) {
        dx.iter_mut().flatten().for_each(|target| target.put(dy));
    }
}
