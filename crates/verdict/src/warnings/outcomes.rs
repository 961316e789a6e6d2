//! Warnings about the results themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Kind, Warning, listed, names, warning};
use crate::budgets::by_budget;
use crate::family::Verdict;
use crate::numbers::short;
use crate::ranking::{Line, Ranking};
use crate::score::Direction;

/// Schedules have the same loss on every seed. Not checked for accuracies and numbers of steps, which have few distinct values and may
/// agree by chance.
pub(super) fn same_runs(input: Input<'_>) -> Vec<Warning> {
    let metric = &input.ranking.metric;
    if metric.direction == Direction::HigherIsBetter || metric.has_target {
        return Vec::new();
    }
    let warn = |schedules: Vec<String>| {
        let text = format!("{} have the same {} on every seed", listed(&schedules), metric.title);
        let same = input.lines().iter().filter(|line| schedules.contains(&line.schedule));
        let configs: BTreeSet<&str> = same.map(|line| line.config_id.as_str()).collect();
        let advice = if configs.len() == 1 {
            "they are the same runs: the schedules have the same lr at every step"
        } else {
            "the schedules made no difference: a rule that watches the loss may never have changed the lr (try less \
             `patience` or a shorter `evaluate: {every: ...}`), or a custom program may ignore its lr"
        };
        warning(Kind::SameRuns, schedules, text, advice)
    };
    same_values(input.lines()).into_iter().flat_map(warn).collect()
}

/// Groups of schedules with the same finite value on every seed.
fn same_values(lines: &[Line]) -> Vec<Vec<String>> {
    let mut by_values: BTreeMap<Vec<Option<u64>>, Vec<String>> = BTreeMap::new();
    for line in lines {
        let values: Vec<f64> = line.judged.iter().flatten().copied().collect();
        if values.len() > 1 && values.iter().all(|value| value.is_finite()) {
            let bits = line.judged.iter().map(|value| value.map(f64::to_bits)).collect();
            by_values.entry(bits).or_default().push(line.schedule.clone());
        }
    }
    by_values.into_values().filter(|schedules| schedules.len() > 1).collect()
}

/// The best value of an axis is the lowest or highest that was tried.
pub(super) fn edge(input: Input<'_>) -> Vec<Warning> {
    let all: Vec<String> = input.lines().iter().flat_map(edges).collect();
    if all.is_empty() {
        return Vec::new();
    }
    let text = format!("EDGE: the best value is at the edge of the tried values: {}", listed(&all));
    let advice = "a better value may lie beyond: widen the axis (for the lr, `extend` does so)";
    warning(Kind::Edge, names(input.lines().iter().filter(|line| !edges(line).is_empty())), text, advice)
}

/// The values of a line's config that are at an edge, as in `wsd: lr 0.3 (the highest)`.
fn edges(line: &Line) -> Vec<String> {
    let lr =
        line.edge.map(|edge| format!("{}: lr {} (the {})", line.schedule, short(line.base_lr), edge.word()));
    let axes = line
        .axis_edges
        .iter()
        .map(|axis| format!("{}: {} {} (the {})", line.schedule, axis.path, axis.value, axis.edge.word()));
    lr.into_iter().chain(axes).collect()
}

pub(super) fn diverged(input: Input<'_>) -> Vec<Warning> {
    let advice = "they count as infinitely bad; try a lower lr, a warmup or `clip_norm`";
    of_runs(input, Kind::Diverged, |line| line.diverged, "runs at the best lr diverged", advice)
}

/// Finished runs that have no value of the metric.
pub(super) fn unreported(input: Input<'_>) -> Vec<Warning> {
    let text = format!("finished runs have no {}", input.ranking.metric.title);
    let advice = "they count as infinitely bad; report it in every run, or rank by another metric";
    of_runs(input, Kind::Unreported, |line| line.unreported, &text, advice)
}

/// Finished runs that did not reach the target.
pub(super) fn unreached(input: Input<'_>) -> Vec<Warning> {
    let advice = "they count as one step more than their length, so their means and differences are lower bounds; set an easier \
                  target or train longer";
    of_runs(input, Kind::Unreached, |line| line.unreached, "runs did not reach the target", advice)
}

/// A warning about some of the runs of some lines.
fn of_runs(
    input: Input<'_>,
    kind: Kind,
    count: fn(&Line) -> usize,
    text: &str,
    advice: &str,
) -> Vec<Warning> {
    let concerned = || input.lines().iter().filter(|line| count(line) > 0);
    let each: Vec<String> =
        concerned().map(|line| format!("{} {}/{}", line.schedule, count(line), line.requested())).collect();
    if each.is_empty() {
        return Vec::new();
    }
    warning(kind, names(concerned()), format!("{text}: {}", listed(&each)), advice)
}

/// A schedule is significantly worse than the first, but has a higher test accuracy.
pub(super) fn metrics_disagree(input: Input<'_>) -> Vec<Warning> {
    let Some((better, first)) = disagreement(input.ranking) else { return Vec::new() };
    let title = &input.ranking.metric.title;
    let text = format!("{better} is better than {first} by test accuracy, but worse by {title}");
    let advice = "decide which metric matters to you, and rank by it with --metric";
    warning(Kind::MetricsDisagree, vec![better.to_owned(), first.to_owned()], text, advice)
}

fn disagreement(ranking: &Ranking) -> Option<(&str, &str)> {
    let first = ranking.lines.first()?;
    let best = first.test_accuracy?;
    let mut worse = ranking.lines.iter().filter(|line| line.verdict == Verdict::Worse);
    let better = worse.find(|line| line.test_accuracy.is_some_and(|accuracy| accuracy > best))?;
    Some((&better.schedule, &first.schedule))
}

/// The orders at two neighbouring budgets differ much: Kendall's tau is below 0.6.
pub(super) fn unstable_over_budgets(input: Input<'_>) -> Vec<Warning> {
    let orders = by_budget(input.ranking, input.results, input.options);
    let mut worst: Option<(i64, i64, f64)> = None;
    for pair in orders.windows(2) {
        let [shorter, longer] = pair else { continue };
        let both = shorter.means.iter().filter_map(|of| Some((of.mean, longer.mean(&of.schedule)?)));
        let (left, right): (Vec<f64>, Vec<f64>) = both.unzip();
        if left.len() < 3 {
            continue;
        }
        let Some(tau) = stats::kendall_tau(&left, &right) else { continue };
        if tau < worst.map_or(0.6, |(.., tau)| tau) {
            worst = Some((shorter.steps, longer.steps, tau));
        }
    }
    let Some((shorter, longer, tau)) = worst else { return Vec::new() };
    let text = format!(
        "the order changes with the budget: Kendall's tau between {shorter} and {longer} steps is {tau:.2}"
    );
    let advice = "rank at the number of steps that you will train with (`--budget STEPS`): at another length the order may differ";
    warning(Kind::UnstableOverBudgets, Vec::new(), text, advice)
}
