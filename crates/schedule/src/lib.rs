//! Learning-rate schedules as pure functions of the step.
//!
//! A [`Node`] is a schedule as written; [`Node::resolve`] fits it to one run and gives a [`Schedule`],
//! which any part can evaluate at any step. What closed-loop rules remember is a [`State`], a plain value
//! next to the schedule, never inside it. No I/O, no tensors, no clock, no randomness live here.

mod blend;
pub mod catalogue;
pub mod combine;
mod exact;
mod expression;
pub mod fields;
pub mod formula;
pub mod known;
mod leaf;
pub mod length;
mod lr_value;
mod node;
pub mod problem;
mod ramp;
mod reader;
mod rule;
mod segment;
pub mod tree;

use std::sync::Arc;

use node::{Part, Slot};
use problem::Problem;
use segment::At;
use tree::{Place, Tree};

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
pub struct Node {
    root: Arc<Part>,
    rules: usize,
    place: Place,
    path: String,
}

/// The largest lr: what single precision can hold.
const MOST_LR: f64 = f32::MAX as f64;

/// The longest run of a schedule that is checked at each step.
const MOST_CHECKED: u64 = 10_000_000;

/// A schedule fitted to one run.
#[derive(Debug, Clone)]
pub struct Schedule {
    node: Node,
    run: At,
    warnings: Vec<Problem>,
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
pub struct State {
    slots: Vec<Slot>,
}

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
pub fn parse(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let before = problems.len();
    let mut rules = 0;
    let root = Part::read(tree, path, problems, &mut rules)?;
    let node = Node { root: Arc::new(root), rules, place: tree.place, path: path.to_owned() };
    (problems.len() == before).then_some(node)
}

impl Node {
    /// Fits the schedule to a run: lengths become steps, multiples of the base lr become numbers.
    ///
    /// # Errors
    /// Every length that does not fit the run, with its place.
    pub fn resolve(&self, horizon: &Horizon) -> Result<Schedule, Vec<Problem>> {
        let run = At::run(horizon.total, horizon.base_lr, horizon.steps_per_epoch);
        let mut problems = Vec::new();
        if run.epoch.is_none() {
            self.root.needs_epochs(&run, &mut problems);
        }
        if problems.is_empty() {
            self.root.check(&run, &mut problems);
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        self.check_each_step(&run, horizon.total)?;
        let mut schedule = Schedule { node: self.clone(), run, warnings: Vec::new() };
        let start = schedule.start();
        let (first, last) = (schedule.lr(0, &start), schedule.lr(horizon.total.saturating_sub(1), &start));
        if first.max(last) > MOST_LR {
            let problem = self.problem("the lr grows beyond all numbers that training can use");
            return Err(vec![problem.with_hint("a smaller factor, or `clamp: {max: ...}` around it")]);
        }
        self.root.warn(&run, &mut schedule.warnings);
        if schedule.feedback() == Feedback::OpenLoop && first == 0.0 {
            let problem = self.problem("lr(0) is 0: the first update changes nothing");
            schedule.warnings.push(problem.with_hint("warm up from 0.01x, or with `sample: right`"));
        }
        Ok(schedule)
    }

    /// What can only be known of a step by working it out. Only schedules that need it are gone through.
    fn check_each_step(&self, run: &At, total: u64) -> Result<(), Vec<Problem>> {
        if !self.root.may_stray(run) {
            return Ok(());
        }
        if total > MOST_CHECKED {
            let message = format!(
                "an expression is checked at each step, and {total} steps are more than {MOST_CHECKED}"
            );
            return Err(vec![self.problem(&message)]);
        }
        let mut problems = Vec::new();
        for t in 0..total {
            self.root.strays(&run.at(t as f64), &mut problems);
            if !problems.is_empty() {
                return Err(problems);
            }
        }
        Ok(())
    }

    /// A problem with the schedule as a whole.
    fn problem(&self, message: &str) -> Problem {
        Problem::new(self.place, self.path.clone(), message)
    }
}

impl Schedule {
    fn at(&self, t: u64) -> At {
        self.run.at(t as f64)
    }

    /// The lr of update `t`, at least 0. For a closed-loop schedule, after everything before it was shown
    /// to `state`. Costs the same for every `t`, also beyond the end of the run.
    pub fn lr(&self, t: u64, state: &State) -> f64 {
        self.node.root.lr(&self.at(t), &state.slots)
    }

    /// The momentum (Adam: beta1) of update `t`, where the schedule cycles it.
    pub fn momentum(&self, t: u64) -> Option<f64> {
        self.node.root.momentum(&self.at(t))
    }

    /// The run that it is fitted to.
    pub fn horizon(&self) -> Horizon {
        let At { base, len, epoch, .. } = self.run;
        Horizon { base_lr: base, total: len as u64, steps_per_epoch: epoch.map(|steps| steps as u64) }
    }

    /// lr(t) at every step of the run, written out. `None` if it depends on more than t.
    pub fn formula(&self) -> Option<formula::Term> {
        self.node.root.formula(&formula::Position::run(&self.run))
    }

    /// What the schedule is, in words that other libraries have too.
    pub fn known(&self) -> known::Known {
        self.node.root.known(&self.run)
    }

    /// The kinds of the rules in it, each once.
    pub fn rule_kinds(&self) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        self.node.root.rule_kinds(&self.run, &mut kinds);
        kinds
    }

    /// Whether lr(t) depends on more than t.
    pub fn feedback(&self) -> Feedback {
        if self.node.rules == 0 { Feedback::OpenLoop } else { Feedback::ClosedLoop }
    }

    /// What a person should know before training with it.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The state before step 0.
    pub fn start(&self) -> State {
        State { slots: vec![Slot::default(); self.node.rules] }
    }

    /// Whether a rule needs the validation loss after step `t`, though the run itself would not evaluate.
    pub fn wants_validation(&self, t: u64) -> bool {
        let mut wants = false;
        self.node.root.rules(&self.at(t), &mut |_, rule, at| {
            wants |= rule.watch().is_some_and(|watch| watch.wants_validation(at));
        });
        wants
    }

    /// Shows the rules what is known before update `t`; to be called before [`Schedule::lr`] of `t`.
    pub fn before_update(&self, state: &mut State, t: u64, seen: &BeforeUpdate) {
        self.node.root.rules(&self.at(t), &mut |slot, rule, at| {
            let Some(slot) = state.slots.get_mut(slot) else { return };
            let memory = slot.memory(rule, at);
            rule.gradient(memory, at.base, seen);
            if let Some(metric) = rule.watch().and_then(|watch| watch.metric_before(at, seen)) {
                rule.look(memory, at.base, metric);
            }
        });
    }

    /// Shows the rules what is known after update `t`.
    pub fn after_update(&self, state: &mut State, t: u64, seen: &AfterUpdate) {
        self.node.root.rules(&self.at(t), &mut |slot, rule, at| {
            let Some(slot) = state.slots.get_mut(slot) else { return };
            let memory = slot.memory(rule, at);
            if let Some(metric) = rule.watch().and_then(|watch| watch.metric_after(at, seen)) {
                rule.look(memory, at.base, metric);
            }
        });
    }
}
