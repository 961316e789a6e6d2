//! A lane: one training state, the members that share it, and one training step.

use candle_core::Var;
use schedule::{Average, BeforeUpdate};
use spec::event::StepRow;

use crate::TrainError;
use crate::average::Averaged;
use crate::digest;
use crate::evaluate::Evaluation;
use crate::member::{Member, Rates};
use crate::members::Members;
use crate::model::{Model, Parameter};
use crate::optimizer::Update;
use crate::run::Trained;
use crate::state::RunState;
use crate::work::Work;

/// A training state and the members that share it.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) state: RunState,
    pub(crate) members: Members,
    /// First step at which the rates of the open-loop members may differ.
    common_until: u64,
    /// How the last update was averaged.
    averaged: Option<Average>,
}

/// A trained step, before [`Lane::finish_step`].
pub(crate) struct Stepped {
    pub(crate) row: StepRow,
    /// The loss, if it diverged: the run is over for all members.
    pub(crate) diverged: Option<f64>,
}

/// Receives members that leave a lane before its next step, and the state that they continue from.
pub(crate) type Leave<'a> = dyn FnMut(&RunState, Members) -> Result<(), TrainError> + 'a;

impl Lane {
    /// A lane of members that continue from a state.
    pub(crate) fn new(state: RunState, mut members: Members) -> Result<Self, TrainError> {
        for member in members.iter_mut() {
            member.prepare(state.model.parameters())?;
        }
        let last = state.step.checked_sub(1);
        let averaged = last.and_then(|t| members.leader()?.rates(t).average);
        let mut lane = Self { state, members, common_until: 0, averaged };
        lane.members_changed();
        Ok(lane)
    }

    /// Must be called after members have left.
    fn members_changed(&mut self) {
        self.common_until = self.members.common_until();
        if !self.members.iter().any(|member| member.schedule().averages()) {
            self.state.averaged = None;
        }
    }

    /// The model to evaluate. It has the averaged weights if the last update was averaged.
    pub(crate) fn eval_view(&self) -> Model {
        let averaged = self.averaged.and(self.state.averaged.as_ref());
        let parameters = averaged.map_or(self.state.model.parameters(), Averaged::eval_view);
        self.state.model.with(parameters.to_vec())
    }

    /// The weights and the optimizer state at the end of its run.
    pub(crate) fn trained(&self) -> Trained {
        let parameters = self.eval_view().parameters().to_vec();
        let optimizer = &self.state.optimizer;
        // The state has one list after another, each in the order of the parameters. Frozen parameters have no state.
        let moment = |(i, (name, var)): (usize, (String, &Var))| {
            let i = i % parameters.len().max(1);
            let transposed = parameters.get(i).is_some_and(|parameter| parameter.transposed);
            (!optimizer.is_frozen(i)).then(|| Parameter { transposed, var: var.clone(), name })
        };
        let moments = optimizer.state(&parameters).enumerate().filter_map(moment).collect();
        Trained { moments, updates: optimizer.updates_before() + self.state.step, parameters }
    }

    /// Hash of the weights that are evaluated.
    pub(crate) fn weights_hash(&self) -> Result<String, TrainError> {
        Ok(digest::weights(self.eval_view().parameters())?)
    }

    /// Whether a loss is not finite or above the bound.
    fn is_divergent(&self, loss: f64) -> bool {
        let multiple =
            self.members.leader().map_or(f64::NAN, |member| member.trial.config.task.diverge_above);
        // A custom task may have a first loss of 0 or less. Then there is no bound.
        let bound = multiple * f64::from(self.state.first_loss);
        !loss.is_finite() || (bound > 0.0 && loss > bound)
    }

    /// Splits members (trials) whose lrs differ from this step on: the largest group with equal lrs stays, the others leave the
    /// lane. The lrs of closed-loop members are known only during the step: see `run_rules`.
    pub(crate) fn split_diverging(&mut self, leave: &mut Leave<'_>) -> Result<(), TrainError> {
        let t = self.state.step;
        if t >= self.common_until && self.members.closed.is_empty() {
            let groups = self.members.split_open(t);
            self.keep_largest(groups, leave)?;
        }
        Ok(())
    }

    /// Number of steps, at most `most`, until members evaluate, split or end.
    pub(crate) fn block(&self, most: usize) -> usize {
        let t = self.state.step;
        let until_fork = match self.common_until {
            fork if fork > t => usize::try_from(fork - t).unwrap_or(usize::MAX),
            _ => most,
        };
        let evaluation = (0..most as u64).position(|ahead| self.evaluates_after(t + ahead));
        evaluation.map_or(most, |at| at + 1).min(until_fork)
    }

    /// One update with the batch in `work`. Before it, all members except the largest group with equal rates leave.
    pub(crate) fn step(&mut self, work: &mut Work, leave: &mut Leave<'_>) -> Result<Stepped, TrainError> {
        self.split_diverging(leave)?;
        let t = self.state.step;
        let loss = work.loss(&self.state.model)?;
        let train_loss = f64::from(loss);
        if t == 0 {
            self.state.first_loss = self.state.model.first_loss(loss)?;
        }
        if self.is_divergent(train_loss) {
            // A trial's digest includes its own lr of this step.
            let groups = self.members.split_by_rates(t);
            self.keep_largest(groups, leave)?;
            let row = self.record(t, self.rates(t)?.lr, loss, f64::NAN);
            return Ok(Stepped { row, diverged: Some(train_loss) });
        }

        let clip_norm =
            self.members.leader().and_then(|member| member.trial.config.task.network()?.clip_norm);
        let simple = self.members.closed.is_empty() && clip_norm.is_none() && work.fuses();
        let (rates, squares) = if simple {
            let rates = self.rates(t)?;
            self.state.optimizer.set_group_lrs(&rates.groups);
            let update = update(t, &rates, 1.0);
            (rates, work.fused_update(&self.state.model, &self.state.optimizer, update)?)
        } else {
            work.gradients(&self.state.model, &self.state.optimizer)?;
            let squares = work.sum_of_squares()?;
            let rates = self.run_rules(t, train_loss, squares, work, leave)?;
            self.state.optimizer.set_group_lrs(&rates.groups);
            self.update(update(t, &rates, clip(clip_norm, squares.sqrt())), rates.average, work)?;
            (rates, squares)
        };
        let row = self.record(t, rates.lr, loss, squares.sqrt());
        Ok(Stepped { row, diverged: None })
    }

    /// The rates of update `t`, the same for all members.
    fn rates(&self, t: u64) -> Result<Rates, TrainError> {
        self.members.leader().map(|leader| leader.rates(t)).ok_or(TrainError::Empty)
    }

    /// Records a trained step in the digest.
    fn record(&mut self, step: u64, lr: f64, loss: f32, grad_norm: f64) -> StepRow {
        self.state.step += 1;
        self.state.digest.step(lr as f32, loss);
        StepRow { step, lr, train_loss: f64::from(loss), grad_norm }
    }

    /// Runs the rules before update `t`. All members except the largest group with equal rates leave. They repeat the step in
    /// another lane, so they leave with the state of their rules before it.
    fn run_rules(
        &mut self,
        t: u64,
        train_loss: f64,
        grad_norm_squared: f64,
        work: &Work,
        leave: &mut Leave<'_>,
    ) -> Result<Rates, TrainError> {
        let seen = BeforeUpdate { train_loss, grad_norm_squared };
        let is_single = self.members.len() == 1;
        let mut snapshots = Vec::new();
        for member in &mut self.members.closed {
            if !is_single {
                snapshots.push((member.trial.id.clone(), member.snapshot()?));
            }
            member.before_update(t, &seen, self.state.model.parameters(), work.all_gradients())?;
        }
        let mut groups = self.members.split_by_rates(t);
        let largest = largest(&groups);
        let leaving = groups.iter_mut().enumerate().filter(|(i, _)| Some(*i) != largest);
        for member in leaving.flat_map(|(_, group)| &mut group.closed) {
            if let Some(at) = snapshots.iter().position(|(id, _)| *id == member.trial.id) {
                member.restore(snapshots.swap_remove(at).1);
            }
        }
        self.keep_largest(groups, leave)?;
        self.rates(t)
    }

    /// Keeps the largest group; the others leave.
    fn keep_largest(&mut self, mut groups: Vec<Members>, leave: &mut Leave<'_>) -> Result<(), TrainError> {
        if let Some(largest) = largest(&groups) {
            self.members = groups.swap_remove(largest);
        }
        for group in groups {
            leave(&self.state, group)?;
        }
        self.members_changed();
        Ok(())
    }

    /// Updates the parameters with the gradients in `work`.
    fn update(&mut self, update: Update, average: Option<Average>, work: &Work) -> Result<(), TrainError> {
        let RunState { model, optimizer, averaged, .. } = &self.state;
        let (parameters, gradients) = (model.parameters(), work.all_gradients());
        match (averaged, average) {
            (Some(averaged), Some(average)) => {
                averaged.update(optimizer, parameters, gradients, update, average)?;
            }
            (averaged, _) => {
                if let (Some(averaged), Some(_)) = (averaged, self.averaged) {
                    averaged.apply_to(parameters)?;
                }
                optimizer.update(parameters, gradients, update)?;
            }
        }
        self.averaged = average;
        Ok(())
    }

    /// Whether a member evaluates on the validation set after step `t`.
    pub(crate) fn evaluates_after(&self, t: u64) -> bool {
        self.members.iter().any(|member| member.evaluates_after(t))
    }

    /// Runs the rules after step `t`. `valid` is the evaluation after it, if a member evaluates. Returns the validation loss of
    /// each trial that evaluates, and the members that diverged, which have left the lane.
    pub(crate) fn finish_step(
        &mut self,
        t: u64,
        train_loss: f64,
        valid: Option<Evaluation>,
    ) -> (Vec<(String, f64)>, Members) {
        let mut losses = Vec::new();
        for member in self.members.iter_mut() {
            let evaluation = valid.filter(|_| member.evaluates_after(t));
            if let Some(evaluation) = evaluation {
                losses.push((member.trial.id.clone(), evaluation.loss));
            }
            member.after_update(t, train_loss, evaluation);
        }
        let exceeded = valid.is_some_and(|evaluation| self.is_divergent(evaluation.loss));
        let diverged =
            if exceeded { self.take_members(|member| member.evaluates_after(t)) } else { Members::default() };
        (losses, diverged)
    }

    /// Removes and returns the members that `leaves` selects.
    pub(crate) fn take_members(&mut self, leaves: impl Fn(&Member) -> bool) -> Members {
        if !self.members.iter().any(&leaves) {
            return Members::default();
        }
        let taken = self.members.take(leaves);
        self.members_changed();
        taken
    }
}

fn update(t: u64, rates: &Rates, clip: f64) -> Update {
    Update { t, lr: f64::from(rates.lr as f32), momentum: rates.momentum, averaged: false, clip }
}

/// Index of the group with the most members; the first one if several are equal.
fn largest(groups: &[Members]) -> Option<usize> {
    (0..groups.len()).rev().max_by_key(|i| groups.get(*i).map_or(0, Members::len))
}

/// The factor on the gradients, as in PyTorch's `clip_grad_norm_`.
fn clip(most: Option<f64>, norm: f64) -> f64 {
    most.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
}
