//! A lane: one training state, the riders that share it, and one step of them.

use candle_core::Var;
use schedule::{Average, BeforeUpdate};
use spec::event::StepRow;

use crate::TrainError;
use crate::average::Averaged;
use crate::digest;
use crate::evaluate::Evaluation;
use crate::model::{Model, Parameter};
use crate::optimizer::Update;
use crate::rider::{Rates, Rider};
use crate::riders::Riders;
use crate::run::Trained;
use crate::state::RunState;
use crate::work::Work;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) state: RunState,
    pub(crate) riders: Riders,
    /// First step at which the rates of the open-loop riders may differ.
    common_until: u64,
    /// How the last update was averaged.
    averaged: Option<Average>,
}

/// A step, before [`Lane::finish_step`].
pub(crate) struct Stepped {
    pub(crate) row: StepRow,
    /// The loss that exceeded its bound, if it did: the run is over for all riders.
    pub(crate) diverged: Option<f64>,
}

/// Receives riders that leave a lane before its next step, and the state they go on from.
pub(crate) type Leave<'a> = dyn FnMut(&RunState, Riders) -> Result<(), TrainError> + 'a;

impl Lane {
    /// Riders that go on from a state.
    pub(crate) fn new(state: RunState, mut riders: Riders) -> Result<Self, TrainError> {
        for rider in riders.iter_mut() {
            rider.prepare(state.model.parameters())?;
        }
        let last = state.step.checked_sub(1);
        let averaged = last.and_then(|t| riders.leader()?.rates(t).average);
        let mut lane = Self { state, riders, common_until: 0, averaged };
        lane.riders_changed();
        Ok(lane)
    }

    /// Called after riders have left.
    fn riders_changed(&mut self) {
        self.common_until = self.riders.common_until();
        if !self.riders.iter().any(|rider| rider.schedule().averages()) {
            self.state.averaged = None;
        }
    }

    /// The model that is evaluated: with the averaged weights, where the last update was averaged.
    pub(crate) fn eval_view(&self) -> Model {
        let averaged = self.averaged.and(self.state.averaged.as_ref());
        let parameters = averaged.map_or(self.state.model.parameters(), Averaged::eval_view);
        self.state.model.with(parameters.to_vec())
    }

    /// The weights and optimizer state that its run leaves.
    pub(crate) fn trained(&self) -> Trained {
        let parameters = self.eval_view().parameters().to_vec();
        let optimizer = &self.state.optimizer;
        // The state comes in the order of the parameters, list after list. Frozen parameters have none.
        let moment = |(i, (name, var)): (usize, (String, &Var))| {
            let i = i % parameters.len().max(1);
            let transposed = parameters.get(i).is_some_and(|parameter| parameter.transposed);
            (!optimizer.is_frozen(i)).then(|| Parameter { transposed, var: var.clone(), name })
        };
        let moments = optimizer.state(&parameters).enumerate().filter_map(moment).collect();
        Trained { moments, updates: optimizer.updates_before() + self.state.step, parameters }
    }

    /// Fingerprint of the weights that are evaluated.
    pub(crate) fn weights_hash(&self) -> Result<String, TrainError> {
        Ok(digest::weights(self.eval_view().parameters())?)
    }

    /// Whether a loss is not finite, or beyond the bound.
    fn is_divergent(&self, loss: f64) -> bool {
        let multiple = self.riders.leader().map_or(f64::NAN, |rider| rider.trial.config.task.diverge_above);
        // A task of the user's own may have a first loss of 0 or less, which has no multiple to exceed.
        let bound = multiple * f64::from(self.state.first_loss);
        !loss.is_finite() || (bound > 0.0 && loss > bound)
    }

    /// Riders (trials) whose lrs differ from this step on leave the lane, all but the largest group with equal lrs. Of closed-loop
    /// riders the lrs are known only during the step: see `run_rules`.
    pub(crate) fn split_diverging(&mut self, leave: &mut Leave<'_>) -> Result<(), TrainError> {
        let t = self.state.step;
        if t >= self.common_until && self.riders.closed.is_empty() {
            let groups = self.riders.split_open(t);
            self.keep_largest(groups, leave)?;
        }
        Ok(())
    }

    /// Steps, at most `most`, that can be trained before riders are evaluated, split or end.
    pub(crate) fn block(&self, most: usize) -> usize {
        let t = self.state.step;
        let until_fork = match self.common_until {
            fork if fork > t => usize::try_from(fork - t).unwrap_or(usize::MAX),
            _ => most,
        };
        let evaluation = (0..most as u64).position(|ahead| self.evaluates_after(t + ahead));
        evaluation.map_or(most, |at| at + 1).min(until_fork)
    }

    /// One update with the batch in `work`. All riders but the largest group with equal rates leave before it.
    pub(crate) fn step(&mut self, work: &mut Work, leave: &mut Leave<'_>) -> Result<Stepped, TrainError> {
        self.split_diverging(leave)?;
        let t = self.state.step;
        let loss = work.loss(&self.state.model)?;
        let train_loss = f64::from(loss);
        if t == 0 {
            self.state.first_loss = self.state.model.first_loss(loss)?;
        }
        if self.is_divergent(train_loss) {
            // Each trial's digest ends with its own lr.
            let groups = self.riders.split_by_rates(t);
            self.keep_largest(groups, leave)?;
            let row = self.record(t, self.rates(t)?.lr, loss, f64::NAN);
            return Ok(Stepped { row, diverged: Some(train_loss) });
        }

        let clip_norm = self.riders.leader().and_then(|rider| rider.trial.config.task.network()?.clip_norm);
        let simple = self.riders.closed.is_empty() && clip_norm.is_none() && work.fuses();
        let (rates, squares) = if simple {
            let rates = self.rates(t)?;
            let update = update(t, &rates, 1.0);
            (rates, work.fused_update(&self.state.model, &self.state.optimizer, update)?)
        } else {
            work.gradients(&self.state.model, &self.state.optimizer)?;
            let squares = work.sum_of_squares()?;
            let rates = self.run_rules(t, train_loss, squares, work, leave)?;
            self.update(update(t, &rates, clip(clip_norm, squares.sqrt())), rates.average, work)?;
            (rates, squares)
        };
        let row = self.record(t, rates.lr, loss, squares.sqrt());
        Ok(Stepped { row, diverged: None })
    }

    /// The rates of update `t`, the same for all riders.
    fn rates(&self, t: u64) -> Result<Rates, TrainError> {
        self.riders.leader().map(|leader| leader.rates(t)).ok_or(TrainError::Empty)
    }

    /// Records a trained step in the digest.
    fn record(&mut self, step: u64, lr: f64, loss: f32, grad_norm: f64) -> StepRow {
        self.state.step += 1;
        self.state.digest.step(lr as f32, loss);
        StepRow { step, lr, train_loss: f64::from(loss), grad_norm }
    }

    /// Runs the rules before update `t`. All riders but the largest group with equal rates leave. Their rules see the
    /// step again, so they leave with the state from before it.
    fn run_rules(
        &mut self,
        t: u64,
        train_loss: f64,
        grad_norm_squared: f64,
        work: &Work,
        leave: &mut Leave<'_>,
    ) -> Result<Rates, TrainError> {
        let seen = BeforeUpdate { train_loss, grad_norm_squared };
        let alone = self.riders.len() == 1;
        let mut snapshots = Vec::new();
        for rider in &mut self.riders.closed {
            if !alone {
                snapshots.push((rider.trial.id.clone(), rider.snapshot()?));
            }
            rider.before_update(t, &seen, self.state.model.parameters(), work.all_gradients())?;
        }
        let mut groups = self.riders.split_by_rates(t);
        let largest = largest(&groups);
        let leaving = groups.iter_mut().enumerate().filter(|(i, _)| Some(*i) != largest);
        for rider in leaving.flat_map(|(_, group)| &mut group.closed) {
            if let Some(at) = snapshots.iter().position(|(id, _)| *id == rider.trial.id) {
                rider.restore(snapshots.swap_remove(at).1);
            }
        }
        self.keep_largest(groups, leave)?;
        self.rates(t)
    }

    /// The largest group stays, the others leave.
    fn keep_largest(&mut self, mut groups: Vec<Riders>, leave: &mut Leave<'_>) -> Result<(), TrainError> {
        if let Some(largest) = largest(&groups) {
            self.riders = groups.swap_remove(largest);
        }
        for group in groups {
            leave(&self.state, group)?;
        }
        self.riders_changed();
        Ok(())
    }

    /// The update itself, with all gradients at hand.
    fn update(&mut self, update: Update, average: Option<Average>, work: &Work) -> Result<(), TrainError> {
        let RunState { model, optimizer, averaged, .. } = &self.state;
        let (parameters, gradients) = (model.parameters(), work.all_gradients());
        match (averaged, average) {
            (Some(averaged), Some(average)) => {
                averaged.update(optimizer, parameters, gradients, update, average)?;
            }
            (averaged, _) => {
                if let (Some(averaged), Some(_)) = (averaged, self.averaged) {
                    averaged.leave(parameters)?;
                }
                optimizer.update(parameters, gradients, update)?;
            }
        }
        self.averaged = average;
        Ok(())
    }

    /// Whether a rider evaluates on the validation set after step `t`.
    pub(crate) fn evaluates_after(&self, t: u64) -> bool {
        self.riders.iter().any(|rider| rider.evaluates_after(t))
    }

    /// Finishes step `t` for the rules. `valid` is the evaluation after it, if a rider evaluates. Returns the validation
    /// loss of each trial that evaluates, and takes out the riders whose loss exceeded its bound.
    pub(crate) fn finish_step(
        &mut self,
        t: u64,
        train_loss: f64,
        valid: Option<Evaluation>,
    ) -> (Vec<(String, f64)>, Riders) {
        let mut losses = Vec::new();
        for rider in self.riders.iter_mut() {
            let evaluation = valid.filter(|_| rider.evaluates_after(t));
            if let Some(evaluation) = evaluation {
                losses.push((rider.trial.id.clone(), evaluation.loss));
            }
            rider.after_update(t, train_loss, evaluation);
        }
        let exceeded = valid.is_some_and(|evaluation| self.is_divergent(evaluation.loss));
        let diverged =
            if exceeded { self.take_riders(|rider| rider.evaluates_after(t)) } else { Riders::default() };
        (losses, diverged)
    }

    /// Takes out riders.
    pub(crate) fn take_riders(&mut self, leaves: impl Fn(&Rider) -> bool) -> Riders {
        if !self.riders.iter().any(&leaves) {
            return Riders::default();
        }
        let taken = self.riders.take(leaves);
        self.riders_changed();
        taken
    }
}

fn update(t: u64, rates: &Rates, clip: f64) -> Update {
    Update { t, lr: f64::from(rates.lr as f32), momentum: rates.momentum, averaged: false, clip }
}

/// Index of the group with the most riders, the first of equals.
fn largest(groups: &[Riders]) -> Option<usize> {
    (0..groups.len()).rev().max_by_key(|i| groups.get(*i).map_or(0, Riders::len))
}

/// The factor on the gradients, as PyTorch's `clip_grad_norm_` has it.
fn clip(most: Option<f64>, norm: f64) -> f64 {
    most.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
}
