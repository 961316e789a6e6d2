//! A request to stop, shared between the caller and the threads that train.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Once requested, every trainer that holds a clone finishes its step, writes a checkpoint and ends.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Requests a stop. It can't be revoked.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The request as a plain flag: true once requested.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }

    /// Whether a stop was requested.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
