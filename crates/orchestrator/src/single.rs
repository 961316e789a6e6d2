//! Trains a single trial without a store, to check that its result is reproduced.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use spec::trial::Trial;
use trainer::checkpoint::Folder;
use trainer::device::Device;
use trainer::{Branch, Emit, Stop};

use crate::{Loaded, SweepError};

/// Trains one trial on the data that [`load`](crate::load) read for it, until it ends or a stop is requested. `emit`
/// receives every event and returns whether to continue.
///
/// # Errors
/// The device can't be used, or the folder for a program's files can't be created. Later failures are reported as the
/// trial's outcome.
pub fn train_single(
    trial: &Trial,
    loaded: &Loaded,
    device: Device,
    stop: &Stop,
    emit: &mut Emit<'_>,
) -> Result<(), SweepError> {
    match trial.config.task.network() {
        Some(network) => match loaded.examples(network) {
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
    let settings = program::RunSettings {
        trials: dir.path().to_owned(),
        side_cars: Folder { dir: dir.path().to_owned(), writer: 0 },
        refuse_changed_files: false,
        worker: 0,
        next_stage: Arc::new(AtomicU64::new(1)),
        time_limit: None,
    };
    // A single trial leaves no other.
    for branch in Branch::initial(vec![trial.clone()], false) {
        program::train(branch, &settings, stop, emit, &mut |_| {});
    }
    Ok(())
}
