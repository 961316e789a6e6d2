//! One trial alone, without a store: to see whether it comes to the same again.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use spec::trial::Trial;
use trainer::checkpoint::Folder;
use trainer::device::Device;
use trainer::{Emit, Stop};

use crate::{Loaded, SweepError};

/// Trains one trial, until a stop, on the data that [`load`](crate::load) read for it. `emit` gets every event and says whether to go on.
///
/// # Errors
/// The device can't be used, or there is no room for a program's files. All that comes later is told as the trial's outcome.
pub fn train_alone(
    trial: &Trial,
    loaded: &Loaded,
    device: Device,
    stop: &Stop,
    emit: &mut Emit<'_>,
) -> Result<(), SweepError> {
    match trial.config.task.network() {
        Some(network) => match loaded.of(network) {
            Some(examples) => {
                let mut emit = |event| emit(event) && !stop.requested();
                trainer::train(trial.clone(), examples, device, &mut emit).map_err(SweepError::Probe)
            }
            None => Ok(()),
        },
        None => run_program(trial, stop, emit),
    }
}

fn run_program(trial: &Trial, stop: &Stop, emit: &mut Emit<'_>) -> Result<(), SweepError> {
    let dir = tempfile::Builder::new().prefix("sweep-").tempdir();
    let dir = dir.map_err(|error| SweepError::Folder { path: std::env::temp_dir(), error })?;
    let place = program::Place {
        dir: dir.path().to_owned(),
        side_cars: Folder { dir: dir.path().to_owned(), writer: 0 },
        as_planned: false,
        worker: 0,
        next_stage: Arc::new(AtomicU64::new(1)),
        time_limit: None,
    };
    program::train(trial, None, &place, stop, emit);
    Ok(())
}
