//! The settings of a program's run that are not part of its trial.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trainer::checkpoint::Folder;

/// Where and how to run a program for a trial.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The folder of the trials. Each has its own there, by its id, for output and checkpoints.
    pub trials: PathBuf,
    /// The folder of side-car files, which describe the program's checkpoints.
    pub side_cars: Folder,
    /// Whether to give up if the program's files have changed since the sweep was planned: its results would be
    /// stored under the trial of the old files.
    pub refuse_changed_files: bool,
    /// Number of the worker, from 0. It selects the values of the slots.
    pub worker: usize,
    /// Number of the next stage.
    pub next_stage: Arc<AtomicU64>,
    /// Time limit for a trial, in addition to the one in the sweep file.
    pub time_limit: Option<Duration>,
}

impl RunSettings {
    /// The number of a new stage.
    pub(crate) fn new_stage(&self) -> u64 {
        self.next_stage.fetch_add(1, Ordering::Relaxed)
    }
}
