//! What a sweep trains next. The decision is made in `verdict::promote`, from results alone; here it becomes a plan's.

use std::collections::{BTreeSet, HashMap};

use spec::protocol::{AddedLr, Decisions, Seeds};
use spec::{Plan, Spec};
use store::{Status, TrialRecord};
use verdict::promote::{Extension, extensions, promotions};
use verdict::ranking::Edge;
use verdict::results::{RunResult, RunState};

use crate::args::Metric;
use crate::exit::{Failure, say};
use crate::stored::result;

/// What follows from the results of a round.
pub(crate) struct Decided {
    pub decisions: Decisions,
    /// For people.
    pub words: Vec<String>,
}

impl Decided {
    /// Says what was decided, and makes the plan that follows from it.
    pub(crate) fn plan(self, spec: &Spec, quiet: bool) -> Result<Plan, Failure> {
        if !quiet {
            self.words.iter().for_each(say);
        }
        spec::plan_on(spec, self.decisions).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Failure::usage(format_args!(
                "what follows from the results can't be trained: {}",
                problems.join("; ")
            ))
        })
    }
}

/// Runs that decide between the configs that the grid chooses.
pub(crate) fn deciding(spec: &Spec) -> u64 {
    let budgets: BTreeSet<u64> = spec.points.iter().map(|point| point.task.steps).collect();
    spec.seeds.deciding() * spec.schedules.len() as u64 * budgets.len() as u64
}

/// Whether every run of the plan has ended.
pub(crate) fn is_complete(plan: &Plan, rows: &[TrialRecord]) -> bool {
    results(plan, rows).is_some()
}

/// What follows from a round's results; nothing while runs are missing, or when all is decided.
pub(crate) fn next(spec: &Spec, plan: &Plan, rows: &[TrialRecord]) -> Option<Decided> {
    let results = results(plan, rows)?;
    let decisions = &plan.decisions;
    if decisions.chosen.is_empty() {
        let due: Vec<(Extension, u64)> = extensions(&results)
            .into_iter()
            .map(|extension| (times(decisions, &extension), extension))
            .filter(|(times, _)| *times < spec.extend)
            .map(|(times, extension)| (extension, times + 1))
            .collect();
        if !due.is_empty() {
            return Some(extended(spec, decisions, &due));
        }
        if matches!(spec.seeds, Seeds::Split { .. }) {
            return chosen(spec, decisions, &results);
        }
    }
    None
}

/// The plan with all that follows from these results of its sweep.
pub(crate) fn decided(spec: &Spec, plan: &Plan, rows: &[TrialRecord]) -> Result<Plan, Failure> {
    let mut plan = plan.clone();
    while let Some(decided) = next(spec, &plan, rows) {
        plan = decided.plan(spec, true)?;
    }
    Ok(plan)
}

/// How often this grid was extended.
fn times(decisions: &Decisions, extension: &Extension) -> u64 {
    let same =
        |added: &&AddedLr| added.schedule == extension.added.schedule && added.steps == extension.added.steps;
    decisions.added.iter().filter(same).count() as u64
}

fn extended(spec: &Spec, before: &Decisions, due: &[(Extension, u64)]) -> Decided {
    let mut decisions = before.clone();
    let mut words = Vec::new();
    for (Extension { added, from, edge }, times) in due {
        let end = if *edge == Edge::Low { "lowest" } else { "highest" };
        words.push(format!(
            "{}: its best lr {} is the {end} of its grid; {} is added ({times} of at most {}, `extend: false` \
             turns this off)",
            added.schedule,
            report::lr(*from),
            report::lr(added.base_lr),
            spec.extend
        ));
        decisions.added.push(added.clone());
    }
    Decided { decisions, words }
}

fn chosen(spec: &Spec, before: &Decisions, results: &[RunResult]) -> Option<Decided> {
    let mut decisions = before.clone();
    decisions.chosen = promotions(results);
    let each: Vec<String> = decisions
        .chosen
        .iter()
        .map(|chosen| format!("{} at lr {}", chosen.schedule, report::lr(chosen.base_lr)))
        .collect();
    let words = vec![format!(
        "chosen on {} tuning seeds: {}; {} fresh seeds decide",
        spec.seeds.choosing(),
        each.join(", "),
        spec.seeds.deciding()
    )];
    (!decisions.chosen.is_empty()).then_some(Decided { decisions, words })
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
        let schedule = cell.schedule.clone();
        let base_lr = trial.config.base_lr;
        let found = result(row, Metric::Final, &HashMap::new());
        debug_assert!(found.state != RunState::Missing);
        all.push(RunResult { schedule, base_lr, purpose: cell.purpose, ..found });
    }
    Some(all)
}
