//! Settings and counters that all stacks of a sweep share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::checkpoint::Folder;
use crate::device::Device;
use crate::state::StateCounter;

/// Default number of steps that a lane trains in a row: enough to pay for loading its state into the cache.
pub const BLOCK: usize = 8;

/// Settings and counters for all stacks of a sweep.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The device to train on.
    pub device: Device,
    /// Maximum number of lanes of a stack, at least 1.
    pub width: usize,
    /// Maximum number of steps that a lane trains before the next lane continues. Its state stays in the cache meanwhile.
    pub block: usize,
    /// Counts the states in memory.
    pub state_counter: StateCounter,
    /// Maximum number of states in memory. Forks beyond it are saved to `parking`.
    pub most_states: usize,
    /// Where to save states that do not fit in memory.
    pub parking: Option<Folder>,
    /// A trial whose training takes longer fails.
    pub time_limit: Option<Duration>,
    /// The number of the next stage.
    pub next_stage: Arc<AtomicU64>,
}

impl Shared {
    /// For a single run, which never forks.
    pub(crate) fn single_run(device: Device) -> Self {
        Self {
            device,
            width: 1,
            block: BLOCK,
            state_counter: StateCounter::default(),
            most_states: usize::MAX,
            parking: None,
            time_limit: None,
            next_stage: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn new_stage(&self) -> u64 {
        self.next_stage.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether another state fits in memory.
    pub fn has_room(&self) -> bool {
        self.state_counter.count() < self.most_states
    }
}
