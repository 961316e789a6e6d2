//! One run alone, from its first step to its end, told as events.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

use spec::trial::Trial;

use crate::branch::Branch;
use crate::checkpoint::CheckpointError;
use crate::contain::first_line;
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
    /// A state can't be put aside or brought back.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The backward pass reached no gradient for a parameter.
    #[error("the parameter {0} got no gradient")]
    NoGradient(String),
    /// A test build failed on purpose.
    #[error("{0}")]
    Fault(std::io::Error),
    /// A mistake of the program.
    #[error("a lane has no trial to train")]
    Empty,
    /// The trial is not trained here.
    #[error("a program of its own trains this")]
    Program,
}

/// Trains one trial, without checkpoints. `emit` gets every event and says whether to go on.
///
/// # Errors
/// The device can't be used. All that comes later is told as the trial's outcome.
pub fn train(
    trial: Trial,
    examples: &Examples,
    device: Device,
    emit: &mut Emit<'_>,
) -> Result<(), TrainError> {
    train_to_weights(trial, examples, device, emit).map(|_| ())
}

/// What a run leaves.
#[derive(Debug)]
pub struct Trained {
    /// The weights that the results are of: the averaged ones, where the schedule averages at the end.
    pub parameters: Vec<Parameter>,
    /// The optimiser's state: names as in `velocity.fc1.weight`, values laid out as the parameters.
    pub moments: Vec<Parameter>,
    /// Updates that the optimiser has seen.
    pub updates: u64,
}

/// The same, and gives what is left. `None` if the run did not come to its end.
///
/// # Errors
/// As [`train`].
pub fn train_to_weights(
    trial: Trial,
    examples: &Examples,
    device: Device,
    emit: &mut Emit<'_>,
) -> Result<Option<Trained>, TrainError> {
    let shared = Shared::alone(device);
    let Some(start) = Branch::starts(vec![trial], false).pop() else { return Ok(None) };
    let heard = Cell::new(true);
    let mut emit = |event| {
        heard.set(emit(event) && heard.get());
        heard.get()
    };
    device.open()?;
    let Some(mut stack) = Stack::new(start, examples, &shared, &mut emit) else { return Ok(None) };
    while !stack.is_empty() {
        stack.advance(&mut emit);
        if !heard.get() {
            break;
        }
    }
    Ok(stack.into_last())
}

/// UTC, milliseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
