//! Records which operations a model calls. While a thread records, operations compute nothing: they return tensors of the right shape
//! without memory.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Shape, Tensor, TensorId};

use super::operation::{Loss, Operation};

/// A part of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Pixels,
    Noise,
    Tokens,
    Labels,
}

/// The function that was called.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Operation(Arc<dyn Operation>),
    /// With the number of rows that it is the mean of.
    Loss(Arc<dyn Loss>, usize),
    /// A sum of two tensors.
    Add,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) call: Call,
    pub(crate) inputs: Vec<TensorId>,
    pub(crate) output: TensorId,
    /// Numbers of the output.
    pub(crate) numbers: usize,
}

/// The calls of a model, in their order, and its inputs.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(crate) sources: HashMap<TensorId, Source>,
    pub(crate) records: Vec<Record>,
}

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// Calls `f`, and returns its result with the operations that it called.
pub(crate) fn record<T>(f: impl FnOnce() -> Result<T>) -> Result<(T, Recording)> {
    /// Ends the recording, even if `f` panics.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            RECORDING.set(None);
        }
    }
    let _end = End;
    RECORDING.set(Some(Recording::default()));
    let result = f()?;
    Ok((result, RECORDING.take().unwrap_or_default()))
}

/// Whether this thread records.
pub(crate) fn is_recording() -> bool {
    RECORDING.with_borrow(Option::is_some)
}

/// While this thread records: notes that a tensor has the numbers of a part of the batch.
pub(crate) fn note_source(tensor: &Tensor, source: Source) {
    RECORDING.with_borrow_mut(|recording| {
        if let Some(recording) = recording {
            recording.sources.insert(tensor.id(), source);
        }
    });
}

/// Notes a call, and returns a tensor for its output.
pub(super) fn note(call: Call, inputs: &[&Tensor], shape: &Shape) -> Result<Tensor> {
    let output = empty(shape)?;
    let inputs = inputs.iter().map(|input| input.id()).collect();
    let record = Record { call, inputs, output: output.id(), numbers: shape.elem_count() };
    RECORDING.with_borrow_mut(|recording| {
        if let Some(recording) = recording {
            recording.records.push(record);
        }
    });
    Ok(output)
}

/// A tensor of any shape, without memory for its numbers.
pub(crate) fn empty(shape: &Shape) -> Result<Tensor> {
    Tensor::zeros((), DType::F32, &Device::Cpu)?.broadcast_as(shape.dims())
}
