//! What to know before believing a ranking: warnings as data, each with what to do about it.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::ALPHA;
use crate::family::Verdict;
use crate::format::lr;
use crate::ranking::{Line, Options, Protocol, Ranking, rank};
use crate::results::{Purpose, RunResult, RunState};

/// Something that limits what a ranking says.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// What it is about.
    pub kind: Kind,
    /// The schedules that it concerns; none means all.
    pub schedules: Vec<String>,
    /// What is the case.
    pub text: String,
    /// What to do.
    pub advice: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs are not trained yet.
    Missing,
    /// Runs could not be trained.
    Failed,
    /// The deciding runs have not begun.
    OnlyTuned,
    /// The seeds are too few to decide anything.
    FewSeeds,
    /// A best lr, or the best value of another axis, is the lowest or highest that was tried.
    Edge,
    /// Runs of the best configs have other lengths.
    UnequalBudget,
    /// Runs diverged.
    Diverged,
    /// The order by accuracy is another one.
    MetricsDisagree,
    /// The order over budgets is another one.
    UnstableOverBudgets,
    /// Configs were chosen on the seeds that judge them.
    SameSeeds,
    /// Each schedule has seeds of its own.
    Unpaired,
    /// Schedules ran on different hardware.
    Hardware,
    /// Schedules came to the same losses.
    SameRuns,
    /// Runs were trained with several versions of the arithmetic.
    MixedBits,
    /// Runs of a program loaded different contents of a file.
    MixedFiles,
    /// Seeds were added after the ranking could be seen.
    AddedSeeds,
}

impl Kind {
    /// Whether it is about what is stored of all runs, not about how some of them compare.
    pub fn is_of_store(self) -> bool {
        matches!(self, Kind::MixedBits | Kind::MixedFiles | Kind::AddedSeeds)
    }

    /// As in rows.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Missing => "missing",
            Kind::Failed => "failed",
            Kind::OnlyTuned => "only_tuned",
            Kind::FewSeeds => "few_seeds",
            Kind::Edge => "edge",
            Kind::UnequalBudget => "unequal_budget",
            Kind::Diverged => "diverged",
            Kind::MetricsDisagree => "metrics_disagree",
            Kind::UnstableOverBudgets => "unstable_over_budgets",
            Kind::SameSeeds => "same_seeds",
            Kind::Unpaired => "unpaired",
            Kind::Hardware => "hardware",
            Kind::SameRuns => "same_runs",
            Kind::MixedBits => "mixed_bits",
            Kind::MixedFiles => "mixed_files",
            Kind::AddedSeeds => "added_seeds",
        }
    }
}

/// The fewest seeds with which a difference can be significant: the exact test's lowest p-value, 2 / 2^n, is below alpha.
pub fn seeds_to_decide() -> usize {
    (1..64).find(|n| 2.0 / 2f64.powi(*n) < ALPHA).and_then(|n| usize::try_from(n).ok()).unwrap_or(64)
}

fn names<'a>(lines: impl Iterator<Item = &'a Line>) -> Vec<String> {
    lines.map(|line| line.schedule.clone()).collect()
}

/// As in `a, b and 3 more`.
fn listed(names: &[String]) -> String {
    match names {
        [] => "all".to_owned(),
        [.., _] if names.len() <= 4 => names.join(", "),
        _ => format!("{} and {} more", names.get(..3).unwrap_or_default().join(", "), names.len() - 3),
    }
}

/// Which schedules ran on what, where for some seed that is not the same for all: paired differences then compare hardware
/// too. `None` where it is.
fn hardware(lines: &[Line], results: &[RunResult], ranking: &Ranking) -> Option<(Vec<String>, String)> {
    let mut by_seed: BTreeMap<(i64, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut by_schedule: BTreeMap<usize, BTreeMap<&str, usize>> = BTreeMap::new();
    for (place, line) in lines.iter().enumerate() {
        let own = |run: &&RunResult| {
            run.schedule == line.schedule && run.config_id == line.config_id && run.steps == ranking.budget
        };
        for run in results
            .iter()
            .filter(own)
            .filter(|run| !matches!(run.state, RunState::Missing | RunState::Failed))
        {
            let Some(hardware) = run.hardware.as_deref() else { continue };
            let purpose = if run.purpose == Purpose::Tune { "tune" } else { "judge" };
            by_seed.entry((run.seed, purpose)).or_default().insert(hardware);
            *by_schedule.entry(place).or_default().entry(hardware).or_default() += 1;
        }
    }
    if by_seed.values().all(|hardware| hardware.len() < 2) {
        return None;
    }
    let each: Vec<String> = by_schedule
        .iter()
        .filter_map(|(place, counts)| {
            let counts: Vec<String> =
                counts.iter().map(|(hardware, runs)| format!("{runs} on {hardware}")).collect();
            Some(format!("{}: {}", lines.get(*place)?.schedule, counts.join(", ")))
        })
        .collect();
    let schedules =
        by_schedule.keys().filter_map(|place| lines.get(*place)).map(|line| line.schedule.clone());
    Some((schedules.collect(), each.join("; ")))
}

/// Runs of this budget that failed, and their schedules.
fn failed(lines: &[Line], results: &[RunResult], ranking: &Ranking) -> (usize, Vec<String>) {
    let failed: Vec<&RunResult> =
        results.iter().filter(|run| run.state == RunState::Failed && run.steps == ranking.budget).collect();
    let schedules = lines.iter().filter(|line| failed.iter().any(|run| run.schedule == line.schedule));
    // A run that is asked for twice failed once.
    let runs: BTreeSet<(&str, i64)> = failed.iter().map(|run| (run.config_id.as_str(), run.seed)).collect();
    (runs.len(), names(schedules))
}

/// Runs of a line's config that failed and would have judged it.
fn failed_at(line: &Line, results: &[RunResult], ranking: &Ranking) -> usize {
    let judges = |purpose: Purpose| match ranking.protocol {
        Protocol::Decided => purpose == Purpose::Decide,
        Protocol::Tuning => purpose == Purpose::Tune,
        Protocol::CrossFitted => purpose == Purpose::All,
    };
    let own = |run: &&RunResult| {
        run.state == RunState::Failed
            && run.schedule == line.schedule
            && run.config_id == line.config_id
            && run.steps == ranking.budget
            && judges(run.purpose)
    };
    results.iter().filter(own).map(|run| run.seed).collect::<BTreeSet<_>>().len()
}

/// Schedules whose runs came to the same value on every seed, by each value.
fn same_runs(lines: &[Line]) -> Vec<Vec<String>> {
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

/// All warnings of a ranking of these results.
pub fn warnings(ranking: &Ranking, results: &[RunResult], options: &Options) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut warn = |kind, schedules: Vec<String>, text: String, advice: String| {
        found.push(Warning { kind, schedules, text, advice });
    };
    let lines = &ranking.lines;
    let (failed, schedules) = failed(lines, results, ranking);
    if failed > 0 {
        let runs = if failed == 1 { "run" } else { "runs" };
        let text = format!("{failed} {runs} failed ({})", listed(&schedules));
        let advice = "`sweep query \"select trial_id, error from trials where status = 'failed'\"` says why; another run of the sweep \
                      tries them again";
        warn(Kind::Failed, schedules, text, advice.to_owned());
    }
    let lacking = |line: &&Line| line.missing > failed_at(line, results, ranking);
    let missing: usize =
        lines.iter().map(|line| line.missing.saturating_sub(failed_at(line, results, ranking))).sum();
    if missing > 0 {
        let schedules = names(lines.iter().filter(lacking));
        let text = format!("{missing} runs of the best configs are not trained yet ({})", listed(&schedules));
        warn(Kind::Missing, schedules, text, "run the sweep again: it goes on where it stopped".to_owned());
    }
    if ranking.protocol == Protocol::Tuning {
        let text =
            "these are the tuning runs: no deciding run has ended yet, so nothing is decided".to_owned();
        warn(Kind::OnlyTuned, Vec::new(), text, "let the sweep run to its end".to_owned());
    }
    if ranking.p_floor.is_some() && !ranking.can_decide() && ranking.protocol != Protocol::Tuning {
        let seeds = lines.iter().map(Line::asked).max().unwrap_or(0);
        let plural = if seeds == 1 { "" } else { "s" };
        let text = format!("no difference can be significant with {seeds} seed{plural}");
        let advice = format!("the exact test needs at least {} seeds", seeds_to_decide());
        warn(Kind::FewSeeds, Vec::new(), text, advice);
    }
    if let Some((schedules, each)) = hardware(lines, results, ranking) {
        let text = format!("seeds of one schedule ran on other hardware than those of another ({each})");
        let advice = "bits are the same on all CPUs, and not on other kinds of devices: between those, train each seed of \
                      all schedules on one (`sweep query \"select * from environments\"`)";
        warn(Kind::Hardware, schedules, text, advice.to_owned());
    }
    // Accuracies are few different numbers.
    for schedules in same_runs(lines).into_iter().filter(|_| !ranking.metric.higher_is_better) {
        let text = format!("{} came to the same {}, seed by seed", listed(&schedules), ranking.metric.title);
        let same = lines.iter().filter(|line| schedules.contains(&line.schedule));
        if same.map(|line| line.config_id.as_str()).collect::<BTreeSet<_>>().len() == 1 {
            let advice = "they are the same runs: the schedules have the same lrs at every step".to_owned();
            warn(Kind::SameRuns, schedules, text, advice);
            continue;
        }
        let advice = "they are not compared by this: a rule that watches the loss may have had nothing to change (less \
                      `patience`, a shorter `evaluate: {every: ...}`); a program may not use the lr that it is given";
        warn(Kind::SameRuns, schedules, text, advice.to_owned());
    }
    let each: Vec<(&Line, Vec<String>)> = lines.iter().map(|line| (line, edges(line))).collect();
    let at_edge = || each.iter().filter(|(_, edges)| !edges.is_empty());
    if at_edge().next().is_some() {
        let all: Vec<String> = at_edge().flat_map(|(_, edges)| edges.clone()).collect();
        let text = format!("EDGE: the best value is at the edge of those that were tried: {}", listed(&all));
        let advice =
            "a better one may lie beyond: widen the axis there (for the lr, `extend` does it)".to_owned();
        warn(Kind::Edge, names(at_edge().map(|(line, _)| *line)), text, advice);
    }
    let lengths = |line: &&Line| line.has_results() && line.steps != ranking.budget;
    if lines.iter().any(|line| lengths(&line)) {
        let text = "the runs compared here have different lengths".to_owned();
        let advice = "compare at one budget (--budget)".to_owned();
        warn(Kind::UnequalBudget, names(lines.iter().filter(lengths)), text, advice);
    }
    let unequal = unequal_budgets(results, ranking.budget);
    if !unequal.is_empty() {
        let text = format!("not every schedule has runs of {} steps: {}", ranking.budget, listed(&unequal));
        let advice = "give all schedules the same budgets, or rank another one (--budget)".to_owned();
        warn(Kind::UnequalBudget, unequal, text, advice);
    }
    let diverged: Vec<&Line> = lines.iter().filter(|line| line.diverged > 0).collect();
    if !diverged.is_empty() {
        let each: Vec<String> = diverged
            .iter()
            .map(|line| format!("{} {}/{}", line.schedule, line.diverged, line.asked()))
            .collect();
        let text = format!("runs at the best lr diverged: {}", listed(&each));
        let advice = "they count as infinitely bad; try lower lrs, a warmup or `clip_norm`".to_owned();
        warn(Kind::Diverged, names(diverged.into_iter()), text, advice);
    }
    if let Some((better, first)) = disagreement(ranking) {
        let text =
            format!("by test accuracy {better} is ahead of {first}, by {} it is not", ranking.metric.title);
        let advice = "say which of both you care about, and rank by it (--metric)".to_owned();
        warn(Kind::MetricsDisagree, vec![better, first], text, advice);
    }
    if let Some((least, most, tau)) = unstable(ranking, results, options) {
        let text = format!(
            "the order changes with the budget: Kendall's tau between {least} and {most} steps is {tau:.2}"
        );
        let advice = "rank at the budget that you train with (--budget), don't extrapolate".to_owned();
        warn(Kind::UnstableOverBudgets, Vec::new(), text, advice);
    }
    if !ranking.is_paired {
        let text =
            "no two schedules share a seed: the first runs of both are compared, the second, and so on"
                .to_owned();
        let advice = "with the same seeds for all, differences have less noise".to_owned();
        warn(Kind::Unpaired, Vec::new(), text, advice);
    }
    if ranking.protocol == Protocol::CrossFitted
        && lines.iter().any(|line| line.edge.is_some() || choices(results, line) > 1)
    {
        let text = "each lr was chosen on the seeds that judge it: differences are cross-fitted (each seed is judged at \
                    the lr that the others choose), means are not and flatter a little"
            .to_owned();
        let advice = "`seeds: {tune: 2, decide: 8}` chooses on other seeds than it judges on".to_owned();
        warn(Kind::SameSeeds, Vec::new(), text, advice);
    }
    found
}

/// What of a line's config is at an edge, as in `wsd: lr 0.3 (the highest)`.
fn edges(line: &Line) -> Vec<String> {
    let lr =
        line.edge.map(|edge| format!("{}: lr {} (the {})", line.schedule, lr(line.base_lr), edge.word()));
    let axes = line
        .axis_edges
        .iter()
        .map(|axis| format!("{}: {} {} (the {})", line.schedule, axis.path, axis.value, axis.edge.word()));
    lr.into_iter().chain(axes).collect()
}

/// Configs among which this line's was chosen.
fn choices(results: &[RunResult], line: &Line) -> usize {
    let own = results.iter().filter(|run| run.schedule == line.schedule && run.steps == line.steps);
    own.map(|run| run.config_id.as_str()).collect::<std::collections::BTreeSet<_>>().len()
}

/// Schedules that have runs, but none of this length.
fn unequal_budgets(results: &[RunResult], budget: i64) -> Vec<String> {
    let mut has: std::collections::BTreeMap<&str, bool> = std::collections::BTreeMap::new();
    for run in results {
        *has.entry(&run.schedule).or_default() |= run.steps == budget;
    }
    has.into_iter().filter(|(_, has)| !has).map(|(schedule, _)| schedule.to_owned()).collect()
}

/// A schedule that is significantly worse than the first, and has the higher accuracy all the same.
fn disagreement(ranking: &Ranking) -> Option<(String, String)> {
    let first = ranking.lines.first()?;
    let best = first.test_accuracy?;
    let mut worse = ranking.lines.iter().filter(|line| line.verdict == Verdict::Worse);
    let better = worse.find(|line| line.test_accuracy.is_some_and(|accuracy| accuracy > best))?;
    Some((better.schedule.clone(), first.schedule.clone()))
}

/// Two neighbouring budgets whose orders agree little, and how much: below 0.6 an order has little in common with the
/// other.
fn unstable(ranking: &Ranking, results: &[RunResult], options: &Options) -> Option<(i64, i64, f64)> {
    let orders = by_budget(ranking, results, options);
    let mut worst: Option<(i64, i64, f64)> = None;
    for pair in orders.windows(2) {
        let [(least, a), (most, b)] = pair else { continue };
        let (left, right): (Vec<f64>, Vec<f64>) =
            a.iter().filter_map(|(name, x)| Some((*x, b.iter().find(|(other, _)| other == name)?.1))).unzip();
        if left.len() < 3 {
            continue;
        }
        let Some(tau) = stats::kendall_tau(&left, &right) else { continue };
        if tau < worst.map_or(0.6, |(.., tau)| tau) {
            worst = Some((*least, *most, tau));
        }
    }
    worst
}

/// What several budgets say together, in a sentence: whether the schedules differ over all of them, and which mean ranks
/// are told apart.
pub fn over_budgets(ranking: &Ranking, results: &[RunResult], options: &Options) -> Option<String> {
    let blocks: Vec<Vec<f64>> = by_budget(ranking, results, options)
        .iter()
        .map(|(_, means)| {
            let of =
                |line: &Line| means.iter().find(|(name, _)| *name == line.schedule).map(|(_, mean)| *mean);
            ranking.lines.iter().map(|line| of(line).unwrap_or(f64::INFINITY)).collect()
        })
        .collect();
    let found = stats::friedman(&blocks)?;
    let mut ranks: Vec<(f64, &str)> = found
        .mean_ranks
        .iter()
        .copied()
        .zip(ranking.lines.iter().map(|line| line.schedule.as_str()))
        .collect();
    ranks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best: Vec<String> = ranks.iter().take(3).map(|(rank, name)| format!("{name} {rank:.1}")).collect();
    Some(format!(
        "over {} budgets: Friedman's test {}; mean ranks ({}) that are more than {:.1} apart differ (Nemenyi, 5 %)",
        blocks.len(),
        if found.p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {:.3}", found.p) },
        best.join(", "),
        found.critical_difference
    ))
}

/// Each schedule's mean at its best lr, budget by budget; nothing where there is one budget, which is ranked already.
pub(crate) fn by_budget(
    ranking: &Ranking,
    results: &[RunResult],
    options: &Options,
) -> Vec<(i64, Vec<(String, f64)>)> {
    if ranking.budgets.len() < 2 {
        return Vec::new();
    }
    let means = |steps: i64| {
        let ranking = rank(results, &Options { budget: Some(steps), ..options.clone() });
        ranking.lines.into_iter().filter_map(|line| Some((line.schedule, line.mean?))).collect()
    };
    ranking.budgets.iter().map(|&steps| (steps, means(steps))).collect()
}
