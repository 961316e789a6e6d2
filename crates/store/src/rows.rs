//! What the store takes and gives: plain rows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sweep_runs::Axes;

/// How far a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not begun.
    Queued,
    /// A worker has it, or had it when it was killed.
    Running,
    /// All steps trained.
    Done,
    /// Its loss left the finite numbers or the stated bound: a result, which ranks last.
    Diverged,
    /// It could not be trained.
    Failed,
    /// Stopped on request before its end.
    Stopped,
}

impl Status {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let all = [Self::Queued, Self::Running, Self::Done, Self::Diverged, Self::Failed, Self::Stopped];
        all.into_iter()
            .find(|status| status.name() == name)
            .ok_or_else(|| format!("there is no status `{name}`"))
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What a result's bits may depend on besides the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Environment {
    /// Of this program.
    pub version: String,
    /// The commit it was built from; empty where that is not known.
    pub git_commit: String,
    /// The processor's name.
    pub cpu: String,
    /// Vector instructions that kernels choose by.
    pub cpu_features: String,
    /// Threads that the machine runs at the same time.
    pub threads: i64,
    /// What trained.
    pub device: String,
    /// Operating system and architecture.
    pub os: String,
}

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
    pub fn known(&self, diverged_at: Option<u64>) -> (Option<f64>, Option<f64>) {
        let known = |x: f64| (!x.is_nan() || diverged_at == Some(self.step)).then_some(x);
        (known(self.train_loss), known(self.grad_norm))
    }
}

/// What trials of a sweep saved by sharing steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Sharing {
    /// Trials, each once, however many cells ask for it.
    pub trials: i64,
    /// Steps that these have so far, as if each had been trained alone.
    pub steps_asked: i64,
    /// Steps that were trained for them.
    pub steps_trained: i64,
}

/// One run that a sweep asks for, with its result.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct RunRow {
    /// The schedule's name in this sweep.
    pub schedule: String,
    /// The point of the grid without its seed.
    pub config_id: String,
    /// The base lr in this sweep.
    pub base_lr: f64,
    /// Length of the run.
    pub steps: i64,
    /// The seed.
    pub seed: i64,
    /// What it is for: `all`, `tune` or `decide`.
    pub purpose: String,
    /// The run.
    pub trial_id: String,
    /// How far it is.
    #[sqlx(try_from = "String")]
    pub status: Status,
    /// Validation loss after the last step; `None` in a trial that is done is a NaN.
    pub final_valid_loss: Option<f64>,
    /// Test loss after the last step.
    pub test_loss: Option<f64>,
    /// Test accuracy after the last step, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// The step whose loss showed that it diverged.
    pub diverged_at: Option<i64>,
    /// Device, processor and system that trained it, as in `cpu, AMD EPYC 9354, linux x86_64`.
    pub hardware: Option<String>,
    /// Path and value of each axis of its config, as the schedule that asked first has them.
    #[sqlx(try_from = "String")]
    pub axes: Axes,
}

/// All that is known of one trial, apart from its steps. Times are UTC, milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialRow {
    /// 32 hex digits.
    pub trial_id: String,
    /// The sweep that asked for it first.
    pub sweep: String,
    /// The schedule that asked for it first.
    pub schedule: String,
    /// The point of the grid without its seed.
    pub config_id: String,
    /// The base lr of the schedule that asked first.
    pub base_lr: f64,
    /// The seed.
    pub seed: u64,
    /// How far it is.
    pub status: Status,
    /// Length of the run.
    pub steps: u64,
    /// Steps that are stored.
    pub steps_done: u64,
    /// Loss of the last batch.
    pub final_train_loss: Option<f64>,
    /// Validation loss after the last step.
    pub final_valid_loss: Option<f64>,
    /// Share of validation images named rightly, 0 to 1.
    pub valid_accuracy: Option<f64>,
    /// Test loss after the last step.
    pub test_loss: Option<f64>,
    /// Share of test images named rightly, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// The step whose loss showed that it diverged.
    pub diverged_at: Option<u64>,
    /// That loss, which may be NaN or infinite.
    pub diverged_loss: Option<f64>,
    /// Fingerprint of lr and loss of every step.
    pub digest: Option<String>,
    /// Fingerprint of the final weights.
    pub weights_hash: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// How often a worker took it up.
    pub attempts: i64,
    /// When it was taken up first.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// Path and value of each axis of its config.
    pub axes: Axes,
    /// The whole configuration but the seed; `spec::json::trial` makes a trial of it.
    pub config: serde_json::Value,
    /// Where it was trained, or taken up last.
    pub environment: Option<Environment>,
    /// The machine that did that.
    pub host: Option<String>,
    /// The version of the arithmetic that trained it; none where a program of the user's own did.
    pub bits: Option<i64>,
    /// The files that such a program has loaded beside those that `config` names, with their hashes, where that is known.
    pub loaded: Option<BTreeMap<String, String>>,
}
