//! Results of runs, grouped by schedule and config into tables of losses over seeds: the input of the ranking.

use std::collections::{BTreeMap, BTreeSet};

pub use spec::protocol::Purpose;
pub use spec::record::TrialRecord;

use crate::score::Score;

/// The result of one run of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// The stored record of the run.
    pub trial: TrialRecord,
    /// Its state.
    pub state: RunState,
    /// The score that judges its schedule.
    pub score: Option<Score>,
}

/// The state of a run. The number is the cost by which configs are chosen; lower is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RunState {
    /// Finished.
    Done(f64),
    /// Finished without reaching the target of the metric. Its value is a lower bound.
    Unreached(f64),
    /// Finished without the metric that judges it; counts as infinitely bad.
    Unreported(f64),
    /// Diverged; counts as infinitely bad.
    Diverged,
    /// Queued, running or stopped.
    Missing,
    /// It could not be trained.
    Failed,
}

impl RunState {
    /// The cost that a config is chosen by; `None` if the run has not ended.
    pub fn loss(self) -> Option<f64> {
        match self {
            RunState::Done(cost) | RunState::Unreached(cost) | RunState::Unreported(cost) => Some(cost),
            RunState::Diverged => Some(f64::INFINITY),
            RunState::Missing | RunState::Failed => None,
        }
    }
}

impl RunResult {
    /// The cost that its config is chosen by; `None` if it has not ended.
    pub fn loss(&self) -> Option<f64> {
        self.state.loss()
    }

    /// The value that its schedule is judged by; `None` if it has not ended.
    pub fn value(&self) -> Option<f64> {
        match self.state {
            RunState::Done(_) | RunState::Unreached(_) => self.score.map(|score| score.value),
            RunState::Diverged | RunState::Unreported(_) => {
                Some(self.score.map_or(f64::INFINITY, |score| score.direction.worst()))
            }
            RunState::Missing | RunState::Failed => None,
        }
    }
}

/// One config of one schedule.
#[derive(Debug)]
pub struct Config<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its base lr.
    pub base_lr: f64,
    /// Path and value of each of its axes, as shown to users.
    pub axes: Vec<(String, String)>,
    /// Length of its runs in steps.
    pub steps: i64,
    /// Its runs, each seed once.
    pub runs: Vec<&'a RunResult>,
}

impl Config<'_> {
    /// One number for each seed, if it has one.
    fn over(&self, seeds: &[i64], number: fn(&RunResult) -> Option<f64>) -> Vec<Option<f64>> {
        let by_seed: BTreeMap<i64, Option<f64>> =
            self.runs.iter().map(|run| (run.trial.seed, number(run))).collect();
        seeds.iter().map(|seed| by_seed.get(seed).copied().flatten()).collect()
    }
}

/// The configs of one schedule.
#[derive(Debug)]
pub struct Grid<'a> {
    /// The schedule.
    pub schedule: &'a str,
    /// Its configs, in the order of the sweep file.
    pub configs: Vec<Config<'a>>,
}

impl Grid<'_> {
    /// Costs to choose by: `[config][seed]`.
    pub(crate) fn losses(&self, seeds: &[i64]) -> Vec<Vec<Option<f64>>> {
        self.configs.iter().map(|config| config.over(seeds, RunResult::loss)).collect()
    }

    /// Values to judge by: `[config][seed]`.
    pub(crate) fn values(&self, seeds: &[i64]) -> Vec<Vec<Option<f64>>> {
        self.configs.iter().map(|config| config.over(seeds, RunResult::value)).collect()
    }

    /// Its base lrs, lowest first, each once.
    pub fn lrs(&self) -> Vec<f64> {
        let mut lrs: Vec<f64> = self.configs.iter().map(|config| config.base_lr).collect();
        lrs.sort_by(f64::total_cmp);
        lrs.dedup();
        lrs
    }
}

/// If no two schedules share a seed, as with `seeds: {each: 8}`: the results with each seed replaced by its number within its
/// schedule, so that the first runs of all schedules are compared, then the second, and so on. Otherwise `None`.
pub(crate) fn matched(results: &[RunResult]) -> Option<Vec<RunResult>> {
    let mut own: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for run in results {
        own.entry(&run.trial.schedule).or_default().insert(run.trial.seed);
    }
    let all: BTreeSet<i64> = own.values().flatten().copied().collect();
    let several = own.len() > 1 && own.values().map(BTreeSet::len).sum::<usize>() == all.len();
    let number = |run: &RunResult| {
        let seeds = own.get(run.trial.schedule.as_str())?;
        i64::try_from(seeds.range(..run.trial.seed).count()).ok()
    };
    several.then(|| {
        let mut results = results.to_vec();
        for run in &mut results {
            run.trial.seed = number(run).unwrap_or(run.trial.seed);
        }
        results
    })
}

/// The run lengths of a sweep in steps, shortest first.
pub fn budgets(results: &[RunResult]) -> Vec<i64> {
    results.iter().map(|run| run.trial.steps).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Seeds of runs with these purposes, in ascending order.
pub(crate) fn seeds(results: &[RunResult], wanted: &[Purpose]) -> Vec<i64> {
    let of = results.iter().filter(|run| wanted.contains(&run.trial.purpose)).map(|run| run.trial.seed);
    of.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Groups the results of one budget by schedule and config, in the order of first appearance. Without lrs that were dropped.
pub fn grids(results: &[RunResult], steps: i64) -> Vec<Grid<'_>> {
    let mut grids: Vec<Grid<'_>> = Vec::new();
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut configs: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    let mut seen: BTreeSet<(usize, usize, i64)> = BTreeSet::new();
    for run in results.iter().filter(|run| run.trial.steps == steps && run.trial.purpose != Purpose::Dropped)
    {
        let at = *known.entry(&run.trial.schedule).or_insert_with(|| {
            grids.push(Grid { schedule: &run.trial.schedule, configs: Vec::new() });
            grids.len() - 1
        });
        let Some(grid) = grids.get_mut(at) else { continue };
        let config = *configs.entry((at, &run.trial.config_id)).or_insert_with(|| {
            let (id, base_lr, steps) = (run.trial.config_id.as_str(), run.trial.base_lr, run.trial.steps);
            let axes = run.trial.axes.plain().map(|(path, value)| (path.to_owned(), value)).collect();
            grid.configs.push(Config { id, base_lr, axes, steps, runs: Vec::new() });
            grid.configs.len() - 1
        });
        // A config that ignores the base lr appears once for each base lr: its runs count once.
        if seen.insert((at, config, run.trial.seed))
            && let Some(config) = grid.configs.get_mut(config)
        {
            config.runs.push(run);
        }
    }
    grids
}
