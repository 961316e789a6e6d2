//! What a sweep trains next. The decision is made in `verdict::promote`, from results alone; here it is made into a plan.

use std::collections::{BTreeSet, HashMap};

use spec::protocol::{AddedLr, Chosen, Decisions, Seeds};
use spec::{Plan, Spec};
use store::{Status, TrialRecord};
use verdict::promote::{Extension, extensions, promotions};
use verdict::results::{RunResult, RunState};

use crate::Error;
use crate::error::words;
use crate::results::{Metric, result};

/// One decision that follows from the results of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The best lr of a schedule is an end of its grid: one lr beyond is trained too.
    Extended {
        /// Which lr is added, and beyond which end.
        extension: Extension,
        /// How often this grid has been extended, this time included.
        times: u64,
        /// How often it may be at most.
        most: u64,
    },
    /// The tuning seeds have chosen a config for each schedule; fresh seeds decide between these.
    Chosen {
        /// The configs.
        configs: Vec<Chosen>,
        /// Seeds that have chosen.
        tuning_seeds: u64,
        /// Seeds that decide.
        deciding_seeds: u64,
    },
}

/// The next round: everything that was decided so far, and what is new.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    decisions: Decisions,
    /// What this round's results decided.
    pub new: Vec<Decision>,
}

impl Next {
    /// The plan that follows.
    ///
    /// # Errors
    /// What was decided can't be trained.
    pub fn plan(self, spec: &Spec) -> Result<Plan, Error> {
        spec::plan_on(spec, self.decisions).map_err(|problems| {
            Error::usage(format_args!("what follows from the results can't be trained: {}", words(&problems)))
        })
    }
}

/// How many runs the deciding seeds will need.
pub fn deciding_runs(spec: &Spec) -> u64 {
    spec.seeds.deciding() * spec.schedules.len() as u64 * budgets(spec).len() as u64
}

/// Steps of the runs that the deciding seeds will need.
pub(crate) fn deciding_steps(spec: &Spec) -> u64 {
    spec.seeds.deciding() * spec.schedules.len() as u64 * budgets(spec).iter().sum::<u64>()
}

/// Lengths of the runs, in steps.
fn budgets(spec: &Spec) -> BTreeSet<u64> {
    spec.points.iter().map(|point| point.task.steps).collect()
}

/// Whether the lr grid of a schedule may be extended.
pub(crate) fn may_extend(spec: &Spec) -> bool {
    spec.extend > 0 && spec.schedules.iter().any(|schedule| schedule.lrs(spec).len() > 1)
}

/// Whether every run of the plan has ended.
pub(crate) fn is_complete(plan: &Plan, rows: &[TrialRecord]) -> bool {
    results(plan, rows).is_some()
}

/// What follows from a round's results; nothing while runs are missing, or when all is decided.
pub fn next(spec: &Spec, plan: &Plan, rows: &[TrialRecord]) -> Option<Next> {
    let results = results(plan, rows)?;
    let decisions = &plan.decisions;
    if !decisions.chosen.is_empty() {
        return None;
    }
    let due: Vec<(Extension, u64)> = extensions(&results)
        .into_iter()
        .map(|extension| (times(decisions, &extension), extension))
        .filter(|(times, _)| *times < spec.extend)
        .map(|(times, extension)| (extension, times + 1))
        .collect();
    match spec.seeds {
        _ if !due.is_empty() => Some(extended(spec, decisions, due)),
        Seeds::Split { .. } => chosen(spec, decisions, &results),
        _ => None,
    }
}

/// The plan with all that follows from these results of its sweep.
///
/// # Errors
/// What was decided can't be trained.
pub fn decided(spec: &Spec, plan: &Plan, rows: &[TrialRecord]) -> Result<Plan, Error> {
    decide(spec, plan.clone(), rows, &mut |_| {})
}

/// The same; `each` gets every decision.
///
/// # Errors
/// What was decided can't be trained.
pub fn decide(
    spec: &Spec,
    mut plan: Plan,
    rows: &[TrialRecord],
    each: &mut dyn FnMut(&Decision),
) -> Result<Plan, Error> {
    while let Some(next) = next(spec, &plan, rows) {
        fault::point("promotion.before").map_err(Error::failed)?;
        next.new.iter().for_each(&mut *each);
        plan = next.plan(spec)?;
    }
    Ok(plan)
}

/// How often this grid was extended.
fn times(decisions: &Decisions, extension: &Extension) -> u64 {
    let same =
        |added: &&AddedLr| added.schedule == extension.added.schedule && added.steps == extension.added.steps;
    decisions.added.iter().filter(same).count() as u64
}

fn extended(spec: &Spec, before: &Decisions, due: Vec<(Extension, u64)>) -> Next {
    let mut decisions = before.clone();
    decisions.added.extend(due.iter().map(|(extension, _)| extension.added.clone()));
    let most = spec.extend;
    let new = due.into_iter().map(|(extension, times)| Decision::Extended { extension, times, most });
    Next { decisions, new: new.collect() }
}

fn chosen(spec: &Spec, before: &Decisions, results: &[RunResult]) -> Option<Next> {
    let configs = promotions(results);
    let decisions = Decisions { chosen: configs.clone(), ..before.clone() };
    let (tuning_seeds, deciding_seeds) = (spec.seeds.choosing(), spec.seeds.deciding());
    (!configs.is_empty())
        .then(|| Next { decisions, new: vec![Decision::Chosen { configs, tuning_seeds, deciding_seeds }] })
}

/// The results of a plan's runs, where all have ended.
fn results(plan: &Plan, rows: &[TrialRecord]) -> Option<Vec<RunResult>> {
    let known: HashMap<&str, &TrialRecord> = rows
        .iter()
        .filter(|row| matches!(row.status, Status::Done | Status::Diverged))
        .map(|row| (row.trial_id.as_str(), row))
        .collect();
    let mut all = Vec::with_capacity(plan.cells.len());
    for cell in &plan.cells {
        let trial = plan.trials.get(cell.trial)?;
        let row = known.get(trial.id.as_str())?;
        let row = TrialRecord {
            schedule: cell.schedule.clone(),
            base_lr: trial.config.base_lr,
            purpose: cell.purpose,
            ..(*row).clone()
        };
        let found = result(row, Metric::Final, &HashMap::new());
        debug_assert!(found.state != RunState::Missing);
        all.push(found);
    }
    Some(all)
}
