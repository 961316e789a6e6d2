//! Successive halving of lrs as rounds of a sweep: which lrs get more tuning seeds, and how many runs that leaves. `verdict::halving`
//! decides from the results only, so a killed sweep and a second machine decide the same.

use std::collections::HashSet;

use spec::halving::{Fate, Halving};
use spec::protocol::{Purpose, Seeds};
use spec::{Plan, Spec};
use verdict::halving::{halve, restore};
use verdict::results::RunResult;

/// A decision about lrs, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Halved {
    pub(crate) halving: Halving,
    /// Number of tuning seeds that the lrs get that were not dropped.
    pub(crate) next: u64,
    /// Number of runs that the dropped lrs would have needed.
    pub(crate) saved: u64,
}

/// The decision that follows from the results of all runs so far. `None` without halving, or if the lrs next to the best ones have all their seeds.
pub(crate) fn next(seeds: &Seeds, before: &[Halving], results: &[RunResult]) -> Option<Halved> {
    let (rungs, all) = (seeds.rungs(), seeds.choosing());
    if rungs.is_empty() {
        return None;
    }
    if before.len() >= rungs.len() {
        let halving = restore(results, before);
        return (!halving.outcomes.is_empty()).then_some(Halved { halving, next: all, saved: 0 });
    }
    let halving = halve(results);
    let next = rungs.get(before.len() + 1).map_or(all, |seeds| *seeds as u64);
    let saved = configs_dropped(&halving, results) as u64 * all.saturating_sub(halving.seeds);
    Some(Halved { halving, next, saved })
}

/// Number of configs of the lrs that a halving drops.
fn configs_dropped(halving: &Halving, results: &[RunResult]) -> usize {
    let is_dropped = |run: &&RunResult| {
        halving.outcomes.iter().any(|at| {
            at.fate == Fate::Dropped
                && at.schedule == run.trial.schedule
                && at.steps == run.trial.steps.unsigned_abs()
                && at.base_lr == run.trial.base_lr
        })
    };
    let dropped = results.iter().filter(is_dropped);
    dropped
        .map(|run| (run.trial.schedule.as_str(), run.trial.config_id.as_str()))
        .collect::<HashSet<_>>()
        .len()
}

/// Number of tuning runs that follow after the round of this plan, if no lr is dropped, and of their steps.
pub fn tuning_left(spec: &Spec, plan: &Plan) -> (u64, u64) {
    let rungs = spec.seeds.rungs();
    let Some(reached) = rungs.get(plan.decisions.halvings.len()) else { return (0, 0) };
    let first = match &spec.seeds {
        Seeds::Split { tune, .. } => tune.first().copied(),
        _ => None,
    };
    let each = spec.seeds.choosing().saturating_sub(*reached as u64);
    let tuned: HashSet<usize> =
        plan.cells.iter().filter(|cell| cell.purpose == Purpose::Tune).map(|cell| cell.trial).collect();
    let trials = tuned.into_iter().filter_map(|trial| plan.trials.get(trial));
    let steps: Vec<u64> =
        trials.filter(|trial| Some(trial.seed) == first).map(|trial| trial.config.task.steps).collect();
    (steps.len() as u64 * each, steps.iter().sum::<u64>() * each)
}
