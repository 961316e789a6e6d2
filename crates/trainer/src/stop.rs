//! A request to stop, shared between whoever asks and the threads that train.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Once requested, every trainer that holds a clone finishes its step, writes a checkpoint and ends.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks all to stop. Can't be taken back.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The same as a plain flag, true once requested.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether a stop was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
