//! A single run from its first step to its end, which emits events.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use spec::trial::Trial;

use crate::branch::Branch;
use crate::checkpoint::CheckpointError;
use crate::contained::first_line;
use crate::data::Examples;
use crate::device::{Device, DeviceError};
use crate::emitter::Emit;
use crate::model::Parameter;
use crate::shared::Shared;
use crate::stack::Stack;

/// Why a run could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The device can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// An operation failed.
    #[error("{}", first_line(.0))]
    Operation(#[from] candle_core::Error),
    /// A checkpoint can't be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The backward pass reached no gradient for a parameter.
    #[error("parameter `{0}` has no gradient")]
    NoGradient(String),
    /// A test build failed on purpose.
    #[error("{0}")]
    Fault(std::io::Error),
    /// A bug: a lane without members.
    #[error("internal error: a lane has no trial to train")]
    Empty,
    /// The trial belongs to an external program.
    #[error("this trial is trained by an external program")]
    Program,
}

/// Trains one trial, without checkpoints. `emit` receives every event and returns whether to continue.
///
/// # Errors
/// The device can't be used. Later failures are emitted as the trial's outcome.
pub fn train(
    trial: Trial,
    examples: &Examples,
    device: Device,
    emit: &mut Emit<'_>,
) -> Result<(), TrainError> {
    train_to_weights(trial, examples, device, emit).map(|_| ())
}

/// The result of a run.
#[derive(Debug)]
pub struct Trained {
    /// The evaluated weights: the averaged ones, if the schedule averages at the end.
    pub parameters: Vec<Parameter>,
    /// The optimizer state: names such as `velocity.fc1.weight`, values in the layout of the parameters.
    pub moments: Vec<Parameter>,
    /// Number of updates that the optimizer has made.
    pub updates: u64,
}

/// Like [`train`], and returns the trained weights. `None` if the run did not finish.
///
/// # Errors
/// As for [`train`].
pub fn train_to_weights(
    trial: Trial,
    examples: &Examples,
    device: Device,
    emit: &mut Emit<'_>,
) -> Result<Option<Trained>, TrainError> {
    let shared = Shared::single_run(device);
    let Some(start) = Branch::initial(vec![trial], false).pop() else { return Ok(None) };
    let has_receiver = Cell::new(true);
    let mut emit = |event| {
        has_receiver.set(emit(event) && has_receiver.get());
        has_receiver.get()
    };
    device.open()?;
    let Some(mut stack) = Stack::new(start, examples, &shared, &mut emit) else { return Ok(None) };
    while !stack.is_empty() {
        stack.advance(&mut emit);
        if !has_receiver.get() {
            break;
        }
    }
    Ok(stack.into_trained())
}

/// The current time, in milliseconds since 1970 (UTC).
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
