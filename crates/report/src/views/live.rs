//! Views that only the live page has: the sweeps of a store, the stages of a sweep with the processes that train them, and one
//! run.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::State;

/// The sweeps of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SweepList {
    /// The store, without a password.
    pub store: String,
    /// Program and version.
    pub version: String,
    /// The sweeps, the one that was run last first.
    pub sweeps: Vec<SweepSummary>,
}

/// A sweep in a list.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "as in `Progress`")]
pub struct SweepSummary {
    pub sweep: String,
    pub state: State,
    pub trials: i64,
    pub done: i64,
    pub diverged: i64,
    pub running: i64,
    pub queued: i64,
    pub stopped: i64,
    pub left_over: i64,
    pub failed: i64,
    pub updated_at: i64,
    /// The verdict in a sentence, if the sweep is complete.
    pub verdict: Option<String>,
}

/// One trial and its curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunCurve {
    /// The columns of the trial by name.
    pub trial: Map<String, Json>,
    /// Numbers of updates.
    pub x: Vec<i64>,
    /// Training losses.
    pub train: Vec<Option<f64>>,
    /// Numbers of updates of the validation losses.
    pub valid_x: Vec<i64>,
    /// Validation losses.
    pub valid: Vec<f64>,
    /// Learning rates at `x`.
    pub lr: Vec<Option<f64>>,
    /// Norms of the gradient.
    pub grad_norm: Vec<Option<f64>>,
    /// The step at which it diverged.
    pub diverged_at: Option<i64>,
}

/// How many steps sharing saved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SharingCounts {
    /// Steps of all trials, if each had been trained separately.
    pub steps_asked: i64,
    /// Steps that were trained.
    pub steps_trained: i64,
}

/// A stage: steps that were trained once for all its trials.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StageRow {
    /// Its number.
    pub id: i64,
    /// The stage before it.
    pub parent: Option<i64>,
    /// Its first step.
    pub first: i64,
    /// The step after its last one.
    pub end: i64,
    /// Number of stored steps.
    pub trained: i64,
    /// Number of trials.
    pub trials: usize,
    /// Names of some of their schedules.
    pub schedules: Vec<String>,
    /// Their seed.
    pub seed: i64,
    /// `done`, `training` or `waiting`.
    pub state: &'static str,
    /// The process that trains it.
    pub runner: Option<i64>,
}

/// When a trial was trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/reference/database.md describes the columns")]
pub struct TimelineRow {
    pub trial_id: String,
    pub schedule: String,
    pub base_lr: f64,
    pub seed: i64,
    pub runner: Option<i64>,
    pub host: Option<String>,
    pub started_at: i64,
    pub finished_at: Option<i64>,
    pub status: &'static str,
}

/// A process that trains.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/reference/database.md describes the columns")]
pub struct RunnerRow {
    pub runner_id: i64,
    pub host: String,
    pub pid: i64,
    pub job: Option<String>,
    pub workers: i64,
    pub state: &'static str,
    pub trials: i64,
    pub running: i64,
    pub started_at: i64,
    pub seen_at: i64,
}

/// A trial in progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/reference/database.md describes the columns")]
pub struct RunningRow {
    pub trial_id: String,
    pub schedule: String,
    pub base_lr: f64,
    pub seed: i64,
    pub steps_done: i64,
    pub steps: i64,
    pub attempts: i64,
    pub started_at: Option<i64>,
    pub runner_id: Option<i64>,
}

/// A trial that could not be trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/reference/database.md describes the columns")]
pub struct FailedTrial {
    pub trial_id: String,
    pub schedule: String,
    pub base_lr: f64,
    pub seed: i64,
    pub error: Option<String>,
    pub attempts: i64,
}

/// The stages of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Stages {
    /// How many steps sharing saved.
    pub sharing: SharingCounts,
    /// Number of trials whose stages are shown.
    pub trials_shown: usize,
    /// Number of trials that have stages or will have them.
    pub trials_all: usize,
    /// The stages.
    pub stages: Vec<StageRow>,
    /// When trials were trained.
    pub timeline: Vec<TimelineRow>,
    /// The processes.
    pub runners: Vec<RunnerRow>,
    /// Trials in progress.
    pub running: Vec<RunningRow>,
    /// Sentences about what does not progress.
    pub stuck: Vec<String>,
    /// Trials that failed.
    pub failed: Vec<FailedTrial>,
}
