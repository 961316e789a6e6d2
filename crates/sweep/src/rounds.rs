//! Decides what a sweep trains next. `verdict::promote` decides from the results only; this module makes a plan of
//! it.

use std::collections::{BTreeSet, HashMap};

use ::search::{Generation, Proposal};
use spec::halving::Halving;
use spec::looks::{Looks, Rule};
use spec::protocol::{AddedLr, Chosen, Decisions, Look, Outcome, Screened, Seeds};
use spec::search::Search;
use spec::{Plan, Spec};
use store::TrialRecord;
use verdict::looks::at_look;
use verdict::promote::{Extension, extensions, promotions};
use verdict::refine::{GridCost, Refinement, Unrefined, grid_costs, refinements};
use verdict::results::{RunResult, RunState};

use crate::Error;
use crate::error::joined_messages;
use crate::halving::Halved;
use crate::results::{Values, described, result};
use crate::{halving, search};

/// One decision that follows from the results of a round.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Predictions have chosen which schedules are trained.
    Screened {
        /// The schedules.
        screened: Screened,
        /// The laws that predict, in words. Empty if the decision was read from the store.
        laws: Vec<String>,
        /// Schedules without a prediction, which are trained, and the reasons.
        refused: Vec<(String, String)>,
    },
    /// After the first tuning seeds, the worse lrs of each schedule get no more; or lrs that were dropped are needed after all.
    Halved {
        /// The decision about each lr.
        halving: Halving,
        /// Number of tuning seeds that the lrs get that were not dropped.
        next: u64,
        /// Number of runs that the dropped lrs would have needed.
        saved: u64,
    },
    /// The best lr of a schedule is at the edge of its grid, so one more lr beyond the edge is trained.
    Extended {
        /// Which lr is added, and at which edge.
        extension: Extension,
        /// How often this grid has been extended, including this time.
        times: u64,
        /// How often it may be extended.
        limit: u64,
    },
    /// The best lr of a schedule is between those of its grid, so one more lr between them is trained.
    Refined {
        /// Which lr is added, and why there.
        refinement: Refinement,
        /// How many lrs this search has added, including this one.
        times: u64,
        /// How many it may add.
        limit: u64,
    },
    /// No more lrs between those of a schedule's grid are trained.
    RefineEnded {
        /// The schedule.
        schedule: String,
        /// Length of its runs in steps.
        steps: u64,
        /// The reason.
        why: Unrefined,
        /// The cost of the grid without them; `None` if no lr was added between its lrs.
        cost: Option<GridCost>,
    },
    /// The tuning seeds have chosen a config for each schedule. These configs are compared on new seeds.
    Chosen {
        /// The configs.
        configs: Vec<Chosen>,
        /// Number of tuning seeds.
        tuning_seeds: u64,
        /// Number of deciding seeds. With looks, at most.
        deciding_seeds: u64,
        /// The looks.
        looks: Option<Looks>,
    },
    /// The results at a look decide which schedules get more seeds.
    Looked {
        /// How it judges.
        rule: Rule,
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
    /// Number of tuning runs of lrs that halving may drop, at most.
    pub tuning: u64,
    /// Number of runs of a search, at most.
    pub searched: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Whether planned looks may stop schedules before.
    pub at_most: bool,
    /// If predictions will choose which schedules are trained: how many of how many. Their runs count in `steps` only.
    pub screened: Option<(u64, u64)>,
}

/// The runs that follow after the round of this plan, with deciding seeds or after planned looks.
pub fn later(spec: &Spec, plan: &Plan) -> Later {
    let decisions = &plan.decisions;
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
    let open = plan.screening.as_ref().filter(|_| decisions.screened.is_none());
    // A search compares the found schedule with the best named one.
    let schedules = if spec.search.is_some() { 2 } else { spec.schedules.len() as u64 - never_trained(plan) };
    let searched = search::trials_left(spec, decisions);
    let runs = |steps: u64| each * schedules.saturating_sub(stopped(decisions, steps));
    let budgets = budgets(spec);
    let (tuning, tuning_steps) = halving::tuning_left(spec, plan);
    Later {
        runs: budgets.iter().map(|steps| runs(*steps)).sum(),
        steps: budgets.iter().map(|steps| (runs(*steps) + searched) * steps).sum::<u64>()
            + open_runs(spec, plan).1
            + tuning_steps,
        tuning,
        searched,
        at_most: looks.is_some(),
        screened: open.map(|screening| (screening.kept(None), screening.candidates.len() as u64)),
    }
}

/// Number of schedules that predictions leave out; if that is not decided yet, how many at most.
fn never_trained(plan: &Plan) -> u64 {
    let Some(screening) = &plan.screening else { return 0 };
    let kept = screening.kept(plan.decisions.screened.as_ref());
    (screening.candidates.len() as u64).saturating_sub(kept)
}

/// Number of runs of the longest length, and of their steps, that follow when predictions have chosen schedules; 0 if they have chosen or there is
/// nothing to choose. Schedules without a prediction come on top.
pub(crate) fn open_runs(spec: &Spec, plan: &Plan) -> (u64, u64) {
    let open = plan.screening.as_ref().filter(|_| plan.decisions.screened.is_none());
    let Some(screening) = open else { return (0, 0) };
    let kept = usize::try_from(screening.keep).unwrap_or(usize::MAX);
    let configs = || screening.candidates.iter().take(kept).flat_map(|candidate| &candidate.configs);
    let seeds = spec.seeds.choosing();
    (configs().count() as u64 * seeds, configs().map(|config| config.task.steps * seeds).sum())
}

/// Number of schedules that looks gave their last seed, at this length of the runs.
fn stopped(decisions: &Decisions, steps: u64) -> u64 {
    let outcomes = decisions.looks.iter().flat_map(|look| &look.outcomes);
    let stopped = outcomes.filter(|at| at.chosen.steps == steps && at.outcome != Outcome::Continued);
    stopped.count() as u64
}

/// Number of runs of lrs that extensions and refinements may add to the grids, at most.
pub fn added_runs(spec: &Spec) -> u64 {
    let points = spec.runs().len() as u64;
    let grids = spec.schedules.iter().filter(|schedule| schedule.lrs(spec).len() > 1);
    let variants: u64 = grids.map(|schedule| schedule.variants.len() as u64).sum();
    (spec.extend + spec.refine) * variants * points * spec.seeds.choosing()
}

/// Number of runs with deciding seeds; with planned looks, at most. `first` is the plan of the first round.
pub fn deciding_runs(spec: &Spec, first: &Plan) -> u64 {
    later(spec, first).runs
}

/// Lengths of the runs, in steps.
pub fn budgets(spec: &Spec) -> BTreeSet<u64> {
    spec.points.iter().map(|point| point.task.steps).collect()
}

/// Whether the results of the round after these decisions may add lrs to the grid of a schedule.
pub(crate) fn may_extend_now(spec: &Spec, decisions: &Decisions) -> bool {
    let is_first = decisions.chosen.is_empty() && decisions.generations.is_empty();
    let adds = spec.extend > 0 || spec.refine > 0;
    is_first && adds && spec.schedules.iter().any(|schedule| schedule.lrs(spec).len() > 1)
}

/// Whether every run of the plan has ended.
pub(crate) fn is_complete(plan: &Plan, rows: &[TrialRecord]) -> bool {
    all_ended(plan, &ended(rows))
}

/// The next round that follows from the results of all runs of a plan. `None` when everything is decided.
fn next(
    spec: &Spec,
    plan: &Plan,
    results: &[RunResult],
    (rows, values): (&[TrialRecord], &Values),
) -> Result<Option<Next>, Error> {
    let decisions = &plan.decisions;
    // Predictions need loss curves, which are not here: `screening` decides.
    if plan.screening.is_some() && decisions.screened.is_none() {
        return Ok(None);
    }
    if !decisions.chosen.is_empty() {
        return Ok(looked(spec, decisions, &decisions.chosen, (results, values)));
    }
    if !decisions.generations.is_empty() {
        return searched(spec, plan, results, (rows, values));
    }
    if let Some(Halved { halving, next, saved }) = halving::next(&spec.seeds, &decisions.halvings, results) {
        let mut decisions = decisions.clone();
        decisions.halvings.push(halving.clone());
        return Ok(Some(Next { decisions, new: vec![Decision::Halved { halving, next, saved }] }));
    }
    let new: Vec<(Extension, u64)> = extensions(results)
        .into_iter()
        .map(|extension| (times(decisions, &extension), extension))
        .filter(|(times, _)| *times < spec.extend)
        .map(|(times, extension)| (extension, times + 1))
        .collect();
    let (between, ended) = refined(spec, decisions, results, &new);
    Ok(match spec.seeds {
        _ if !new.is_empty() || !between.is_empty() => Some(with_lrs(spec, decisions, new, between)),
        _ if spec.search.is_some() => {
            let next = searched(spec, plan, results, (rows, values))?;
            next.map(|next| Next { new: ended.into_iter().chain(next.new).collect(), ..next })
        }
        Seeds::Split { .. } => chosen(spec, decisions, results, ended),
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
    match results((spec, &grid), rows, values) {
        Some(results) => search::progress(spec, &grid, &results, (rows, values)),
        None => Ok(None),
    }
}

/// The plan with all decisions that follow from these results. `values` has the sweep's metric.
///
/// # Errors
/// The decisions can't be trained, or no run has the sweep's metric.
pub fn decided(spec: &Spec, plan: &Plan, rows: &[TrialRecord], values: &Values) -> Result<Plan, Error> {
    decide(spec, as_trained(spec, plan, rows)?, (rows, values), &mut |_| {})
}

/// The plan with the schedules that predictions have chosen, as the stored runs show them. Without the predictions, which only the store has.
///
/// # Errors
/// The decision can't be trained.
fn as_trained(spec: &Spec, plan: &Plan, rows: &[TrialRecord]) -> Result<Plan, Error> {
    let open = plan.screening.as_ref().filter(|_| plan.decisions.screened.is_none());
    let names = rows.iter().map(|row| row.schedule.as_str());
    match open.and_then(|screening| screening.as_trained(names)) {
        Some(screened) => with_screened(spec, plan, screened),
        None => Ok(plan.clone()),
    }
}

/// The plan with the schedules that predictions have chosen.
///
/// # Errors
/// The decision can't be trained.
pub(crate) fn with_screened(spec: &Spec, plan: &Plan, screened: Screened) -> Result<Plan, Error> {
    let decisions = Decisions { screened: Some(screened), ..plan.decisions.clone() };
    Next { decisions, new: Vec::new() }.plan(spec)
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
    let mut ended = results((spec, &plan), rows, values);
    if let Some(ended) = ended.as_ref().filter(|ended| values.is_unknown(ended)) {
        return Err(values.unknown(&plan.name, ended));
    }
    while let Some(found) = &ended
        && let Some(next) = next(spec, &plan, found, (rows, values))?
    {
        fault::point("promotion.before").map_err(Error::failed)?;
        next.new.iter().for_each(&mut *each);
        plan = next.plan(spec)?;
        ended = results((spec, &plan), rows, values);
    }
    Ok(plan)
}

/// How often this grid was extended.
fn times(decisions: &Decisions, extension: &Extension) -> u64 {
    let AddedLr { by, schedule, steps, .. } = &extension.added;
    let same = |added: &&AddedLr| added.by == *by && added.schedule == *schedule && added.steps == *steps;
    decisions.added.iter().filter(same).count() as u64
}

/// The lrs to add between those of the grids that are not extended now, each with its number, and the searches that have ended.
fn refined(
    spec: &Spec,
    decisions: &Decisions,
    results: &[RunResult],
    extended: &[(Extension, u64)],
) -> (Vec<(Refinement, u64)>, Vec<Decision>) {
    let (mut between, mut ended) = (Vec::new(), Vec::new());
    if spec.refine == 0 {
        return (between, ended);
    }
    let costs = grid_costs(results, &decisions.added);
    for search in refinements(results, &decisions.added, spec.refine) {
        let is_own = |schedule: &str, steps: u64| schedule == search.schedule && steps == search.steps;
        if extended.iter().any(|(extension, _)| is_own(&extension.added.schedule, extension.added.steps)) {
            continue;
        }
        match search.found {
            Ok(refinement) => between.push((refinement, search.times + 1)),
            Err(why) => {
                let cost = costs.iter().find(|cost| is_own(&cost.schedule, cost.steps)).cloned();
                let (schedule, steps) = (search.schedule, search.steps);
                ended.push(Decision::RefineEnded { schedule, steps, why, cost });
            }
        }
    }
    (between, ended)
}

/// A round that trains more lrs.
fn with_lrs(
    spec: &Spec,
    before: &Decisions,
    extensions: Vec<(Extension, u64)>,
    refinements: Vec<(Refinement, u64)>,
) -> Next {
    let mut decisions = before.clone();
    decisions.added.extend(extensions.iter().map(|(extension, _)| extension.added.clone()));
    decisions.added.extend(refinements.iter().map(|(refinement, _)| refinement.added.clone()));
    let limit = spec.extend;
    let extended =
        extensions.into_iter().map(|(extension, times)| Decision::Extended { extension, times, limit });
    let limit = spec.refine;
    let refined =
        refinements.into_iter().map(|(refinement, times)| Decision::Refined { refinement, times, limit });
    Next { decisions, new: extended.chain(refined).collect() }
}

fn chosen(spec: &Spec, before: &Decisions, results: &[RunResult], ended: Vec<Decision>) -> Option<Next> {
    let configs = promotions(results);
    let decisions = Decisions { chosen: configs.clone(), ..before.clone() };
    let (tuning_seeds, deciding_seeds) = (spec.seeds.choosing(), spec.seeds.deciding());
    let looks = spec.seeds.looks().cloned();
    (!configs.is_empty()).then(|| {
        let chosen = Decision::Chosen { configs, tuning_seeds, deciding_seeds, looks };
        Next { decisions, new: ended.into_iter().chain([chosen]).collect() }
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
    Some(Next { decisions, new: vec![Decision::Looked { rule: looks.rule, look, next: *next, saved }] })
}

/// The results of a plan's runs, without those of the shapes that a search tries, which [`search`] reads itself. `None` if some have not ended.
fn results((spec, plan): (&Spec, &Plan), rows: &[TrialRecord], values: &Values) -> Option<Vec<RunResult>> {
    let known = ended(rows);
    if !all_ended(plan, &known) {
        return None;
    }
    let tried = spec.search.as_ref().map(Search::tried);
    let mut all = Vec::new();
    for cell in plan.cells.iter().filter(|cell| tried.as_deref() != Some(cell.schedule.as_str())) {
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

/// The rows of the runs that have ended, by trial.
fn ended(rows: &[TrialRecord]) -> HashMap<&str, &TrialRecord> {
    rows.iter().filter(|row| row.is_over()).map(|row| (row.trial_id.as_str(), row)).collect()
}

/// Whether every run of the plan has ended. The latest runs are last, and are missing most often.
fn all_ended(plan: &Plan, known: &HashMap<&str, &TrialRecord>) -> bool {
    plan.trials.iter().rev().all(|trial| known.contains_key(trial.id.as_str()))
}
