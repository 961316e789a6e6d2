//! Warnings about missing and failed runs.

use std::collections::BTreeSet;

use schedule::problem::counted;

use super::{Input, Kind, Warning, listed, names, warning};
use crate::ranking::{Line, Protocol};
use crate::results::{RunResult, RunState};

/// Runs of this budget failed.
pub(super) fn failed(input: Input<'_>) -> Vec<Warning> {
    let failed: Vec<&RunResult> = input
        .results
        .iter()
        .filter(|run| run.state == RunState::Failed && run.trial.steps == input.ranking.budget)
        .collect();
    // A run that several cells share counts once.
    let runs: BTreeSet<(&str, i64)> =
        failed.iter().map(|run| (run.trial.config_id.as_str(), run.trial.seed)).collect();
    let count = runs.len();
    if count == 0 {
        return Vec::new();
    }
    let of = |line: &&Line| failed.iter().any(|run| run.trial.schedule == line.schedule);
    let schedules = names(input.lines().iter().filter(of));
    let text = format!("{} failed ({})", counted(count, "run"), listed(&schedules));
    let advice = "see `sweep query \"select trial_id, error from trials where status = 'failed'\"`; run the sweep again to retry \
                  them";
    warning(Kind::Failed, schedules, text, advice)
}

/// Runs that judge a line have neither ended nor failed.
pub(super) fn missing(input: Input<'_>) -> Vec<Warning> {
    let missing_in = |line: &Line| line.missing.saturating_sub(failed_at(input, line));
    let missing: usize = input.lines().iter().map(missing_in).sum();
    if missing == 0 {
        return Vec::new();
    }
    let schedules = names(input.lines().iter().filter(|line| missing_in(line) > 0));
    let text =
        format!("{} of the best configs not trained yet ({})", counted(missing, "run"), listed(&schedules));
    warning(Kind::Missing, schedules, text, "run the sweep again: it continues where it stopped")
}

/// Number of failed runs of a line's config that should judge it.
fn failed_at(input: Input<'_>, line: &Line) -> usize {
    let judging = input.ranking.judging(input.results, line);
    judging.iter().filter(|run| run.state == RunState::Failed).count()
}

pub(super) fn only_tuned(input: Input<'_>) -> Vec<Warning> {
    if input.ranking.protocol != Protocol::Tuning {
        return Vec::new();
    }
    let text = "no deciding run has ended yet: the tuning runs are shown, and nothing is decided".to_owned();
    warning(Kind::OnlyTuned, Vec::new(), text, "let the sweep run to the end")
}
