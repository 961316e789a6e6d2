//! The plain types that the store takes and returns.

use std::time::Duration;

use crate::backend::from_row;

/// A trial that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The trial's id.
    pub trial_id: String,
    /// File name of its newest checkpoint, and the first step that is not in the checkpoint.
    pub checkpoint: Option<(String, u64)>,
}

/// How a process joins a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOptions {
    /// Others take the process for dead when it does not renew its lease for this long. It renews far more often.
    pub lease: Duration,
    /// Threads that train. A process with 0 only coordinates.
    pub workers: usize,
    /// The Slurm job of this process, such as `1234_5`.
    pub job: Option<String>,
}

impl Default for JoinOptions {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), workers: 1, job: None }
    }
}

/// The current activity of a runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It has something to train.
    Training,
    /// It has nothing to train and waits for trials that other runners may release.
    Waiting,
    /// It does not train; it only observes.
    Watching,
}

/// The state of the other runners, from [`Store::heartbeat`](crate::Store::heartbeat).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherRunners {
    /// Number of runners that had died and were ended by this call.
    pub dead: usize,
    /// Whether the sweep has unfinished trials, other than failed ones, that are free or leased by others. Always
    /// false for a runner that trains.
    pub trials_left: bool,
    /// Whether another runner waits for trials of the sweep.
    pub waiting: bool,
    /// Number of ended trials of the sweep. Always set for a runner that only watches; for others only if there are
    /// other runners, but not many.
    pub trials_ended: Option<usize>,
}

/// One step of a trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricRow {
    /// The update, from 0.
    pub step: u64,
    /// The lr it used.
    pub lr: f64,
    /// Loss of the step's batch before the update.
    pub train_loss: f64,
    /// Validation loss after the update, if it was evaluated and is not NaN.
    pub valid_loss: Option<f64>,
    /// Global 2-norm of the gradient, before clipping.
    pub grad_norm: f64,
}

impl MetricRow {
    /// Training loss and gradient norm, `None` where a program did not report them. The NaN of a diverged run at its
    /// last step, `diverged_at`, counts as reported.
    pub fn reported(&self, diverged_at: Option<i64>) -> (Option<f64>, Option<f64>) {
        let known =
            |x: f64| (!x.is_nan() || diverged_at.map(i64::unsigned_abs) == Some(self.step)).then_some(x);
        (known(self.train_loss), known(self.grad_norm))
    }
}

/// How many steps a sweep saved by sharing them between trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// Number of distinct trials.
    pub trials: i64,
    /// Steps of these trials so far, if each had been trained separately.
    pub steps_asked: i64,
    /// Steps that were actually trained.
    pub steps_trained: i64,
}

from_row!(Sharing { trials, steps_asked, steps_trained });
