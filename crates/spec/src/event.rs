//! What a training run tells the world. One stream of these events feeds the screen, the store and
//! everything that comes after. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A worker took trials up, together, at `step` (0, or where a checkpoint left off). Steps of theirs
    /// from `step` on that an earlier attempt left are void.
    Started {
        /// Which trials.
        trial_ids: Vec<String>,
        /// The first step that will be trained.
        step: u64,
        /// The version of the arithmetic that trains them; none where a program of the user's own does.
        bits: Option<u32>,
        /// UTC, milliseconds since 1970.
        at: i64,
    },
    /// From step `first` on these trials are trained as one: every step that is told of the stage is a step
    /// of each of them, until another stage takes the trial over.
    Stage {
        /// Number of the stage, new in the store.
        stage: u64,
        /// Its first step.
        first: u64,
        /// Whose steps it trains.
        trial_ids: Vec<String>,
    },
    /// The files that a program of the user's own has loaded so far, beside those that its trial names, with their blake3.
    Loaded {
        /// Which trial.
        trial_id: String,
        /// Hash by file.
        files: BTreeMap<String, String>,
    },
    /// Some finished steps of a stage, in order and without gaps.
    Steps {
        /// Which stage.
        stage: u64,
        /// The steps.
        rows: Vec<StepRow>,
        /// What was evaluated after them.
        evaluated: Vec<Evaluated>,
    },
    /// A checkpoint is on disk, from which each of these trials can go on. Comes after the rows of every
    /// step before it.
    Checkpoint {
        /// Which trials.
        trial_ids: Vec<String>,
        /// The first step that is not in it.
        step: u64,
        /// File name of the side-car within the store's checkpoint folder.
        file: String,
        /// UTC, milliseconds since 1970.
        at: i64,
    },
    /// The trial is over, for good or (`Stopped`) until it is taken up again.
    Ended {
        /// Which trial.
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
    /// The lr it used. Trials that share the step agree in it as f32.
    pub lr: f64,
    /// Loss of its batch, before the update.
    pub train_loss: f64,
    /// Global 2-norm of the gradient, before clipping.
    pub grad_norm: f64,
}

/// What one trial saw of the validation set. Trials that share a step may look at different times.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Which trial.
    pub trial_id: String,
    /// After which update, from 0.
    pub step: u64,
    /// The loss.
    pub valid_loss: f64,
}

/// How a trial ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All steps trained.
    Done(Final),
    /// The loss left the finite numbers or the stated bound: a result, which ranks last.
    Diverged {
        /// The step whose loss showed it.
        at: u64,
        /// Loss of that step's batch, or the validation loss, as it was.
        loss: f64,
        /// Fingerprint up to and including that step.
        digest: String,
    },
    /// It could not be trained; another try may be more lucky.
    Failed {
        /// Why.
        reason: String,
    },
    /// It could not be trained, and another try would come to the same: stored as failed, and not tried again by itself.
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
    /// Its time was up.
    pub fn timed_out(limit: Duration) -> Self {
        Self::GivenUp {
            reason: format!("it was not done after {} s of training, its time limit", limit.as_secs()),
        }
    }

    /// Why the trial could not be trained, for those that could not.
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
    /// Share of validation images named rightly, 0 to 1. A program of the user's own may leave out what follows, but for
    /// the digest.
    pub valid_accuracy: Option<f64>,
    /// Test loss after the last step; never used to choose.
    pub test_loss: Option<f64>,
    /// Share of test images named rightly, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// 64 hex digits: chained blake3 over the bits of (lr, loss) of every step.
    pub digest: String,
    /// 64 hex digits: blake3 of the final weights.
    pub weights_hash: Option<String>,
}
