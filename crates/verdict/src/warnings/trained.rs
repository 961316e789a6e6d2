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

/// Predictions have left out schedules.
pub(super) fn not_trained(input: Input<'_>) -> Vec<Warning> {
    let Some(screened) = &input.history.screened else { return Vec::new() };
    let schedules: Vec<String> = screened.left_out().map(|at| at.chosen.schedule.clone()).collect();
    if schedules.is_empty() {
        return Vec::new();
    }
    let predicted = screened.outcomes.iter().filter_map(|at| at.predicted);
    let lowest = predicted.map(|predicted| predicted.loss).fold(f64::INFINITY, f64::min);
    let open = screened.left_out().filter(|at| {
        let interval = at.predicted.and_then(|predicted| predicted.interval);
        interval.is_none_or(|(low, _)| low < lowest)
    });
    let (count, was) = (schedules.len(), if schedules.len() == 1 { "was" } else { "were" });
    let risk = match open.count() {
        0 => "their 95 % intervals are above the lowest predicted loss".to_owned(),
        open => format!("by the 95 % intervals {open} of them may be better than the best predicted one"),
    };
    let text = format!(
        "{} {was} not trained, by prediction: {}; a prediction is not a verdict: {risk}",
        counted(count, "schedule"),
        schedules.join(", ")
    );
    warning(Kind::NotTrained, schedules, text, "raise `keep` of `screen` to train more of them")
}

#[cfg(test)]
mod tests {
    use spec::protocol::{AtScreen, Chosen, Predicted, Screened};

    use super::*;
    use crate::ranking::{Options, rank};
    use crate::warnings::{History, warnings};

    fn at(name: &str, is_kept: bool, loss: f64, half: Option<f64>) -> AtScreen {
        let interval = half.map(|half| (loss - half, loss + half));
        let chosen =
            Chosen { schedule: name.to_owned(), steps: 10, config_id: name.to_owned(), base_lr: 0.1 };
        AtScreen { chosen, is_kept, predicted: Some(Predicted { loss, interval }) }
    }

    #[test]
    fn schedules_that_were_left_out_are_named_with_the_risk() {
        let warned = |outcomes: Vec<AtScreen>| {
            let screened = Some(Screened { learned: Vec::new(), outcomes });
            let history = History { screened, ..History::default() };
            let options = Options::default();
            warnings(&rank(&[], &options), &[], &options, &history)
        };
        let outcomes = vec![
            at("a", true, 1.0, Some(0.1)),
            at("b", false, 1.2, Some(0.3)),
            at("c", false, 1.5, Some(0.1)),
            at("d", false, 1.6, None),
        ];
        let found = warned(outcomes.clone());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].kind, found[0].schedules.join(" ")), (Kind::NotTrained, "b c d".to_owned()));
        assert_eq!(
            found[0].text,
            "3 schedules were not trained, by prediction: b, c, d; a prediction is not a verdict: by the 95 % intervals 2 of them may be \
             better than the best predicted one"
        );
        assert!(warned(outcomes[..1].to_vec()).is_empty());
        let one = warned(vec![outcomes[0].clone(), outcomes[2].clone()]);
        assert!(one[0].text.starts_with("1 schedule was not trained, by prediction: c; "), "{}", one[0].text);
    }
}
