//! One trial alone, without a store and without checkpoints: to see whether it comes to the same again.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use spec::trial::Trial;
use trainer::device::Device;
use trainer::{Emit, Stop};

use crate::{Loaded, SweepError};

/// Trains one trial on the data that [`load`](crate::load) read for it. `emit` gets every event and says whether to go on.
///
/// # Errors
/// The device can't be used, or there is no room for a program's files. All that comes later is told as the trial's outcome.
pub fn train_alone(
    trial: &Trial,
    loaded: &Loaded,
    device: Device,
    emit: &mut Emit<'_>,
) -> Result<(), SweepError> {
    match trial.config.task.network() {
        Some(network) => match loaded.of(&network.data) {
            Some(images) => trainer::train(trial.clone(), images, device, emit).map_err(SweepError::Probe),
            None => Ok(()),
        },
        None => run_program(trial, emit),
    }
}

fn run_program(trial: &Trial, emit: &mut Emit<'_>) -> Result<(), SweepError> {
    let dir = tempfile::Builder::new().prefix("sweep-").tempdir();
    let dir = dir.map_err(|error| SweepError::Folder { path: std::env::temp_dir(), error })?;
    let place = program::Place {
        dir: dir.path().to_owned(),
        side_cars: None,
        worker: 0,
        next_stage: Arc::new(AtomicU64::new(1)),
        time_limit: None,
    };
    program::train(trial, None, &place, &Stop::default(), emit);
    Ok(())
}
