//! Learning-rate schedules as pure functions of the step.
//!
//! A [`Node`] is a schedule as written; [`Node::resolve`] fits it to one run and gives a [`Schedule`],
//! which any part can evaluate at any step. What closed-loop rules remember is a [`State`], a plain value
//! next to the schedule, never inside it. No I/O, no tensors, no clock, no randomness live here.

pub mod fields;
pub mod problem;
pub mod tree;

use problem::Problem;
use tree::Tree;

/// What a schedule may know of the run it is fitted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Horizon {
    /// The base lr: what `1x` means. Finite and above 0.
    pub base_lr: f64,
    /// Length of the run in steps, at least 1.
    pub total: u64,
    /// Steps in an epoch, if the run knows epochs.
    pub steps_per_epoch: Option<u64>,
}

/// A schedule as written in a sweep file, checked as far as that is possible without a run.
#[derive(Debug, Clone)]
pub struct Node;

/// A schedule fitted to one run.
#[derive(Debug, Clone)]
pub struct Schedule {
    base_lr: f64,
}

/// What a schedule watches while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// Nothing: lr(t) is a function of t alone.
    OpenLoop,
    /// Losses or gradients: lr(t) also depends on what training has shown so far.
    ClosedLoop,
}

/// What the closed-loop rules of one schedule remember. Plain data: it travels in the checkpoint.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct State {}

/// What is known of step t before its update: everything about the gradient just computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeforeUpdate {
    /// Loss of the batch at step t, before the update.
    pub train_loss: f64,
    /// Sum of squares of the whole gradient, before clipping.
    pub grad_norm_squared: f64,
}

/// What is known of step t after its update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AfterUpdate {
    /// Loss of the batch at step t, before the update.
    pub train_loss: f64,
    /// Validation loss after the update, where the run evaluated.
    pub valid_loss: Option<f64>,
    /// Whether the run evaluates after this step: rules without a cadence of their own look now.
    pub look: bool,
}

/// Reads a schedule. Every problem found is added to `problems`; `None` if there was any.
pub fn parse(_tree: &Tree, _path: &str, _problems: &mut Vec<Problem>) -> Option<Node> {
    Some(Node)
}

impl Node {
    /// Fits the schedule to a run: lengths become steps, multiples of the base lr become numbers.
    ///
    /// # Errors
    /// Every length that does not fit the run, with its place.
    pub fn resolve(&self, horizon: &Horizon) -> Result<Schedule, Vec<Problem>> {
        Ok(Schedule { base_lr: horizon.base_lr })
    }
}

impl Schedule {
    /// The lr of update `t`. For a closed-loop schedule, after everything before it was shown to `state`.
    pub fn lr(&self, _t: u64, _state: &State) -> f64 {
        self.base_lr
    }

    /// The momentum (Adam: beta1) of update `t`, where the schedule cycles it.
    pub fn momentum(&self, _t: u64) -> Option<f64> {
        None
    }

    /// Whether lr(t) depends on more than t.
    pub fn feedback(&self) -> Feedback {
        Feedback::OpenLoop
    }

    /// The state before step 0.
    pub fn start(&self) -> State {
        State::default()
    }

    /// Whether a rule needs the validation loss after step `t`, though the run itself would not evaluate.
    pub fn wants_validation(&self, _t: u64) -> bool {
        false
    }

    /// Shows the rules what is known before update `t`; to be called before [`Schedule::lr`] of `t`.
    pub fn before_update(&self, _state: &mut State, _t: u64, _seen: &BeforeUpdate) {}

    /// Shows the rules what is known after update `t`.
    pub fn after_update(&self, _state: &mut State, _t: u64, _seen: &AfterUpdate) {}
}
