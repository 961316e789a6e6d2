//! Estimates how long a sweep takes, from a short probe of each kind of run.

use std::time::Duration;

use spec::trial::{Choice, Data, Model, Network, Trial};
use trainer::data::Part;
use trainer::device::Device;
use trainer::{Cost, TrainError, probe};

use crate::{DataSources, Loaded, SweepError, available_memory, load};

/// Time of one probe.
const PROBE: Duration = Duration::from_millis(150);

/// Wall time of training these trials from the first step. `None` if custom programs train some of them, whose speed
/// is unknown.
///
/// # Errors
/// Data is missing, memory is too small, or the device can't be used.
pub fn estimate(
    trials: &[Trial],
    share: bool,
    workers: usize,
    device: Device,
    sources: DataSources<'_>,
) -> Result<Option<Duration>, SweepError> {
    let loaded = load(trials.iter(), sources)?;
    let mut kinds: Vec<(Kind<'_>, Cost, Vec<&Trial>)> = Vec::new();
    for trial in trials {
        let Some(network @ Network { data, model, optimizer, .. }) = trial.config.task.network() else {
            return Ok(None);
        };
        let kind = (data, model, optimizer);
        if let Some((.., trials)) = kinds.iter_mut().find(|(known, ..)| *known == kind) {
            trials.push(trial);
            continue;
        }
        let Some(examples) = loaded.examples(network) else { continue };
        let needed = trainer::work_bytes(&trial.config.task) + trainer::state_bytes(trial);
        let given = available_memory();
        if given < needed {
            return Err(SweepError::Memory { workers: 1, needed, given });
        }
        let cost = probe(trial, examples, device, PROBE).map_err(|error| match error {
            TrainError::Device(error) => SweepError::Device(error),
            other => SweepError::Probe(other),
        })?;
        kinds.push((kind, cost, vec![trial]));
    }
    let all = kinds.iter().map(|(_, cost, trials)| time(*cost, trials, &loaded, share));
    Ok(Some(all.sum::<Duration>() / u32::try_from(workers).unwrap_or(1).max(1)))
}

/// The parts of a task on which the result of a probe depends.
type Kind<'a> = (&'a Option<Data>, &'a Model, &'a Choice);

fn time(cost: Cost, trials: &[&Trial], loaded: &Loaded, share: bool) -> Duration {
    let steps = if share {
        spec::share::trained_steps(trials)
    } else {
        trials.iter().map(|trial| trial.config.task.steps).sum()
    };
    let evaluated: u64 = trials
        .iter()
        .filter_map(|trial| {
            let task = &trial.config.task;
            let examples = loaded.examples(task.network()?)?;
            let (valid, test) = (examples.len(Part::Valid), examples.len(Part::Test));
            Some(task.steps.div_ceil(task.evaluate_every) * valid as u64 + test as u64)
        })
        .sum();
    cost.step.mul_f64(steps as f64) + cost.example.mul_f64(evaluated as f64)
}
