//! What the stacks of a sweep share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::checkpoint::Folder;
use crate::device::Device;
use crate::state::Census;

/// Steps that pay for bringing a state into the cache.
pub const BLOCK: usize = 8;

/// See the module.
#[derive(Debug, Clone)]
pub struct Shared {
    /// Where to train.
    pub device: Device,
    /// The most lanes of a stack, at least 1.
    pub width: usize,
    /// The most steps that a lane trains before the next lane's turn: its state stays in the cache meanwhile.
    pub block: usize,
    /// Counts the states in memory.
    pub census: Census,
    /// The most states in memory: forks beyond them go to `parking`.
    pub most_states: usize,
    /// For states that memory does not hold.
    pub parking: Option<Folder>,
    /// A trial that takes more time than this for its own training fails.
    pub time_limit: Option<Duration>,
    /// Number of the next stage.
    pub next_stage: Arc<AtomicU64>,
}

impl Shared {
    /// For one run alone: nothing forks.
    pub(crate) fn alone(device: Device) -> Self {
        Self {
            device,
            width: 1,
            block: BLOCK,
            census: Census::default(),
            most_states: usize::MAX,
            parking: None,
            time_limit: None,
            next_stage: Arc::new(AtomicU64::new(1)),
        }
    }

    pub(crate) fn new_stage(&self) -> u64 {
        self.next_stage.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether memory holds another state.
    pub fn has_room(&self) -> bool {
        self.census.count() < self.most_states
    }
}
