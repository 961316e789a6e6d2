//! Decides what a sweep trains next. `verdict::promote` decides from the results only; this module makes a plan of
//! it.

use std::collections::{BTreeSet, HashMap};

use ::search::{Generation, Proposal};
use spec::looks::Looks;
use spec::protocol::{AddedLr, Chosen, Decisions, Look, Outcome, Seeds};
use spec::{Plan, Spec};
use store::{Status, TrialRecord};
use verdict::looks::at_look;
use verdict::promote::{Extension, extensions, promotions};
use verdict::results::{RunResult, RunState};

use crate::Error;
use crate::error::joined_messages;
use crate::results::{Values, described, result};
use crate::search;

/// One decision that follows from the results of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The best lr of a schedule is at the edge of its grid, so one more lr beyond the edge is trained.
    Extended {
        /// Which lr is added, and at which edge.
        extension: Extension,
        /// How often this grid has been extended, including this time.
        times: u64,
        /// How often it may be extended.
        limit: u64,
    },
    /// The tuning seeds have chosen a config for each schedule. These configs are compared on new seeds.
    Chosen {
        /// The configs.
        configs: Vec<Chosen>,
        /// Number of tuning seeds.
        tuning_seeds: u64,
        /// Number of deciding seeds. With planned looks, at most.
        deciding_seeds: u64,
        /// The planned looks.
        looks: Option<Looks>,
    },
    /// The results at a planned look decide which schedules get more seeds.
    Looked {
        /// Its decisions.
        look: Look,
        /// Number of deciding seeds at the next look.
        next: u64,
        /// Number of runs that the schedules that it stopped would have needed up to the last look.
        saved: u64,
    },
    /// A generation of a search follows.
    Proposed {
        /// The generation.
        generation: Generation,
        /// Its number, from 0.
        number: usize,
        /// Trials of the search before it, and the most that it may have.
        trials: (u64, u64),
    },
    /// The search has ended. The found schedule and the best named one are compared on new seeds.
    Found {
        /// The found schedule.
        found: Proposal,
        /// The configs that are compared, the found one first.
        compared: Vec<Chosen>,
        /// Number of deciding seeds. With planned looks, at most.
        deciding_seeds: u64,
    },
}

/// The next round: all decisions so far, including new ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    decisions: Decisions,
    /// The decisions that follow from the results of the last round.
    pub new: Vec<Decision>,
}

impl Next {
    /// The plan of the next round.
    ///
    /// # Errors
    /// The decisions can't be trained.
    pub fn plan(self, spec: &Spec) -> Result<Plan, Error> {
        spec::plan_on(spec, self.decisions).map_err(|problems| {
            Error::usage(format_args!("can't train the next round: {}", joined_messages(&problems)))
        })
    }
}

/// Runs that follow after the current round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Later {
    /// Number of those that judge; with planned looks, at most.
    pub runs: u64,
    /// Number of runs of a search, at most.
    pub searched: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Whether planned looks may stop schedules before.
    pub at_most: bool,
}

/// The runs that follow after the round of these decisions, with deciding seeds or after planned looks.
pub fn later(spec: &Spec, decisions: &Decisions) -> Later {
    let looks = spec.seeds.looks();
    let each = match (looks, &spec.seeds) {
        (None, Seeds::Split { decide, .. }) if decisions.chosen.is_empty() => decide.len() as u64,
        (Some(looks), Seeds::Split { .. }) if decisions.chosen.is_empty() => looks.most(),
        (Some(looks), _) => {
            let reached = looks.seeds.get(decisions.looks.len()).copied();
            looks.most().saturating_sub(reached.unwrap_or(looks.most()))
        }
        _ => 0,
    };
    // A search compares the found schedule with the best named one.
    let schedules = if spec.search.is_some() { 2 } else { spec.schedules.len() as u64 };
    let searched = search::trials_left(spec, decisions);
    let runs = |steps: u64| each * schedules.saturating_sub(stopped(decisions, steps));
    let budgets = budgets(spec);
    Later {
        runs: budgets.iter().map(|steps| runs(*steps)).sum(),
        steps: budgets.iter().map(|steps| (runs(*steps) + searched) * steps).sum(),
        searched,
        at_most: looks.is_some(),
    }
}

/// Number of schedules that looks gave their last seed, at this length of the runs.
fn stopped(decisions: &Decisions, steps: u64) -> u64 {
    let outcomes = decisions.looks.iter().flat_map(|look| &look.outcomes);
    let stopped = outcomes.filter(|at| at.chosen.steps == steps && at.outcome != Outcome::Continued);
    stopped.count() as u64
}

/// Number of runs with deciding seeds; with planned looks, at most.
pub fn deciding_runs(spec: &Spec) -> u64 {
    later(spec, &Decisions::default()).runs
}

/// Steps of the runs that the deciding seeds will need.
pub fn deciding_steps(spec: &Spec) -> u64 {
    later(spec, &Decisions::default()).steps
}

/// Lengths of the runs, in steps.
pub fn budgets(spec: &Spec) -> BTreeSet<u64> {
    spec.points.iter().map(|point| point.task.steps).collect()
}

/// Whether the results of the round after these decisions may extend the lr grid of a schedule.
pub(crate) fn may_extend_now(spec: &Spec, decisions: &Decisions) -> bool {
    let is_first = decisions.chosen.is_empty() && decisions.generations.is_empty();
    is_first && spec.extend > 0 && spec.schedules.iter().any(|schedule| schedule.lrs(spec).len() > 1)
}

/// Whether every run of the plan has ended.
pub(crate) fn is_complete(plan: &Plan, rows: &[TrialRecord]) -> bool {
    results(plan, rows, &Values::default()).is_some()
}

/// The next round that follows from the results of all runs of a plan. `None` when everything is decided.
fn next(
    spec: &Spec,
    plan: &Plan,
    results: &[RunResult],
    (rows, values): (&[TrialRecord], &Values),
) -> Result<Option<Next>, Error> {
    let decisions = &plan.decisions;
    if !decisions.chosen.is_empty() {
        return Ok(looked(spec, decisions, &decisions.chosen, (results, values)));
    }
    if !decisions.generations.is_empty() {
        return searched(spec, plan, results, (rows, values));
    }
    let new: Vec<(Extension, u64)> = extensions(results)
        .into_iter()
        .map(|extension| (times(decisions, &extension), extension))
        .filter(|(times, _)| *times < spec.extend)
        .map(|(times, extension)| (extension, times + 1))
        .collect();
    Ok(match spec.seeds {
        _ if !new.is_empty() => Some(extended(spec, decisions, new)),
        _ if spec.search.is_some() => return searched(spec, plan, results, (rows, values)),
        Seeds::Split { .. } => chosen(spec, decisions, results),
        Seeds::Each { .. } => looked(spec, decisions, &promotions(results), (results, values)),
        Seeds::All(_) => None,
    })
}

/// The next generation of a search, or its end. Generations whose runs are all stored are passed at once.
fn searched(
    spec: &Spec,
    plan: &Plan,
    results: &[RunResult],
    (rows, values): (&[TrialRecord], &Values),
) -> Result<Option<Next>, Error> {
    let Some(progress) = search::progress(spec, plan, results, (rows, values))? else { return Ok(None) };
    let decisions = progress.decisions(spec, &plan.decisions)?;
    if decisions == plan.decisions {
        return Ok(None);
    }
    let new = match (&decisions.found, decisions.generations.split_last(), &spec.search) {
        (Some(found), ..) => Decision::Found {
            found: found.clone(),
            compared: decisions.chosen.clone(),
            deciding_seeds: spec.seeds.deciding(),
        },
        (None, Some((generation, before)), Some(search)) => Decision::Proposed {
            generation: generation.clone(),
            number: before.len(),
            trials: (before.iter().map(Generation::trials).sum(), search.settings.trials),
        },
        _ => return Ok(None),
    };
    Ok(Some(Next { decisions, new: vec![new] }))
}

/// How far the search of a sweep is. `None` before its first generation, or without a search.
///
/// # Errors
/// The decisions can't be trained, or no run has the sweep's metric.
pub fn search_progress(
    spec: &Spec,
    plan: &Plan,
    (rows, values): (&[TrialRecord], &Values),
) -> Result<Option<search::Progress>, Error> {
    let decided = decided(spec, plan, rows, values)?;
    if decided.decisions.generations.is_empty() {
        return Ok(None);
    }
    let decisions = Decisions { added: decided.decisions.added, ..Decisions::default() };
    let grid = Next { decisions, new: Vec::new() }.plan(spec)?;
    match results(&grid, rows, values) {
        Some(results) => search::progress(spec, &grid, &results, (rows, values)),
        None => Ok(None),
    }
}

/// The plan with all decisions that follow from these results. `values` has the sweep's metric.
///
/// # Errors
/// The decisions can't be trained, or no run has the sweep's metric.
pub fn decided(spec: &Spec, plan: &Plan, rows: &[TrialRecord], values: &Values) -> Result<Plan, Error> {
    decide(spec, plan.clone(), (rows, values), &mut |_| {})
}

/// The same; `each` receives every decision.
///
/// # Errors
/// The decisions can't be trained, or no run has the sweep's metric.
pub fn decide(
    spec: &Spec,
    mut plan: Plan,
    (rows, values): (&[TrialRecord], &Values),
    each: &mut dyn FnMut(&Decision),
) -> Result<Plan, Error> {
    let mut ended = results(&plan, rows, values);
    if let Some(ended) = ended.as_ref().filter(|ended| values.is_unknown(ended)) {
        return Err(values.unknown(&plan.name, ended));
    }
    while let Some(found) = &ended
        && let Some(next) = next(spec, &plan, found, (rows, values))?
    {
        fault::point("promotion.before").map_err(Error::failed)?;
        next.new.iter().for_each(&mut *each);
        plan = next.plan(spec)?;
        ended = results(&plan, rows, values);
    }
    Ok(plan)
}

/// How often this grid was extended.
fn times(decisions: &Decisions, extension: &Extension) -> u64 {
    let same =
        |added: &&AddedLr| added.schedule == extension.added.schedule && added.steps == extension.added.steps;
    decisions.added.iter().filter(same).count() as u64
}

fn extended(spec: &Spec, before: &Decisions, extensions: Vec<(Extension, u64)>) -> Next {
    let mut decisions = before.clone();
    decisions.added.extend(extensions.iter().map(|(extension, _)| extension.added.clone()));
    let limit = spec.extend;
    let new = extensions.into_iter().map(|(extension, times)| Decision::Extended { extension, times, limit });
    Next { decisions, new: new.collect() }
}

fn chosen(spec: &Spec, before: &Decisions, results: &[RunResult]) -> Option<Next> {
    let configs = promotions(results);
    let decisions = Decisions { chosen: configs.clone(), ..before.clone() };
    let (tuning_seeds, deciding_seeds) = (spec.seeds.choosing(), spec.seeds.deciding());
    let looks = spec.seeds.looks().cloned();
    (!configs.is_empty()).then(|| {
        let chosen = Decision::Chosen { configs, tuning_seeds, deciding_seeds, looks };
        Next { decisions, new: vec![chosen] }
    })
}

/// The outcome of the look that has been reached, for the `judged` configs. `None` without planned looks, if that is the last one, or if
/// no schedule takes part in it.
fn looked(
    spec: &Spec,
    before: &Decisions,
    judged: &[Chosen],
    (results, values): (&[RunResult], &Values),
) -> Option<Next> {
    let looks = spec.seeds.looks()?;
    let (seeds, next) = looks.seeds.iter().zip(looks.seeds.iter().skip(1)).nth(before.looks.len())?;
    let outcomes = at_look(results, &described(&values.metric), looks, *seeds, judged);
    if outcomes.is_empty() {
        return None;
    }
    let look = Look { seeds: *seeds, outcomes };
    let mut decisions = before.clone();
    decisions.looks.push(look.clone());
    let stopped = look.outcomes.iter().filter(|at| at.outcome != Outcome::Continued).count() as u64;
    let saved = stopped * (looks.most() - seeds);
    Some(Next { decisions, new: vec![Decision::Looked { look, next: *next, saved }] })
}

/// The results of a plan's runs. `None` if some have not ended.
fn results(plan: &Plan, rows: &[TrialRecord], values: &Values) -> Option<Vec<RunResult>> {
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
        let found = result(row, values, values);
        debug_assert!(found.state != RunState::Missing);
        all.push(found);
    }
    Some(all)
}
