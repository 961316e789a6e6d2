//! What a training run tells the world. One stream of these events feeds the screen, the store and
//! everything that comes after. Plain data.

/// What happened to one trial.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A worker took the trial up at `step` (0, or where a checkpoint left off). Rows of steps from
    /// `step` on that an earlier attempt left are void.
    Started {
        /// Which trial.
        trial_id: String,
        /// The first step that will be trained.
        step: u64,
        /// UTC, milliseconds since 1970.
        at: i64,
    },
    /// Some finished steps, in order and without gaps.
    Steps {
        /// Which trial.
        trial_id: String,
        /// The steps.
        rows: Vec<StepRow>,
    },
    /// A checkpoint is on disk. Comes after the rows of every step before it.
    Checkpoint {
        /// Which trial.
        trial_id: String,
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

/// One step of one trial.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRow {
    /// The update, from 0.
    pub step: u64,
    /// The lr it used.
    pub lr: f64,
    /// Loss of its batch, before the update.
    pub train_loss: f64,
    /// Validation loss after the update, where the run evaluated.
    pub valid_loss: Option<f64>,
    /// Global 2-norm of the gradient, before clipping.
    pub grad_norm: f64,
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
    /// It could not be trained.
    Failed {
        /// Why.
        reason: String,
    },
    /// Stopped on request before its end.
    Stopped {
        /// Steps trained so far.
        steps: u64,
    },
}

/// The results of a finished trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Final {
    /// Loss of the last batch.
    pub train_loss: f64,
    /// Validation loss after the last step: the default metric.
    pub valid_loss: f64,
    /// Share of validation images named rightly, 0 to 1.
    pub valid_accuracy: f64,
    /// Test loss after the last step; never used to choose.
    pub test_loss: f64,
    /// Share of test images named rightly, 0 to 1.
    pub test_accuracy: f64,
    /// 64 hex digits: chained blake3 over the bits of (lr, loss) of every step.
    pub digest: String,
    /// 64 hex digits: blake3 of the final weights.
    pub weights_hash: String,
}
