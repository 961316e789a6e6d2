//! A member of a lane: a trial in training, with the state that it does not share with the other members.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use schedule::{AfterUpdate, Average, BeforeUpdate, Schedule, State};
use spec::trial::Trial;

use crate::TrainError;
use crate::evaluate::Evaluation;
use crate::model::Parameter;
use crate::vectors::{KeptTensors, StepVectors};

/// A trial in training.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) trial: Trial,
    /// The state of the schedule's rules.
    pub(crate) state: State,
    /// The tensors of the schedule's rules; created when the first lane starts.
    pub(crate) kept: Option<KeptTensors>,
    /// Steps that an open-loop member shares with the next one in the list.
    pub(crate) common_with_next: u64,
}

impl Member {
    pub(crate) fn new(trial: Trial, common_with_next: u64) -> Self {
        Self { state: trial.config.start(), trial, kept: None, common_with_next }
    }

    /// Whether a scheduled evaluation is due after step `t`.
    fn evaluation_is_due(&self, t: u64) -> bool {
        self.trial.config.task.evaluates_after(t)
    }

    /// Whether it evaluates after step `t`, because an evaluation is due or a rule needs one.
    pub(crate) fn evaluates_after(&self, t: u64) -> bool {
        self.evaluation_is_due(t) || self.schedule().wants_validation(t)
    }

    /// Whether a rule needs the validation accuracy after step `t`.
    pub(crate) fn wants_accuracy(&self, t: u64) -> bool {
        self.schedule().wants(t, self.evaluation_is_due(t)).valid_accuracy
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.trial.config.schedule
    }

    /// Length of its run.
    pub(crate) fn steps(&self) -> u64 {
        self.trial.config.task.steps
    }

    /// The rates of update `t`, after [`Member::before_update`].
    pub(crate) fn rates(&self, t: u64) -> Rates {
        let schedule = self.schedule();
        Rates {
            lr: schedule.lr(t, &self.state),
            momentum: schedule.momentum(t),
            average: schedule.average(t, &self.state),
            groups: schedule.group_lrs(t, &self.state).collect(),
        }
    }

    /// Creates the tensors of its rules, if it has none yet.
    pub(crate) fn prepare(&mut self, parameters: &[Parameter]) -> Result<()> {
        if self.kept.is_none() {
            self.kept = Some(KeptTensors::new(&self.schedule().kept_vectors(), parameters)?);
        }
        Ok(())
    }

    /// Runs its rules before update `t`.
    pub(crate) fn before_update(
        &mut self,
        t: u64,
        seen: &BeforeUpdate,
        parameters: &[Parameter],
        gradients: &[Tensor],
    ) -> std::result::Result<(), TrainError> {
        let Some(kept) = &mut self.kept else { return Err(TrainError::Empty) };
        let mut vectors = StepVectors { kept, parameters, gradients, failure: None };
        self.trial.config.schedule.before_update(&mut self.state, t, seen, &mut vectors);
        vectors.failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Runs its rules after update `t`.
    pub(crate) fn after_update(&mut self, t: u64, train_loss: f64, valid: Option<Evaluation>) {
        let valid_loss = valid.map(|evaluation| evaluation.loss);
        let valid_accuracy = valid.and_then(|evaluation| evaluation.accuracy);
        let (own, evaluated) = (&BTreeMap::new(), self.evaluation_is_due(t));
        let after = AfterUpdate { train_loss, valid_loss, valid_accuracy, own, evaluated };
        self.trial.config.schedule.after_update(&mut self.state, t, &after);
    }

    /// A copy of the state and tensors of its rules.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        let kept = self.kept.as_ref().filter(|kept| !kept.is_empty());
        Ok(Snapshot { state: self.state.clone(), kept: kept.map(KeptTensors::copy).transpose()? })
    }

    /// Restores a snapshot.
    pub(crate) fn restore(&mut self, snapshot: Snapshot) {
        self.state = snapshot.state;
        if snapshot.kept.is_some() {
            self.kept = snapshot.kept;
        }
    }
}

/// The copy that [`Member::snapshot`] returns.
pub(crate) struct Snapshot {
    state: State,
    kept: Option<KeptTensors>,
}

/// The values that a schedule gives to an update, which uses the lr as `f32`. Members whose rates differ in any bit split.
#[derive(Debug, Clone)]
pub(crate) struct Rates {
    pub(crate) lr: f64,
    pub(crate) momentum: Option<f64>,
    pub(crate) average: Option<Average>,
    /// The lr of each parameter group; empty without groups.
    pub(crate) groups: Vec<f64>,
}

impl Rates {
    /// Whether all bits are equal.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let bits = |rates: &Self| {
            let average = rates.average.map(|a| (a.first, a.momentum.to_bits(), a.weight.to_bits()));
            ((rates.lr as f32).to_bits(), rates.momentum.map(f64::to_bits), average)
        };
        let groups = |rates: &Self| rates.groups.iter().map(|lr| (*lr as f32).to_bits()).collect::<Vec<_>>();
        bits(self) == bits(other) && groups(self) == groups(other)
    }
}
