//! Learning-rate schedules as pure functions of the step.
//!
//! A [`Node`] is a schedule as written. [`Node::resolve`] fits it to one run and returns a [`Schedule`],
//! which can be evaluated at any step. The state of closed-loop rules is a [`State`], a plain value outside
//! the schedule. This crate has no I/O, no tensors, no wall clock and no global randomness.

mod blend;
pub mod catalogue;
pub mod combine;
mod coverage;
pub mod document;
mod epochs;
mod exact;
pub mod expression;
pub mod fields;
pub mod formula;
pub mod groups;
pub mod index;
pub mod known;
mod leaf;
pub mod length;
pub mod lint;
pub mod lookalike;
pub mod lr_value;
pub mod metric_name;
mod misplaced;
pub mod name;
mod node;
pub mod number;
pub mod preset;
pub mod problem;
mod ramp;
pub mod reader;
mod rule;
mod segment;
pub mod tree;
pub mod vectors;

use std::collections::BTreeMap;
use std::sync::Arc;

use coverage::Coverage;
use document::Document;
use groups::{Group, GroupInfo};
use known::Metric;
use node::{ScheduleNode, Slot};
use problem::Problem;
use reader::Reading;
use rule::Rule;
use segment::Position;
use tree::{Place, Tree};
use vectors::{Kept, RuleVectors, Vectors};

/// The properties of a run that a schedule depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Horizon {
    /// The base lr (`1x`). Finite and above 0.
    pub base_lr: f64,
    /// Length of the run in steps, at least 1.
    pub total: u64,
    /// Steps per epoch, if the run has epochs.
    pub steps_per_epoch: Option<u64>,
}

/// A schedule as written in a sweep file, checked as far as possible without a run.
#[derive(Debug, Clone)]
pub struct Node {
    /// The schedule, or that of the first parameter group.
    root: Arc<ScheduleNode>,
    /// The parameter groups, the first one too; empty if the schedule is for all parameters.
    groups: Arc<[Group]>,
    /// Number of rules in it, in all groups together.
    rules: usize,
    place: Place,
    path: String,
    document: Arc<Document>,
}

/// The largest lr: the largest number in single precision.
const MAX_LR: f64 = f32::MAX as f64;

/// The maximum length of a run whose schedule must be checked at each step.
const MAX_CHECKED: u64 = 10_000_000;

/// The maximum length of a run whose lrs are exported as a table.
const MAX_LISTED: f64 = 1e6;

/// A schedule fitted to one run.
#[derive(Debug, Clone)]
pub struct Schedule {
    node: Node,
    run: Position,
}

/// Whether a schedule depends on training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feedback {
    /// lr(t) depends only on t.
    OpenLoop,
    /// lr(t) also depends on the losses or gradients so far.
    ClosedLoop,
}

/// The inputs that a schedule needs. Without them its lr is meaningless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// A loss, of the batch or of the validation set.
    pub loss: bool,
    /// The accuracy on the validation set.
    pub accuracy: bool,
    /// The gradient.
    pub gradient: bool,
    /// The parameters.
    pub parameters: bool,
}

/// The metrics that rules need in one step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// The loss of the batch, before the update.
    pub before: bool,
    /// The loss of the batch, after the update.
    pub train_loss: bool,
    /// The validation loss, after the update.
    pub valid_loss: bool,
    /// The validation accuracy, after the update.
    pub valid_accuracy: bool,
    /// The program's own metrics with these names, after the update.
    pub own: Vec<Arc<str>>,
}

/// How the weights of an update are averaged (schedule-free training): z are the weights that the optimizer
/// moves, x is their average, and gradients are computed at y.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Average {
    /// Whether this is the first update. Then z and x are the parameters before it.
    pub first: bool,
    /// After the update y = (1 - momentum) z + momentum x. At least 0 and below 1.
    pub momentum: f64,
    /// After the update x = (1 - weight) x + weight z. 0 to 1.
    pub weight: f64,
}

/// The state of the closed-loop rules of one schedule. It is stored in the checkpoint; a change of its form
/// needs a new checkpoint version.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct State {
    slots: Vec<Slot>,
    /// The given noise of each step: see [`State::with_noise`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "exact::list")]
    noise: Vec<f64>,
}

impl State {
    /// The same state with given noise, from step 0, instead of the noise that `noise` draws. After the end
    /// of the list the noise is 0.
    pub fn with_noise(self, noise: Vec<f64>) -> Self {
        Self { noise, ..self }
    }
}

/// The inputs of rules at step t before the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeforeUpdate {
    /// Loss of the batch at step t, before the update.
    pub train_loss: f64,
    /// Squared norm of the whole gradient, before clipping.
    pub grad_norm_squared: f64,
}

/// The inputs of rules at step t after the update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AfterUpdate<'a> {
    /// Loss of the batch at step t, before the update.
    pub train_loss: f64,
    /// Validation loss after the update, if the run evaluated.
    pub valid_loss: Option<f64>,
    /// Validation accuracy after the update, 0 to 1, if the run evaluated and the task has one.
    pub valid_accuracy: Option<f64>,
    /// The program's own metrics of this step, by name.
    pub own: &'a BTreeMap<String, f64>,
    /// Whether the run evaluated after this step. Rules without their own interval check their metric now.
    pub evaluated: bool,
}

/// Reads a schedule in the grammar of this crate. Adds every problem to `problems` and returns `None` if
/// there is any.
pub fn parse(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    read(Document::plain(tree), path, problems)
}

/// Reads a schedule that another crate may have rewritten from another grammar.
pub fn read(document: Document, path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let before = problems.len();
    let mut reading = Reading::new(document.names);
    let groups = groups::read(&document.tree, path, problems, &mut reading);
    let root = match &groups {
        Some(groups) => groups.first().map(|first| Arc::clone(&first.root)),
        None => ScheduleNode::read(&document.tree, path, problems, &mut reading).map(Arc::new),
    };
    if let Some(found) = problems.get_mut(before..) {
        document.origins.relabel(found);
    }
    let root = root.filter(|_| problems.len() == before)?;
    let (place, path, document) = (document.place, path.to_owned(), Arc::new(document));
    let groups = groups.unwrap_or_default().into();
    Some(Node { root, groups, rules: reading.rules, place, path, document })
}

impl Node {
    /// Whether it has parameter groups.
    pub fn is_grouped(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The schedule in the grammar of this crate: names of other libraries are replaced by their expansions.
    pub fn expanded(&self) -> &Tree {
        &self.document.tree
    }

    /// The length in steps that the schedule itself sets, as `torch.OneCycleLR` does with `total_steps`.
    /// `None` if it sets none, or if it is in epochs of unknown length.
    pub fn stated_length(&self, steps_per_epoch: Option<u64>) -> Option<u64> {
        let length = self.document.length?;
        let tick = if length.epochs { steps_per_epoch? as f64 } else { 1.0 };
        let steps = length.ticks * tick;
        (1.0..=1e15).contains(&steps).then_some(steps as u64)
    }

    /// The length in epochs that the schedule itself sets, if it counts epochs.
    pub fn stated_epochs(&self) -> Option<f64> {
        self.document.length.filter(|length| length.epochs).map(|length| length.ticks)
    }

    /// Fits the schedule to a run: lengths become steps, multiples of the base lr become numbers.
    ///
    /// # Errors
    /// All problems with this run, such as lengths that do not fit, each with its place.
    pub fn resolve(&self, horizon: &Horizon) -> Result<Schedule, Vec<Problem>> {
        let mut fitted = self.fit(horizon);
        if let Err(problems) = &mut fitted {
            self.document.origins.relabel(problems);
        }
        fitted
    }

    fn fit(&self, horizon: &Horizon) -> Result<Schedule, Vec<Problem>> {
        let run = Position::run(horizon.total, horizon.base_lr, horizon.steps_per_epoch);
        let schedule = Schedule { node: self.clone(), run };
        let mut problems = Vec::new();
        if run.epoch.is_none() {
            schedule.roots().for_each(|(root, run)| root.needs_epochs(&run, &mut problems));
        }
        if problems.is_empty() {
            schedule.roots().for_each(|(root, run)| root.check(&run, &mut problems));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        for (root, run) in schedule.roots() {
            self.check_each_step(root, &run, horizon.total)?;
        }
        let start = schedule.start();
        for (root, run) in schedule.roots() {
            let lr = |t: u64| root.lr(&run.at(t as f64), &start);
            if lr(0).max(lr(horizon.total.saturating_sub(1))) > MAX_LR {
                let problem = self.problem("the lr overflows single precision");
                return Err(vec![
                    problem.with_hint("use a smaller factor, or wrap it in `clamp: {max: ...}`"),
                ]);
            }
        }
        schedule.check_rules_of_groups()?;
        Ok(schedule)
    }

    /// Evaluates every step of schedules whose lrs can only be checked that way.
    fn check_each_step(&self, root: &ScheduleNode, run: &Position, total: u64) -> Result<(), Vec<Problem>> {
        if !root.needs_step_check(run) {
            return Ok(());
        }
        if total > MAX_CHECKED {
            let message = format!(
                "expressions are checked at each step: expected at most {MAX_CHECKED} steps, found {total}"
            );
            return Err(vec![self.problem(&message)]);
        }
        let mut problems = Vec::new();
        for t in 0..total {
            root.invalid_lrs(&run.at(t as f64), &mut problems);
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
    fn at(&self, t: u64) -> Position {
        self.run.at(t as f64)
    }

    /// All rules of all groups, each with its index.
    fn all_rules(&self, visit: &mut dyn FnMut(usize, &dyn Rule)) {
        self.roots().for_each(|(root, run)| root.all_rules(&run, visit));
    }

    /// The rules of all groups that are active at step `t`, each with its index and its position.
    fn rules(&self, t: u64, visit: &mut dyn FnMut(usize, &dyn Rule, &Position)) {
        self.roots().for_each(|(root, run)| root.rules(&run.at(t as f64), visit));
    }

    /// The tree of each group with its run; one without groups.
    fn roots(&self) -> impl Iterator<Item = (&ScheduleNode, Position)> {
        let of = |group: &Group| self.run_of(group);
        let others = self.node.groups.iter().skip(1).map(move |group| (group.root.as_ref(), of(group)));
        std::iter::once((self.node.root.as_ref(), self.run)).chain(others)
    }

    fn run_of(&self, group: &Group) -> Position {
        Position { base: group.base_lr.unwrap_or(self.run.base), ..self.run }
    }

    /// The lr of update `t`, at least 0; of the first group, if there are groups. For a closed-loop schedule `state` must have received all inputs
    /// before `t`. The cost is the same for every `t`, also beyond the end of the run.
    pub fn lr(&self, t: u64, state: &State) -> f64 {
        self.node.root.lr(&self.at(t), state)
    }

    /// The momentum (Adam: beta1) of update `t`, if the schedule cycles it; of the first group, if there are groups.
    pub fn momentum(&self, t: u64) -> Option<f64> {
        self.node.root.momentum(&self.at(t))
    }

    /// Its parameter groups in order, the first one first. Empty if the schedule is for all parameters.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = GroupInfo<'_>> {
        self.node.groups.iter().map(|group| GroupInfo {
            name: &group.name,
            base_lr: self.run_of(group).base,
            keeps_ratio: group.keeps_ratio,
            is_closed_loop: group.is_closed_loop,
        })
    }

    /// Whether it has parameter groups.
    pub fn is_grouped(&self) -> bool {
        !self.node.groups.is_empty()
    }

    /// The lr of update `t` of each group, in order; `state` is that of the whole schedule. Empty without groups.
    pub fn group_lrs<'a>(&'a self, t: u64, state: &'a State) -> impl Iterator<Item = f64> + 'a {
        let lr = move |group: &Group| group.root.lr(&self.run_of(group).at(t as f64), state);
        self.node.groups.iter().map(lr)
    }

    /// The momentum of update `t` of each group, in order, if its schedule cycles it. Empty without groups.
    pub fn group_momenta(&self, t: u64) -> impl Iterator<Item = Option<f64>> {
        self.node.groups.iter().map(move |group| group.root.momentum(&self.run_of(group).at(t as f64)))
    }

    /// The schedule of group `i` as a schedule for all parameters. Its rules have the same places in a [`State`].
    pub fn of_group(&self, i: usize) -> Option<Self> {
        let group = self.node.groups.get(i)?;
        let node = Node {
            root: Arc::clone(&group.root),
            groups: Arc::default(),
            rules: if group.is_closed_loop { self.node.rules } else { 0 },
            place: group.place,
            path: group.path.clone(),
            document: Arc::clone(&self.node.document),
        };
        Some(Self { node, run: self.run_of(group) })
    }

    /// A rule can't read the vectors of one group, and only all weights can be averaged.
    fn check_rules_of_groups(&self) -> Result<(), Vec<Problem>> {
        let refused = |group: &Group| {
            let mut refused = false;
            group.root.all_rules(&self.run_of(group), &mut |_, rule| {
                refused |= rule.needs().parameters || rule.averages() || !rule.kept_vectors().is_empty();
            });
            refused.then(|| {
                let message = "this rule works on the weights of the whole model, so it can't be used in a parameter group";
                Problem::new(group.place, group.path.clone(), message)
            })
        };
        let problems: Vec<Problem> = self.node.groups.iter().filter_map(refused).collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The run that the schedule is fitted to; the base lr is that of the first group.
    pub fn horizon(&self) -> Horizon {
        let Position { base, len, epoch, .. } = self.run;
        Horizon { base_lr: base, total: len as u64, steps_per_epoch: epoch.map(|steps| steps as u64) }
    }

    /// lr(t) at every step of the run as a formula. Schedules without a formula (`noise`, products) become a
    /// table of lrs, for runs of up to 1,000,000 steps. `None` if lr(t) depends on more than t, or on the
    /// parameter group.
    pub fn formula(&self) -> Option<formula::Term> {
        if self.is_grouped() {
            return None;
        }
        if !self.node.root.has_formula(&self.run) {
            let start = self.start();
            let known = self.feedback() == Feedback::OpenLoop && self.run.len <= MAX_LISTED;
            let total = known.then_some(self.run.len)?;
            let lrs: Vec<f64> = (0..total as u64).map(|t| self.lr(t, &start)).collect();
            return Some(formula::Term::t(total).entry("lrs", &lrs));
        }
        self.node.root.formula(&formula::TermPosition::run(&self.run))
    }

    /// The form of the schedule in other libraries.
    pub fn known(&self) -> known::Known {
        if self.is_grouped() {
            return known::Known::Other;
        }
        self.node.root.known(&self.run)
    }

    /// The kinds of the rules in it, each once.
    pub fn rule_kinds(&self) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        self.roots().for_each(|(root, run)| root.rule_kinds(&run, &mut kinds));
        kinds
    }

    /// Whether lr(t) depends on more than t.
    pub fn feedback(&self) -> Feedback {
        if self.node.rules == 0 { Feedback::OpenLoop } else { Feedback::ClosedLoop }
    }

    /// The inputs that its rules need.
    pub fn needs(&self) -> Needs {
        let mut all = Needs::default();
        self.all_rules(&mut |_, rule| {
            let needs = rule.needs();
            all.loss |= needs.loss;
            all.accuracy |= needs.accuracy;
            all.gradient |= needs.gradient;
            all.parameters |= needs.parameters;
        });
        all
    }

    /// The metrics of a program's own that its rules watch, each with whether a higher value is better.
    pub fn own_metrics(&self) -> Vec<(Arc<str>, bool)> {
        let mut all = Vec::new();
        self.all_rules(&mut |_, rule| {
            if let Some(Metric::Own(name)) = rule.watch().map(|watch| &watch.metric) {
                all.push((Arc::clone(name), rule.max_mode() == Some(true)));
            }
        });
        all
    }

    /// The vectors that its rules store between steps, each with the index of its rule.
    pub fn kept_vectors(&self) -> Vec<(usize, Kept)> {
        let mut all = Vec::new();
        self.all_rules(&mut |i, rule| {
            all.extend(rule.kept_vectors().iter().map(|kept| (i, *kept)));
        });
        all
    }

    /// Whether its rules read or store vectors, not only losses and gradient norms.
    pub fn uses_vectors(&self) -> bool {
        self.needs().parameters || self.averages() || !self.kept_vectors().is_empty()
    }

    /// Whether any update of the run may be averaged.
    pub fn averages(&self) -> bool {
        let mut any = false;
        self.all_rules(&mut |_, rule| any |= rule.averages());
        any
    }

    /// How update `t` is averaged, if it is. To be called after [`Schedule::before_update`] of `t`.
    pub fn average(&self, t: u64, state: &State) -> Option<Average> {
        let mut average = None;
        self.rules(t, &mut |slot, rule, at| {
            let memory = state.slots.get(slot).and_then(|slot| slot.memory_at(at));
            average = average.or(memory.and_then(|memory| rule.average(memory)));
        });
        average
    }

    /// Warnings about settings that are legal and probably not intended: see [`lint::LINTS`].
    /// `evaluate_every` is the number of steps between evaluations, if known.
    pub fn warnings(&self, evaluate_every: Option<u64>) -> Vec<Problem> {
        let mut warnings = match self.is_grouped() {
            false => self.warnings_of_root(evaluate_every),
            true => {
                let groups = (0..self.node.groups.len()).filter_map(|i| self.of_group(i));
                groups.flat_map(|schedule| schedule.warnings_of_root(evaluate_every)).collect()
            }
        };
        self.node.document.origins.relabel(&mut warnings);
        warnings
    }

    /// The warnings about a schedule without groups.
    fn warnings_of_root(&self, evaluate_every: Option<u64>) -> Vec<Problem> {
        let mut warnings = Vec::new();
        let run = Coverage::run(self.run, evaluate_every.map(|every| every as f64));
        self.node.root.warn(&run, &mut warnings);
        if self.feedback() == Feedback::OpenLoop {
            let start = self.start();
            let lr = |t| self.lr(t, &start);
            let whole = lint::whole_run(lr, self.run.len as u64, self.node.root.is_constant(), &warnings);
            let here = |warning| Problem { place: self.node.place, path: self.node.path.clone(), ..warning };
            warnings.extend(whole.into_iter().map(here));
        }
        self.warn_of_epochs(&mut warnings);
        warnings
    }

    /// The state before step 0.
    pub fn start(&self) -> State {
        State { slots: vec![Slot::default(); self.node.rules], noise: Vec::new() }
    }

    /// Whether a state from a checkpoint belongs to the rules of this schedule.
    pub fn accepts_state(&self, state: &State) -> bool {
        let mut fits = state.slots.len() == self.node.rules;
        self.all_rules(&mut |slot, rule| {
            fits &= state.slots.get(slot).is_some_and(|slot| slot.fits(rule));
        });
        fits
    }

    /// Whether a rule needs the validation loss or accuracy after step `t`, even if the run does not evaluate
    /// there.
    pub fn wants_validation(&self, t: u64) -> bool {
        let wants = self.wants(t, false);
        wants.valid_loss || wants.valid_accuracy
    }

    /// The metrics that its rules need of step `t`; `evaluates`: whether the run evaluates after it.
    pub fn wants(&self, t: u64, evaluates: bool) -> Wants {
        let mut all = Wants::default();
        self.rules(t, &mut |_, rule, at| {
            let Some(wants) = rule.watch().map(|watch| watch.wants(at, evaluates)) else { return };
            all.before |= wants.before;
            all.train_loss |= wants.train_loss;
            all.valid_loss |= wants.valid_loss;
            all.valid_accuracy |= wants.valid_accuracy;
            all.own.extend(wants.own);
        });
        all
    }

    /// Passes the rules their inputs before update `t`. To be called before [`Schedule::lr`] of `t`.
    pub fn before_update(&self, state: &mut State, t: u64, before: &BeforeUpdate, vectors: &mut dyn Vectors) {
        self.rules(t, &mut |index, rule, at| {
            let Some(slot) = state.slots.get_mut(index) else { return };
            let memory = slot.memory(rule, at);
            rule.gradient(memory, at, before, &mut RuleVectors { rule: index, vectors: &mut *vectors });
            if let Some(metric) = rule.watch().and_then(|watch| watch.metric_before(at, before)) {
                rule.observe(memory, at.base, metric);
            }
        });
    }

    /// Passes the rules their inputs after update `t`.
    pub fn after_update(&self, state: &mut State, t: u64, after: &AfterUpdate<'_>) {
        self.rules(t, &mut |slot, rule, at| {
            let Some(slot) = state.slots.get_mut(slot) else { return };
            let memory = slot.memory(rule, at);
            if let Some(metric) = rule.watch().and_then(|watch| watch.metric_after(at, after)) {
                rule.observe(memory, at.base, metric);
            }
        });
    }
}
