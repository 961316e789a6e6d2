//! A lane: one state that is trained, the riders it is trained for, and what one step does to them.

use candle_core::Var;
use schedule::{AfterUpdate, Average, BeforeUpdate};
use spec::event::StepRow;

use crate::TrainError;
use crate::average::Averaged;
use crate::digest;
use crate::evaluate::Evaluation;
use crate::model::{Model, Parameter};
use crate::optimizer::Update;
use crate::rider::{Rates, Rider, Riders};
use crate::run::Trained;
use crate::state::RunState;
use crate::vectors::StepVectors;
use crate::work::Work;

/// See the module.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) state: RunState,
    pub(crate) riders: Riders,
    /// Up to which step the open-loop riders go together.
    together_until: u64,
    /// How the last update was averaged.
    averaged: Option<Average>,
}

/// What a step came to. Its row is not complete before [`Lane::finish`].
pub(crate) struct Stepped {
    pub(crate) row: StepRow,
    /// The loss that left the bounds, if it did: the run is over for all riders.
    pub(crate) diverged: Option<f64>,
}

/// Gets riders that leave a lane before its next step, and the state they go on from.
pub(crate) type Leave<'a> = dyn FnMut(&RunState, Riders) -> Result<(), TrainError> + 'a;

impl Lane {
    /// Riders that go on from a state.
    pub(crate) fn new(state: RunState, mut riders: Riders) -> Result<Self, TrainError> {
        for rider in riders.iter_mut() {
            rider.prepare(state.model.parameters())?;
        }
        let last = state.step.checked_sub(1);
        let averaged = last.and_then(|t| riders.leader()?.rates(t).average);
        let mut lane = Self { state, riders, together_until: 0, averaged };
        lane.rearranged();
        Ok(lane)
    }

    /// To be called when riders have left.
    fn rearranged(&mut self) {
        self.together_until = self.riders.together_until();
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

    /// What is left when its run is over.
    pub(crate) fn trained(&self) -> Trained {
        let parameters = self.eval_view().parameters().to_vec();
        let optimizer = &self.state.optimizer;
        // The state comes in the order of the parameters, list after list. One that stayed as it was has seen no update.
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

    /// Whether a loss is none, or beyond the bound.
    fn is_divergent(&self, loss: f64) -> bool {
        let multiple = self.riders.leader().map_or(f64::NAN, |rider| rider.trial.config.task.diverge_above);
        // Of a first loss that is not above 0, as a task of the user's own may have, there is no multiple to exceed.
        let bound = multiple * f64::from(self.state.first_loss);
        !loss.is_finite() || (bound > 0.0 && loss > bound)
    }

    /// Lets go of open-loop riders that are told otherwise than most from this step on. Where rules have a
    /// say that shows only during the step.
    pub(crate) fn part(&mut self, leave: &mut Leave<'_>) -> Result<(), TrainError> {
        let t = self.state.step;
        if t >= self.together_until && self.riders.closed.is_empty() {
            let parts = self.riders.cut(t);
            self.keep_most(parts, leave)?;
        }
        Ok(())
    }

    /// Steps that can be trained, at most `most`, before riders are evaluated, part or end.
    pub(crate) fn undisturbed(&self, most: usize) -> usize {
        let t = self.state.step;
        let until_fork = match self.together_until {
            fork if fork > t => usize::try_from(fork - t).unwrap_or(usize::MAX),
            _ => most,
        };
        let look = (0..most as u64).position(|ahead| self.evaluates_after(t + ahead));
        look.map_or(most, |at| at + 1).min(until_fork)
    }

    /// One update with the batch in `work`. Riders that are told otherwise than most leave before it.
    pub(crate) fn advance(&mut self, work: &mut Work, leave: &mut Leave<'_>) -> Result<Stepped, TrainError> {
        self.part(leave)?;
        let t = self.state.step;
        let loss = work.loss(&self.state.model)?;
        let train_loss = f64::from(loss);
        if t == 0 {
            self.state.first_loss = self.state.model.first_loss(loss)?;
        }
        if self.is_divergent(train_loss) {
            // Each trial's digest ends with its own lr.
            let parts = self.riders.by_rates(t);
            self.keep_most(parts, leave)?;
            let row = self.count(t, self.rates(t)?.lr, loss, f64::NAN);
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
            let rates = self.show(t, train_loss, squares, work, leave)?;
            self.update(update(t, &rates, clip(clip_norm, squares.sqrt())), rates.average, work)?;
            (rates, squares)
        };
        let row = self.count(t, rates.lr, loss, squares.sqrt());
        Ok(Stepped { row, diverged: None })
    }

    /// What update `t` is told, the same for all riders.
    fn rates(&self, t: u64) -> Result<Rates, TrainError> {
        self.riders.leader().map(|leader| leader.rates(t)).ok_or(TrainError::Empty)
    }

    /// Counts a step that is trained.
    fn count(&mut self, step: u64, lr: f64, loss: f32, grad_norm: f64) -> StepRow {
        self.state.step += 1;
        self.state.digest.step(lr as f32, loss);
        StepRow { step, lr, train_loss: f64::from(loss), grad_norm }
    }

    /// Shows the rules what is known before update `t`, and lets go of the riders that are told otherwise
    /// than most: as they were before, for they see it again.
    fn show(
        &mut self,
        t: u64,
        train_loss: f64,
        grad_norm_squared: f64,
        work: &Work,
        leave: &mut Leave<'_>,
    ) -> Result<Rates, TrainError> {
        let seen = BeforeUpdate { train_loss, grad_norm_squared };
        let alone = self.riders.len() == 1;
        let mut before = Vec::new();
        for rider in &mut self.riders.closed {
            if !alone {
                before.push((rider.trial.id.clone(), rider.memory()?));
            }
            let Rider { trial, state, kept, .. } = rider;
            let Some(kept) = kept else { return Err(TrainError::Empty) };
            let parameters = self.state.model.parameters();
            let gradients = work.all_gradients();
            let mut vectors = StepVectors { kept, parameters, gradients, failure: None };
            trial.config.schedule.before_update(state, t, &seen, &mut vectors);
            if let Some(error) = vectors.failure {
                return Err(error.into());
            }
        }
        let mut parts = self.riders.by_rates(t);
        let most = most(&parts);
        for (i, part) in parts.iter_mut().enumerate() {
            for rider in part.closed.iter_mut().filter(|_| Some(i) != most) {
                if let Some(at) = before.iter().position(|(id, _)| *id == rider.trial.id) {
                    rider.recall(before.swap_remove(at).1);
                }
            }
        }
        self.keep_most(parts, leave)?;
        self.rates(t)
    }

    /// The largest part stays, the others leave.
    fn keep_most(&mut self, mut parts: Vec<Riders>, leave: &mut Leave<'_>) -> Result<(), TrainError> {
        if let Some(most) = most(&parts) {
            let mut stay = parts.swap_remove(most);
            std::mem::swap(&mut self.riders, &mut stay);
        }
        for part in parts {
            leave(&self.state, part)?;
        }
        self.rearranged();
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

    /// Whether anyone looks at the validation set after step `t`.
    pub(crate) fn evaluates_after(&self, t: u64) -> bool {
        self.riders.iter().any(|rider| looks(rider, t).1)
    }

    /// Ends step `t`: shows the rules what came of it. `valid` is the evaluation after it, if anyone asked
    /// for one. Gives for each trial that looked the loss it saw, and takes out those whose loss left the
    /// bounds: step and loss with them.
    pub(crate) fn finish(
        &mut self,
        t: u64,
        train_loss: f64,
        valid: Option<Evaluation>,
    ) -> (Vec<(String, f64)>, Riders) {
        let mut seen = Vec::new();
        for rider in self.riders.iter_mut() {
            let (look, asks) = looks(rider, t);
            let evaluation = valid.filter(|_| asks);
            if let Some(evaluation) = evaluation {
                seen.push((rider.trial.id.clone(), evaluation.loss));
            }
            let valid_loss = evaluation.map(|evaluation| evaluation.loss);
            let valid_accuracy = evaluation.and_then(|evaluation| evaluation.accuracy);
            let after = AfterUpdate { train_loss, valid_loss, valid_accuracy, look };
            let Rider { trial, state, .. } = rider;
            trial.config.schedule.after_update(state, t, &after);
        }
        let out = valid.is_some_and(|evaluation| self.is_divergent(evaluation.loss));
        let diverged = if out { self.take(|rider| looks(rider, t).1) } else { Riders::default() };
        (seen, diverged)
    }

    /// Takes out riders.
    pub(crate) fn take(&mut self, leaves: impl Fn(&Rider) -> bool) -> Riders {
        if !self.riders.iter().any(&leaves) {
            return Riders::default();
        }
        let taken = self.riders.take(leaves);
        self.rearranged();
        taken
    }
}

/// Whether a rider's evaluation is due after step `t`, and whether it evaluates, for that or for a rule.
fn looks(rider: &Rider, t: u64) -> (bool, bool) {
    let due = rider.trial.config.task.evaluates_after(t);
    (due, due || rider.schedule().wants_validation(t))
}

fn update(t: u64, rates: &Rates, clip: f64) -> Update {
    Update { t, lr: f64::from(rates.lr as f32), momentum: rates.momentum, averaged: false, clip }
}

/// Index of the part with the most riders, the first of equals.
fn most(parts: &[Riders]) -> Option<usize> {
    (0..parts.len()).rev().max_by_key(|i| parts.get(*i).map_or(0, Riders::len))
}

/// The factor on the gradients, as PyTorch's `clip_grad_norm_` has it.
fn clip(most: Option<f64>, norm: f64) -> f64 {
    most.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
}
