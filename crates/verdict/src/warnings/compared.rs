//! Warnings about schedules that are compared under unequal conditions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Kind, Warning, listed, names, warning};
use crate::ranking::Line;
use crate::results::{Purpose, RunResult, RunState};

/// Runs of one seed used different hardware: paired differences then include differences of hardware.
pub(super) fn hardware(input: Input<'_>) -> Vec<Warning> {
    let mut by_seed: BTreeMap<(i64, &str), BTreeSet<String>> = BTreeMap::new();
    let mut by_schedule: BTreeMap<usize, BTreeMap<String, usize>> = BTreeMap::new();
    for (i, line) in input.lines().iter().enumerate() {
        for run in input.results.iter().filter(|run| has_ended_at(run, line, input.ranking.budget)) {
            let Some(hardware) = run.trial.hardware() else { continue };
            let purpose = if run.trial.purpose == Purpose::Tune { "tune" } else { "judge" };
            by_seed.entry((run.trial.seed, purpose)).or_default().insert(hardware.clone());
            *by_schedule.entry(i).or_default().entry(hardware).or_default() += 1;
        }
    }
    if by_seed.values().all(|hardware| hardware.len() < 2) {
        return Vec::new();
    }
    let (mut schedules, mut each) = (Vec::new(), Vec::new());
    for (i, counts) in by_schedule {
        let Some(line) = input.lines().get(i) else { continue };
        let counts: Vec<String> =
            counts.iter().map(|(hardware, runs)| format!("{runs} on {hardware}")).collect();
        schedules.push(line.schedule.clone());
        each.push(format!("{}: {}", line.schedule, counts.join(", ")));
    }
    let text =
        format!("schedules were trained on different hardware for the same seed ({})", each.join("; "));
    let advice = "results are the same bits on all CPUs, but not on other devices: train each seed of all schedules on the \
                  same kind of device (see `sweep query \"select * from environments\"`)";
    warning(Kind::Hardware, schedules, text, advice)
}

/// Whether it is an ended run of the line's config.
fn has_ended_at(run: &RunResult, line: &Line, budget: i64) -> bool {
    run.trial.schedule == line.schedule
        && run.trial.config_id == line.config_id
        && run.trial.steps == budget
        && !matches!(run.state, RunState::Missing | RunState::Failed)
}

/// The compared runs have different lengths.
pub(super) fn lengths(input: Input<'_>) -> Vec<Warning> {
    let differs = |line: &&Line| line.has_results() && line.steps != input.ranking.budget;
    let schedules = names(input.lines().iter().filter(differs));
    if schedules.is_empty() {
        return Vec::new();
    }
    let text = "the compared runs have different lengths".to_owned();
    warning(Kind::UnequalBudget, schedules, text, "compare at one budget with --budget")
}

/// Schedules have runs, but none of the ranked length.
pub(super) fn budgets(input: Input<'_>) -> Vec<Warning> {
    let budget = input.ranking.budget;
    let mut has: BTreeMap<&str, bool> = BTreeMap::new();
    for run in input.results {
        *has.entry(&run.trial.schedule).or_default() |= run.trial.steps == budget;
    }
    let unequal: Vec<String> =
        has.into_iter().filter(|(_, has)| !has).map(|(schedule, _)| schedule.to_owned()).collect();
    if unequal.is_empty() {
        return Vec::new();
    }
    let text = format!("schedules without runs of {budget} steps: {}", listed(&unequal));
    let advice = "give all schedules the same budgets, or rank at another budget with --budget";
    warning(Kind::UnequalBudget, unequal, text, advice)
}
