//! The curves of the ranked configs. Runs are sampled by the database, so that no run is read whole, and the samples of ended
//! runs are kept.

use std::collections::HashMap;
use std::sync::Arc;

use report::views::{Curves, GroupLrs, Sampled, ScheduleRuns, curves as composed};
use schedule::Schedule;
use schedule::groups::GroupInfo;
use spec::trial::Trial;
use store::{Reader, TrialRecord};
use sweep::ranked::Ranked;
use sweep::{Context, Error};

use super::document::MOST_RUNS;
use super::trials::Configs;

/// The metric of curves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CurveMetric {
    /// Validation losses.
    Valid,
    /// Training losses, as means over intervals of steps.
    Train,
    /// The values of another metric.
    Other(String),
}

impl CurveMetric {
    fn name(&self) -> &str {
        match self {
            Self::Valid => "valid",
            Self::Train => "train",
            Self::Other(name) => name,
        }
    }
}

/// Identifies a sampled run: trial, metric, steps between samples.
type Key = (String, CurveMetric, u64);

/// The samples of ended runs, and learning rates.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    runs: HashMap<Key, Arc<Sampled>>,
    lrs: HashMap<String, Arc<Sampled>>,
}

/// Most sampled runs to keep: some tens of megabytes.
const MOST: usize = 4000;

/// Number of learning rates of a curve.
const LRS: i64 = 320;

impl Samples {
    /// One run, sampled after every `every` updates.
    async fn of(
        &mut self,
        reader: &mut Reader,
        trial: &TrialRecord,
        metric: &CurveMetric,
        every: u64,
    ) -> Result<Arc<Sampled>, Error> {
        let key = (trial.trial_id.clone(), metric.clone(), every);
        if let Some(known) = self.runs.get(&key) {
            return Ok(Arc::clone(known));
        }
        let sampled: Sampled = match metric {
            CurveMetric::Valid => reader.evaluated(&trial.trial_id, every, trial.steps).await?,
            CurveMetric::Other(name) => {
                let values = reader.measured_of(&trial.trial_id, name).await?;
                thinned(values, trial.steps, every)
            }
            CurveMetric::Train => {
                let means = reader.step_means(&trial.trial_id, every).await?;
                // The last interval of a run in progress is not complete.
                let whole = means.iter().filter(|mean| trial.is_over() || mean.steps.unsigned_abs() == every);
                whole.filter_map(|mean| Some((mean.end, mean.train_loss?))).collect()
            }
        };
        let sampled = Arc::new(sampled);
        if trial.is_over() {
            if self.runs.len() >= MOST {
                self.runs.clear();
            }
            self.runs.insert(key, Arc::clone(&sampled));
        }
        Ok(sampled)
    }

    /// The learning rates of one run at evenly spaced steps.
    async fn lrs(&mut self, reader: &mut Reader, trial: &TrialRecord) -> Result<Arc<Sampled>, Error> {
        if let Some(known) = self.lrs.get(&trial.trial_id) {
            return Ok(Arc::clone(known));
        }
        let lrs = Arc::new(reader.lrs_at(&trial.trial_id, &spaced(trial.steps_done, LRS)).await?);
        if trial.is_over() {
            if self.lrs.len() >= MOST {
                self.lrs.clear();
            }
            self.lrs.insert(trial.trial_id.clone(), Arc::clone(&lrs));
        }
        Ok(lrs)
    }
}

/// The learning rates of the parameter groups of a schedule at the steps of `lrs`, which has those of the first group.
fn groups(schedule: &Schedule, lrs: &Sampled) -> Vec<GroupLrs> {
    let start = schedule.start();
    let of = |(i, group): (usize, GroupInfo<'_>)| {
        let known = |own: Schedule| lrs.iter().map(|(step, _)| own.lr(step.unsigned_abs(), &start)).collect();
        let lr = match (i, group.is_closed_loop) {
            (0, _) => Some(lrs.iter().map(|(_, lr)| *lr).collect()),
            (_, true) => None,
            (_, false) => schedule.of_group(i).map(known),
        };
        GroupLrs { group: group.name.to_owned(), lr }
    };
    schedule.groups().enumerate().map(of).collect()
}

/// About `number` steps from 0 to before `end`, with the first and the last.
fn spaced(end: i64, number: i64) -> Vec<i64> {
    let every = (end / number.max(1)).max(1);
    let mut steps: Vec<i64> = (0..end).step_by(usize::try_from(every).unwrap_or(1)).collect();
    if end > 0 && steps.last() != Some(&(end - 1)) {
        steps.push(end - 1);
    }
    steps
}

/// The last value of each interval of `every` updates. A program reports its metrics at any steps.
fn thinned(values: Vec<(i64, f64)>, steps: i64, every: u64) -> Sampled {
    let every = i64::try_from(every.max(1)).unwrap_or(i64::MAX);
    let interval = |updates: i64| (updates.min(steps) - 1) / every;
    let mut thinned: Sampled = Vec::new();
    for value in values {
        if thinned.last().is_some_and(|last| interval(last.0) == interval(value.0)) {
            thinned.pop();
        }
        thinned.push(value);
    }
    thinned
}

/// The steps between samples of a run, so that there are about `points`.
fn spacing(metric: &CurveMetric, trial: Option<&Trial>, steps: i64, points: u64) -> u64 {
    let (steps, points) = (steps.unsigned_abs().max(1), points.max(1));
    match metric {
        CurveMetric::Train | CurveMetric::Other(_) => steps.div_ceil(points),
        CurveMetric::Valid => {
            let every = trial.map_or(1, |trial| trial.config.task.evaluate_every).max(1);
            every * (steps / every).div_ceil(points).max(1)
        }
    }
}

/// The curves of a ranked sweep.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn curves(
    reader: &mut Reader,
    ranked: &Ranked,
    (metric, points): (&CurveMetric, u64),
    samples: &mut Samples,
    configs: &mut Configs,
    context: &Context,
) -> Result<Curves, Error> {
    let mut schedules = Vec::new();
    for line in &ranked.ranking.lines {
        let runs = ranked.ranking.judging(&ranked.results, line);
        let started: Vec<&TrialRecord> =
            runs.iter().map(|run| &run.trial).filter(|trial| trial.steps_done > 0).collect();
        let mut own = ScheduleRuns {
            schedule: line.schedule.clone(),
            base_lr: line.base_lr,
            config_id: line.config_id.clone(),
            all: runs.len(),
            diverged: line.diverged,
            ..ScheduleRuns::default()
        };
        if let Some(first) = started.first() {
            let facts = configs.of(reader, first, context).await?;
            let every = spacing(metric, facts.trial.as_ref(), line.steps, points);
            for trial in started.iter().take(MOST_RUNS) {
                own.runs.push(samples.of(reader, trial, metric, every).await?.to_vec());
            }
        }
        if let Some(longest) = started.iter().max_by_key(|trial| trial.steps_done) {
            own.lrs = samples.lrs(reader, longest).await?.to_vec();
            let facts = configs.of(reader, longest, context).await?;
            own.groups = facts
                .trial
                .as_ref()
                .map(|trial| groups(&trial.config.schedule, &own.lrs))
                .unwrap_or_default();
        }
        schedules.push(own);
    }
    Ok(composed(metric.name(), ranked.ranking.budget, schedules))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_each_interval_is_kept() {
        let values = vec![(1, 0.1), (2, 0.2), (4, 0.4), (7, 0.7), (10, 1.0)];
        assert_eq!(thinned(values.clone(), 10, 4), [(4, 0.4), (7, 0.7), (10, 1.0)]);
        assert_eq!(thinned(values.clone(), 10, 1), values);
    }

    #[test]
    fn samples_are_spaced_evenly_and_contain_the_last_step() {
        assert_eq!(spaced(0, 10), Vec::<i64>::new());
        assert_eq!(spaced(1, 10), [0]);
        assert_eq!(spaced(5, 10), [0, 1, 2, 3, 4]);
        assert_eq!(spaced(100, 4), [0, 25, 50, 75, 99]);
        assert_eq!(spacing(&CurveMetric::Train, None, 1860, 400), 5);
        assert_eq!(spacing(&CurveMetric::Valid, None, 1860, 400), 5);
        assert_eq!(spacing(&CurveMetric::Valid, None, 10, 400), 1);
    }
}
