//! What the store takes and gives: plain rows.

use std::time::Duration;

use crate::backend::from_row;

/// A trial that is still to be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Which.
    pub trial_id: String,
    /// File name of its newest checkpoint, and the first step that is not in it.
    pub checkpoint: Option<(String, u64)>,
}

/// How a process joins a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joining {
    /// It gives a sign of life far more often than this; silent for longer it counts as dead.
    pub lease: Duration,
    /// Threads that train; with 0 it only coordinates.
    pub workers: usize,
    /// The Slurm job that it is, as in `1234_5`.
    pub job: Option<String>,
}

impl Default for Joining {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), workers: 1, job: None }
    }
}

/// What a runner does, as it tells the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// It has something to train.
    Busy,
    /// It has nothing to train, and waits for what others may give back.
    Waiting,
    /// It only looks on.
    Watching,
}

/// What a runner saw of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tended {
    /// Others that had died, and were ended.
    pub dead: usize,
    /// For one that is not busy: whether there are trials that others have or that are free, and that are neither over nor
    /// failed.
    pub left: bool,
    /// Whether another one waits for trials of the sweep.
    pub waiting: bool,
    /// Trials of the sweep that are over: always for one that only watches, else where there are others and not many.
    pub ended: Option<usize>,
}

/// One step of a trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricRow {
    /// The update, from 0.
    pub step: u64,
    /// The lr it used.
    pub lr: f64,
    /// Loss of its batch, before the update.
    pub train_loss: f64,
    /// Validation loss after the update, where it was evaluated and is not NaN.
    pub valid_loss: Option<f64>,
    /// Global 2-norm of the gradient, before clipping.
    pub grad_norm: f64,
}

impl MetricRow {
    /// Loss and norm of the gradient, `None` where a program did not report them. A NaN they are only where a run has diverged,
    /// at the step that is named.
    pub fn known(&self, diverged_at: Option<i64>) -> (Option<f64>, Option<f64>) {
        let known =
            |x: f64| (!x.is_nan() || diverged_at.map(i64::unsigned_abs) == Some(self.step)).then_some(x);
        (known(self.train_loss), known(self.grad_norm))
    }
}

/// What trials of a sweep saved by sharing steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// Trials, each once, however many cells ask for it.
    pub trials: i64,
    /// Steps that these have so far, as if each had been trained alone.
    pub steps_asked: i64,
    /// Steps that were trained for them.
    pub steps_trained: i64,
}

from_row!(Sharing { trials, steps_asked, steps_trained });
