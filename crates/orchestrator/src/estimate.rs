//! How long a sweep will take, from a short probe of each kind of run in it.

use std::path::Path;
use std::time::Duration;

use spec::Plan;
use spec::trial::{Data, Model, Network, Optimizer, Trial};
use trainer::device::Device;
use trainer::{Cost, TrainError, probe};

use crate::{SweepError, load};

/// Time of one probe.
const PROBE: Duration = Duration::from_millis(150);

/// Wall time of training a plan from nothing; `None` where programs of the user's own train, of which nobody knows how long
/// they take.
///
/// # Errors
/// Data are missing, or the device can't be used.
pub fn estimate(
    plan: &Plan,
    share: bool,
    workers: usize,
    device: Device,
    data_dir: Option<&Path>,
) -> Result<Option<Duration>, SweepError> {
    let images = load(plan.trials.iter(), data_dir)?;
    let mut kinds: Vec<(Kind<'_>, Cost, Vec<&Trial>)> = Vec::new();
    for trial in &plan.trials {
        let Some(Network { data, model, optimizer, .. }) = trial.config.task.network() else {
            return Ok(None);
        };
        let kind = (data, model, optimizer);
        if let Some((.., trials)) = kinds.iter_mut().find(|(known, ..)| *known == kind) {
            trials.push(trial);
            continue;
        }
        let Some(images) = images.of(data) else { continue };
        let cost = probe(trial, images, device, PROBE).map_err(|error| match error {
            TrainError::Device(error) => SweepError::Device(error),
            other => SweepError::Probe(other),
        })?;
        kinds.push((kind, cost, vec![trial]));
    }
    let all = kinds.iter().map(|(_, cost, trials)| time(*cost, trials, share));
    Ok(Some(all.sum::<Duration>() / u32::try_from(workers).unwrap_or(1).max(1)))
}

/// What a probe's result depends on.
type Kind<'a> = (&'a Data, &'a Model, &'a Optimizer);

fn time(cost: Cost, trials: &[&Trial], share: bool) -> Duration {
    let steps = if share {
        spec::share::steps(trials)
    } else {
        trials.iter().map(|trial| trial.config.task.steps).sum()
    };
    let evaluated: u64 = trials
        .iter()
        .filter_map(|trial| {
            let task = &trial.config.task;
            let Network { data, .. } = task.network()?;
            let (_, valid, test) = data.dataset.sizes(data.limit);
            Some(task.steps.div_ceil(task.evaluate_every) * valid as u64 + test as u64)
        })
        .sum();
    cost.step.mul_f64(steps as f64) + cost.image.mul_f64(evaluated as f64)
}
