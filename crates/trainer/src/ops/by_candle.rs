//! Makes our operations candle operations with a backward pass, or records them.

use std::cell::Cell;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, StorageRef};
use candle_core::{Storage, Tensor};

use super::operation::{Done, Inputs, Loss, MOST_INPUTS, Operation, Scratch, Target, Targets};
use super::record::{Call, is_recording, note};
use super::{slice, with_slice};

/// The result of an operation on contiguous tensors on the CPU.
pub(super) fn apply(
    operation: impl Operation + 'static,
    inputs: &[&Tensor],
    shape: impl Into<Shape>,
) -> Result<Tensor> {
    let (operation, shape) = (Arc::new(operation), shape.into());
    if is_recording() {
        return note(Call::Operation(operation), inputs, &shape);
    }
    ByCandle { what: What::Operation(operation), shape }.apply(inputs)
}

/// The mean of a loss over the rows of the first input, on the CPU.
pub(super) fn mean_loss(loss: impl Loss + 'static, inputs: &[&Tensor]) -> Result<Tensor> {
    let rows = inputs.first().map_or(Ok(1), |first| first.dim(0))?;
    let (loss, shape) = (Arc::new(loss), Shape::from(()));
    if is_recording() {
        return note(Call::Loss(loss, rows), inputs, &shape);
    }
    ByCandle { what: What::Loss(loss, rows), shape }.apply(inputs)
}

/// A loss summed over the rows, on the CPU. It is not recorded.
pub(super) fn summed_loss(loss: impl Loss + 'static, inputs: &[&Tensor]) -> Result<Tensor> {
    ByCandle { what: What::Loss(Arc::new(loss), 1), shape: Shape::from(()) }.apply(inputs)
}

#[derive(Debug, Clone)]
struct ByCandle {
    what: What,
    /// Shape of the output.
    shape: Shape,
}

#[derive(Debug, Clone)]
enum What {
    Operation(Arc<dyn Operation>),
    /// Its sum is divided by this number.
    Loss(Arc<dyn Loss>, usize),
}

impl ByCandle {
    fn apply(self, inputs: &[&Tensor]) -> Result<Tensor> {
        match inputs {
            [a] => a.contiguous()?.apply_op1(self),
            [a, b] => a.contiguous()?.apply_op2(&b.contiguous()?, self),
            [a, b, c] => a.contiguous()?.apply_op3(&b.contiguous()?, &c.contiguous()?, self),
            _ => candle_core::bail!("{}: candle has no operations of {} tensors", self.name(), inputs.len()),
        }
    }

    fn name(&self) -> &'static str {
        match &self.what {
            What::Operation(operation) => operation.name(),
            What::Loss(loss, _) => loss.name(),
        }
    }

    fn forward(&self, inputs: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let mut x = Inputs::default();
        for (i, (storage, layout)) in inputs.iter().enumerate() {
            add_input(&mut x, i, storage, layout)?;
        }
        let y = with_scratch(|scratch| match &self.what {
            What::Operation(operation) => {
                let mut y = vec![0.0; self.shape.elem_count()];
                let mut kept = vec![0.0; operation.kept(y.len())];
                operation.forward(&x, &mut y, &mut kept, scratch);
                y
            }
            What::Loss(loss, rows) => vec![(loss.sum(&x, scratch).0 / *rows as f64) as f32],
        });
        Ok((CpuStorage::F32(y), self.shape.clone()))
    }

    /// The gradients of the inputs.
    fn backward(&self, inputs: &[&Tensor], y: &Tensor, dy: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let held: Vec<(StorageRef<'_>, &Layout)> =
            inputs.iter().map(|input| input.storage_and_layout()).collect();
        let mut x = Inputs::default();
        for (i, (storage, layout)) in held.iter().enumerate() {
            match &**storage {
                Storage::Cpu(storage) => add_input(&mut x, i, storage, layout)?,
                _ => candle_core::bail!("{}: expected a tensor on the CPU", self.name()),
            }
        }
        let zeros = |i: usize, input: &Tensor| {
            let passes = match &self.what {
                What::Operation(operation) => operation.passes(i),
                What::Loss(loss, _) => loss.passes(i),
            };
            (passes && input.dtype() == DType::F32).then(|| vec![0.0; input.elem_count()])
        };
        let mut gradients: Vec<_> = inputs.iter().enumerate().map(|(i, input)| zeros(i, input)).collect();
        match &self.what {
            What::Operation(operation) => {
                let dy = dy.flatten_all()?.to_vec1()?;
                with_slice(y, |y| {
                    with_scratch(|scratch| {
                        operation_backward(&**operation, (x, y), dy, &mut gradients, scratch)
                    });
                    Ok(())
                })?;
            }
            What::Loss(loss, rows) => {
                let scale = dy.to_scalar::<f32>()? / *rows as f32;
                let mut targets = targets(&mut gradients, &(0..0));
                with_scratch(|scratch| loss.gradients(&x, scale, &mut targets, scratch));
            }
        }
        let tensor = |(gradient, input): (Option<Vec<f32>>, &&Tensor)| {
            gradient.map(|numbers| Tensor::from_vec(numbers, input.shape(), input.device())).transpose()
        };
        gradients.into_iter().zip(inputs).map(tensor).collect()
    }
}

/// Calls `f` with the scratch buffers of this thread.
fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> T) -> T {
    thread_local! {
        static SCRATCH: Cell<Option<Scratch>> = const { Cell::new(None) };
    }
    let mut scratch = SCRATCH.take().unwrap_or_default();
    let result = f(&mut scratch);
    SCRATCH.set(Some(scratch));
    result
}

/// Computes all gradients of an operation.
fn operation_backward(
    operation: &dyn Operation,
    (x, y): (Inputs<'_>, &[f32]),
    mut dy: Vec<f32>,
    gradients: &mut [Option<Vec<f32>>],
    scratch: &mut Scratch,
) {
    let mut kept = vec![0.0; operation.kept(y.len())];
    if !kept.is_empty() {
        // candle keeps only the tensors of the forward pass.
        operation.forward(&x, &mut vec![0.0; y.len()], &mut kept, scratch);
    }
    let at = Done { x, y, kept: &kept };
    let weights = operation.weights();
    operation.backward(&at, &mut dy, &mut targets(gradients, &weights), scratch);
    for weight in weights {
        if let Some(Some(gradient)) = gradients.get_mut(weight) {
            operation.weight_gradient(weight, &at, &dy, scratch, &mut |first, piece| {
                gradient[first..first + piece.len()].copy_from_slice(piece);
            });
        }
    }
}

/// The targets of the inputs that are not weights.
fn targets<'a>(gradients: &'a mut [Option<Vec<f32>>], weights: &std::ops::Range<usize>) -> Targets<'a> {
    let mut all: Targets<'a> = [const { None }; MOST_INPUTS];
    for (i, (target, gradient)) in all.iter_mut().zip(gradients).enumerate() {
        if !weights.contains(&i) {
            *target = gradient.as_mut().map(|numbers| Target { numbers, add: false });
        }
    }
    all
}

/// Sets input `i`.
fn add_input<'a>(x: &mut Inputs<'a>, i: usize, storage: &'a CpuStorage, layout: &Layout) -> Result<()> {
    if let CpuStorage::U32(indices) = storage {
        let Some((start, end)) = layout.contiguous_offsets() else {
            return Err(candle_core::Error::RequiresContiguous { op: "sweep kernel" });
        };
        x.indices = indices.get(start..end).unwrap_or_default();
    } else {
        x.numbers[i] = slice(storage, layout)?;
    }
    Ok(())
}

impl CustomOp1 for ByCandle {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn cpu_fwd(&self, a: &CpuStorage, a_layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(a, a_layout)])
    }

    fn bwd(&self, a: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.backward(&[a], y, dy)?.pop().flatten())
    }
}

impl CustomOp2 for ByCandle {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(a, a_layout), (b, b_layout)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut all = self.backward(&[a, b], y, dy)?.into_iter();
        let mut next = || all.next().flatten();
        Ok((next(), next()))
    }
}

impl CustomOp3 for ByCandle {
    fn name(&self) -> &'static str {
        self.name()
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
        c: &CpuStorage,
        c_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(a, a_layout), (b, b_layout), (c, c_layout)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut all = self.backward(&[a, b, c], y, dy)?.into_iter();
        let mut next = || all.next().flatten();
        Ok((next(), next(), next()))
    }
}
