//! The state of a run between two steps that the members of a lane share: weights, optimizer state, averages, position.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Var};
use spec::trial::Trial;

use crate::TrainError;
use crate::average::Averaged;
use crate::data::Examples;
use crate::digest::Digest;
use crate::model::{Arch, Model};
use crate::optimizer::Optimizer;
use crate::transfer;
use crate::work::network;

/// Counts the states in memory, so that their number can be limited.
#[derive(Debug, Clone, Default)]
pub struct StateCounter(Arc<AtomicUsize>);

impl StateCounter {
    /// Number of states in memory now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts one state as long as it lives.
#[derive(Debug)]
struct Counted(StateCounter);

impl Counted {
    fn new(state_counter: &StateCounter) -> Self {
        state_counter.0.fetch_add(1, Ordering::Relaxed);
        Self(state_counter.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The state that the members of a lane share.
#[derive(Debug)]
pub(crate) struct RunState {
    pub(crate) model: Model,
    pub(crate) optimizer: Optimizer,
    /// The averaged weights, if a schedule averages.
    pub(crate) averaged: Option<Averaged>,
    pub(crate) digest: Digest,
    /// The next step.
    pub(crate) step: u64,
    /// Loss at step 0, the reference for divergence.
    pub(crate) first_loss: f32,
    counted: Counted,
}

impl RunState {
    /// The state before the first step of a trial and of all trials that start with it.
    pub(crate) fn new(
        trial: &Trial,
        averages: bool,
        examples: &Examples,
        device: &Device,
        state_counter: &StateCounter,
    ) -> Result<Self, TrainError> {
        let network = network(&trial.config.task)?;
        let arch = Arch::of(network)?.with_task(examples.custom().cloned());
        let model = Model::new(&arch, trial.seed, DType::F32, device)?;
        let cycled = trial.config.schedule.momentum(0).is_some();
        let factors = transfer::factors(model.parameters(), network);
        let groups = transfer::groups(model.parameters(), trial);
        let optimizer = Optimizer::new(&network.optimizer, cycled, model.parameters())?;
        let optimizer = optimizer.with_factors(factors).with_groups(groups);
        let averaged = averages.then(|| Averaged::new(model.parameters())).transpose()?;
        let (digest, counted) = (Digest::default(), Counted::new(state_counter));
        Ok(Self { model, optimizer, averaged, digest, step: 0, first_loss: 0.0, counted })
    }

    /// A deep copy.
    pub(crate) fn copy(&self) -> candle_core::Result<Self> {
        Ok(Self {
            model: self.model.copy()?,
            optimizer: self.optimizer.copy()?,
            averaged: self.averaged.as_ref().map(Averaged::copy).transpose()?,
            counted: Counted::new(&self.counted.0),
            ..*self
        })
    }

    /// The parameters and all other tensors of the state, by name.
    pub(crate) fn tensors(&self) -> Vec<(String, Var)> {
        let parameters = self.model.parameters();
        let state = self.optimizer.state(parameters);
        let state = state.chain(self.averaged.iter().flat_map(Averaged::named));
        let state = state.map(|(name, var)| (name, var.clone()));
        parameters.iter().map(|p| (p.name.clone(), p.var.clone())).chain(state).collect()
    }
}
