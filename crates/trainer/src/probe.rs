//! Measures the cost of training on this machine: times a few steps of a trial.

use std::time::{Duration, Instant};

use spec::trial::Trial;

use crate::TrainError;
use crate::batches::Batches;
use crate::data::{Examples, Part};
use crate::device::Device;
use crate::optimizer::Update;
use crate::state::{RunState, StateCounter};
use crate::work::{Work, network};

/// Steps that are not timed, to warm up caches and branch predictors.
const WARM_UP: u64 = 5;
/// Maximum number of steps.
const MAX_STEPS: u64 = 2000;

/// Wall-clock time on one thread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Time of a step.
    pub step: Duration,
    /// Time to evaluate one example.
    pub example: Duration,
}

/// Trains the first steps of a trial for about `time`, and evaluates once.
///
/// # Errors
/// The device can't be used, or fails.
pub fn probe(trial: &Trial, examples: &Examples, device: Device, time: Duration) -> Result<Cost, TrainError> {
    let device = device.open()?;
    let state = RunState::new(trial, false, examples, &device, &StateCounter::default())?;
    let task = &trial.config.task;
    let mut work = Work::new(task, examples, &state.model, device, 1)?;
    let mut batches = Batches::of(trial.seed, network(task)?, examples);
    let (mut start, mut timed) = (Instant::now(), 0);
    for t in 0..MAX_STEPS {
        batches.gather(t, examples, &mut work.batches[0]);
        work.loss(&state.model)?;
        // A tiny lr keeps the weights, and so the magnitudes of all numbers, almost constant.
        let update = Update { t, lr: 1e-9, momentum: None, averaged: false, clip: 1.0 };
        work.fused_update(&state.model, &state.optimizer, update)?;
        if t < WARM_UP {
            start = Instant::now();
            continue;
        }
        timed += 1;
        if start.elapsed() >= time {
            break;
        }
    }
    let step = start.elapsed() / u32::try_from(timed).unwrap_or(1).max(1);
    let start = Instant::now();
    work.evaluate(std::slice::from_ref(&state.model), examples, Part::Valid)?;
    let example = start.elapsed() / u32::try_from(examples.len(Part::Valid)).unwrap_or(u32::MAX).max(1);
    Ok(Cost { step, example })
}
