//! Events of training runs. One stream of events feeds the progress line, the store and all observers. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::Metrics;

/// Something that happened in training.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A worker started trials together at `step`: 0, or the step of a checkpoint. Stored steps from `step` on that
    /// an earlier attempt left are void.
    Started {
        /// The trials.
        trial_ids: Vec<String>,
        /// The first step that will be trained.
        step: u64,
        /// The version of the arithmetic that trains them; `None` for a custom program.
        bits: Option<u32>,
        /// UTC, milliseconds since 1970.
        at: i64,
    },
    /// From step `first` on, these trials are trained as one: each step of the stage is a step of each trial, until
    /// a later stage has the trial.
    Stage {
        /// Number of the stage, unique in the store.
        stage: u64,
        /// Its first step.
        first: u64,
        /// The trials whose steps it trains.
        trial_ids: Vec<String>,
    },
    /// The files that a custom program has loaded so far, in addition to those that its trial names, with their blake3 hashes.
    Loaded {
        /// The trial.
        trial_id: String,
        /// Hash by file.
        files: BTreeMap<String, String>,
    },
    /// Finished steps of a stage, in order and without gaps.
    Steps {
        /// The stage.
        stage: u64,
        /// The steps.
        rows: Vec<StepRow>,
        /// The evaluations after these steps.
        evaluated: Vec<Evaluated>,
    },
    /// Other metrics of steps of a stage, which were emitted before.
    Measured {
        /// The stage.
        stage: u64,
        /// The values.
        values: Vec<Measured>,
    },
    /// A checkpoint is on disk, from which each of these trials can be resumed. It follows the rows of every
    /// step before it.
    Checkpoint {
        /// The trials.
        trial_ids: Vec<String>,
        /// The first step after the checkpoint.
        step: u64,
        /// File name within the store's checkpoint folder.
        file: String,
        /// UTC, milliseconds since 1970.
        at: i64,
    },
    /// The trial has ended; after `Stopped` it can be resumed.
    Ended {
        /// The trial.
        trial_id: String,
        /// How it ended.
        outcome: Outcome,
        /// UTC, milliseconds since 1970.
        at: i64,
    },
}

/// One trained step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRow {
    /// The update, from 0.
    pub step: u64,
    /// The lr of the update. Trials that share the step agree in it as f32.
    pub lr: f64,
    /// Loss of its batch, before the update.
    pub train_loss: f64,
    /// Global 2-norm of the gradient, before clipping.
    pub grad_norm: f64,
}

/// One evaluation of one trial on the validation set. Trials that share a step may be evaluated at different steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The trial.
    pub trial_id: String,
    /// The update after which it was evaluated, from 0.
    pub step: u64,
    /// Validation loss.
    pub valid_loss: f64,
}

/// The value of a metric of one trial, other than its losses: the validation accuracy, or one that a program reports under its own
/// name.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The trial.
    pub trial_id: String,
    /// The update after which it was measured, from 0.
    pub step: u64,
    /// The metric's name.
    pub name: String,
    /// The value.
    pub value: f64,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All steps trained.
    Done(Final),
    /// The loss was NaN, infinite or above `diverge_above`. This is a result, which ranks last.
    Diverged {
        /// The step with that loss.
        at: u64,
        /// That loss: of the step's batch, or the validation loss.
        loss: f64,
        /// Fingerprint up to and including that step.
        digest: String,
    },
    /// It could not be trained; a retry may succeed.
    Failed {
        /// Why.
        reason: String,
    },
    /// It could not be trained, and a retry would fail again: stored as failed and not retried automatically.
    GivenUp {
        /// Why.
        reason: String,
    },
    /// Stopped on request before its end.
    Stopped {
        /// Steps trained so far.
        steps: u64,
    },
}

impl Outcome {
    /// It exceeded its time limit.
    pub fn timed_out(limit: Duration) -> Self {
        Self::GivenUp { reason: format!("time limit of {} s exceeded", limit.as_secs()) }
    }

    /// Why the trial could not be trained; `None` if it could.
    pub fn error(&self) -> Option<String> {
        match self {
            Self::Failed { reason } | Self::GivenUp { reason } => Some(reason.clone()),
            Self::Done(_) | Self::Diverged { .. } | Self::Stopped { .. } => None,
        }
    }
}

/// The results of a finished trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// Loss of the last batch.
    pub train_loss: f64,
    /// Validation loss after the last step: the default metric.
    pub valid_loss: f64,
    /// Fraction of validation examples that are classified correctly, 0 to 1. A custom program may omit this and the
    /// following fields, except `digest`.
    pub valid_accuracy: Option<f64>,
    /// Test loss after the last step; never used to choose.
    pub test_loss: Option<f64>,
    /// Fraction of test examples that are classified correctly, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// The last value of each metric that a program reported under its own name.
    pub metrics: Metrics,
    /// 64 hex digits: chained blake3 hash over the bits of (lr, loss) of every step.
    pub digest: String,
    /// 64 hex digits: blake3 hash of the final weights.
    pub weights_hash: Option<String>,
}
