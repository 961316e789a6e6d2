//! Where and for whom a program is run.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use trainer::checkpoint::Folder;

/// Where a program is run.
#[derive(Debug, Clone)]
pub struct Place {
    /// The trial's own folder: output and checkpoints.
    pub dir: PathBuf,
    /// Where it is written down from which of its checkpoints a program goes on.
    pub side_cars: Folder,
    /// Whether a program whose files were changed is refused: what it comes to would be stored as what another one came to.
    pub as_planned: bool,
    /// Number of the worker, from 0: it chooses the values of the slots.
    pub worker: usize,
    /// Number of the next stage.
    pub next_stage: Arc<AtomicU64>,
    /// So much time a trial may take, beside what its file says.
    pub time_limit: Option<Duration>,
}
