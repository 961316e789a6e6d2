//! Composes a [`Document`] from a ranking and the steps of its runs: a verdict sentence, curves with bands, lr sensitivity,
//! budgets. Pure: the same input gives the same document.

use crate::document::{BudgetLine, Curve, Document, DocumentWarning, RankedSchedule, Sensitivity};
use crate::looks;
use crate::ranking_rows::{column_notes, rank_range};
use verdict::budgets::by_budget;
use verdict::family::Verdict;
use verdict::numbers::{Rounding, short};
use verdict::ranking::{Line, Options, Protocol, Ranking};
use verdict::results::{Grid, RunResult, RunState, grids};
use verdict::score::Direction;
use verdict::warnings::Warning;

/// A step of a run, with what a report needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// The update, from 0.
    pub step: u64,
    /// The lr it used.
    pub lr: f64,
    /// Loss of its batch.
    pub train_loss: f64,
    /// Validation loss after it, or the metric of [`Material::metric`], if it was measured.
    pub measured: Option<f64>,
}

/// The input of a report, in addition to the ranking.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The sweep's name.
    pub sweep: String,
    /// The sweep file.
    pub file_text: String,
    /// Program and version.
    pub generated_by: String,
    /// Commands that reproduce it, and what they do.
    pub reproduce: Vec<(String, String)>,
    /// Name and value of each property of the training environment.
    pub environment: Vec<(String, String)>,
    /// Path and value of each axis, by config.
    pub axes: std::collections::BTreeMap<String, Vec<(String, String)>>,
    /// The name of the metric that the steps have in place of the validation loss.
    pub metric: Option<String>,
    /// The runs that judge each schedule, step by step, in the order of the ranking.
    pub runs: Vec<(String, Vec<Vec<Step>>)>,
}

/// The document of a ranking.
pub fn compose(
    ranking: &Ranking,
    results: &[RunResult],
    options: &Options,
    warnings: &[Warning],
    material: Material,
) -> Document {
    let validated = draws_validation(&material);
    let curves = material.runs.iter().map(|(schedule, runs)| {
        let line = ranking.lines.iter().find(|line| line.schedule == *schedule);
        let all = line.map_or(0, Line::ended).max(runs.len());
        Curve { runs: (runs.len(), all), ..curve(schedule, runs, validated) }
    });
    let question = material.file_text.lines().next().and_then(|line| line.strip_prefix('#'));
    Document {
        question: question.unwrap_or_default().trim().to_owned(),
        verdict: verdict(ranking),
        method: method(ranking),
        warnings: warnings.iter().map(warning).collect(),
        ranking: ranking.lines.iter().map(|line| ranked(ranking, line, &material)).collect(),
        curves: curves.filter(|curve| !curve.steps.is_empty()).collect(),
        sensitivity: sensitivity(ranking, results),
        budgets: budgets(ranking, results, options),
        metric: ranking.metric.title.clone(),
        curve_metric: match &material.metric {
            Some(name) => name.replace('_', " "),
            None if validated => "validation loss".to_owned(),
            None => "training loss".to_owned(),
        },
        lower_is_better: ranking.metric.direction == Direction::LowerIsBetter,
        pairs_tested: ranking.family.pairs_tested(),
        sweep: material.sweep,
        generated_by: material.generated_by,
        file_text: material.file_text,
        reproduce: material.reproduce,
        environment: material.environment,
    }
}

/// Whether the curves show what was measured: another metric, or validation losses if every run has at least 3 or no run has
/// training losses.
fn draws_validation(material: &Material) -> bool {
    let runs = || material.runs.iter().flat_map(|(_, runs)| runs);
    let evaluations = |run: &Vec<Step>| run.iter().filter(|step| step.measured.is_some()).count();
    material.metric.is_some()
        || runs().all(|run| evaluations(run) >= 3)
        || !runs().flatten().any(|step| step.train_loss.is_finite())
}

/// The verdict in a sentence; it claims no more than the tests support.
pub fn verdict(ranking: &Ranking) -> String {
    let leaders: Vec<&Line> = ranking.leaders().collect();
    let (Some(first), others) =
        (ranking.lines.first().filter(|line| line.has_results()), ranking.lines.len())
    else {
        return "No run has ended yet, so there is no ranking.".to_owned();
    };
    let name = &first.schedule;
    if ranking.protocol == Protocol::Tuning {
        return format!(
            "Nothing is decided yet: {name} leads in the tuning runs, but no deciding run has ended."
        );
    }
    if others == 1 {
        return format!("{name} is the only schedule of this sweep, so there is no comparison.");
    }
    let rounding = Rounding::of(first.mean, first.sd);
    let mean = first.mean.map(|mean| format!(" ({} {})", ranking.metric.title, rounding.number(mean)));
    let at = format!("{name} at lr {}{}", short(first.base_lr), mean.unwrap_or_default());
    let beaten = ranking.lines.iter().filter(|line| line.verdict == Verdict::Worse).count();
    let tied: Vec<&str> = leaders.iter().skip(1).map(|line| line.schedule.as_str()).collect();
    match (tied.len(), beaten) {
        (0, 1) => format!("{at} is significantly better than the other schedule."),
        (0, beaten) => format!("{at} is significantly better than all {beaten} others."),
        (_, 0) if !ranking.can_decide() => format!(
            "{at} has the best mean, but there are too few seeds for significant differences: all {others} schedules are \
             tied."
        ),
        (_, 0) => format!(
            "{at} has the best mean, but no difference is significant: all {others} schedules are tied."
        ),
        (tied_count, beaten) => format!(
            "{at} has the best mean; {} {} not significantly different from it, {beaten} {} significantly worse.",
            if tied_count <= 3 { tied.join(", ") } else { format!("{tied_count} others") },
            if tied_count == 1 { "is" } else { "are" },
            if beaten == 1 { "is" } else { "are" },
        ),
    }
}

fn method(ranking: &Ranking) -> Vec<String> {
    let chosen = match ranking.protocol {
        Protocol::CrossFitted => {
            "Each schedule is shown at its best config. Differences are cross-fitted: one half of the seeds chooses the \
             config, the other half judges it, averaged over all splits into halves."
        }
        Protocol::Decided => "Each schedule's config was chosen on tuning seeds and judged on other seeds.",
        Protocol::Tuning => "These are tuning runs, which only choose configs.",
    };
    let mut method = vec![chosen.to_owned()];
    let notes = column_notes(ranking).into_iter().chain(looks::note(ranking));
    method.extend(notes.map(|note| format!("{note}.")));
    method.push("Diverged runs count as infinitely bad.".to_owned());
    method
}

fn warning(warning: &Warning) -> DocumentWarning {
    DocumentWarning {
        kind: warning.kind.name().to_owned(),
        text: warning.text.clone(),
        advice: warning.advice.clone(),
        schedules: warning.schedules.clone(),
    }
}

fn ranked(ranking: &Ranking, line: &Line, material: &Material) -> RankedSchedule {
    RankedSchedule {
        schedule: line.schedule.clone(),
        config_id: line.config_id.clone(),
        config: material.axes.get(&line.config_id).cloned().unwrap_or_default(),
        base_lr: line.base_lr,
        edge: line.edge,
        n: line.n,
        requested: line.requested(),
        mean: line.mean,
        sd: line.sd,
        diff: line.versus.diff,
        interval: line.versus.interval,
        p_raw: line.versus.p_raw,
        p: line.versus.p.filter(|_| ranking.can_decide()),
        e: line.versus.e,
        ranks: rank_range(line.ranks, line.verdict),
        verdict: line.verdict.name().to_owned(),
        wins: (line.versus.n > 0).then_some((line.versus.wins, line.versus.n)),
        diverged: line.diverged,
        unreported: line.unreported,
        unreached: line.unreached,
        accuracy: line.test_accuracy,
        steps: line.steps,
        tie_group: line.tie_group.unwrap_or(0),
        seeds: line.runs.iter().map(|(seed, x)| (*seed, x.filter(|x| x.is_finite()))).collect(),
    }
}

/// The most points of a curve: a screen shows no more.
const POINTS: usize = 80;

/// Mean over seeds, with a band of one standard deviation. Training losses are averaged over intervals of steps, because each is
/// the noisy loss of one batch.
fn curve(schedule: &str, runs: &[Vec<Step>], validated: bool) -> Curve {
    let Some(first) = runs.iter().max_by_key(|run| run.len()).filter(|run| !run.is_empty()) else {
        return Curve::default();
    };
    let all = first.len();
    let every = all.div_ceil(POINTS);
    let ends: Vec<u64> = if validated {
        let at: Vec<u64> =
            first.iter().filter(|step| step.measured.is_some()).map(|step| step.step + 1).collect();
        let every = at.len().div_ceil(POINTS).max(1);
        at.iter().rev().step_by(every).rev().copied().collect()
    } else {
        (1..=all.div_ceil(every)).map(|i| (i * every).min(all) as u64).collect()
    };
    let mut curve = Curve { schedule: schedule.to_owned(), ..Curve::default() };
    for end in ends {
        let values = runs.iter().filter_map(|run| {
            if validated {
                let at = usize::try_from(end).ok()?.checked_sub(1)?;
                return run.get(at)?.measured;
            }
            let end = usize::try_from(end).ok()?.min(run.len());
            let interval = run.get(end.saturating_sub(every)..end)?;
            stats::summary(&interval.iter().map(|step| step.train_loss).collect::<Vec<_>>()).map(|s| s.mean)
        });
        let Some(band) = Band::over(values) else { continue };
        curve.steps.push(end);
        curve.mean.push(band.mean);
        curve.low.push(band.low);
        curve.high.push(band.high);
    }
    let every = all.div_ceil(4 * POINTS).max(1);
    for step in first.iter().step_by(every).chain(first.last()) {
        curve.lr_steps.push(step.step);
        curve.lr.push(step.lr);
    }
    curve
}

/// A point of a curve: the mean over runs, and one standard deviation below and above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Band {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Number of runs with a finite value.
    pub(crate) n: usize,
}

impl Band {
    /// The band over the finite values of the runs; `None` without any.
    pub(crate) fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.filter(|x| x.is_finite()).collect();
        let summary = stats::summary(&values)?;
        let sd = summary.sd.unwrap_or(0.0);
        Some(Self { mean: summary.mean, low: summary.mean - sd, high: summary.mean + sd, n: values.len() })
    }
}

/// The results of a schedule at one base lr.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct LrPoint<'a> {
    pub(crate) lr: f64,
    /// Mean of the best variant at this lr.
    pub(crate) mean: Option<f64>,
    /// Number of diverged runs of all variants.
    pub(crate) diverged: usize,
    /// The runs of all variants.
    pub(crate) runs: Vec<&'a RunResult>,
    /// Config of the best variant.
    pub(crate) best: Option<&'a str>,
}

/// The results at each base lr of a grid, lowest first.
pub(crate) fn lr_points<'a>(grid: &Grid<'a>, direction: Direction) -> Vec<LrPoint<'a>> {
    let point = |lr: f64| {
        let at: Vec<_> = grid.configs.iter().filter(|config| config.base_lr == lr).collect();
        let runs: Vec<&RunResult> = at.iter().flat_map(|config| config.runs.iter().copied()).collect();
        let means = at.iter().filter_map(|config| {
            let values: Vec<f64> = config.runs.iter().filter_map(|run| run.value()).collect();
            let mean = stats::summary(&values).map(|s| s.mean).filter(|mean| mean.is_finite())?;
            Some((mean, config.id))
        });
        let best = means.min_by(|a, b| direction.compare(a.0, b.0));
        LrPoint {
            lr,
            mean: best.map(|(mean, _)| mean),
            best: best.map(|(_, id)| id),
            diverged: runs.iter().filter(|run| run.state == RunState::Diverged).count(),
            runs,
        }
    };
    grid.lrs().into_iter().map(point).collect()
}

/// Means over each schedule's lr grid, from all runs; each lr is at its best variant.
fn sensitivity(ranking: &Ranking, results: &[RunResult]) -> Vec<Sensitivity> {
    let grids = grids(results, ranking.budget);
    let of = |line: &Line| {
        let grid = grids.iter().find(|grid| grid.schedule == line.schedule)?;
        let points = lr_points(grid, ranking.metric.direction).into_iter();
        let points = points.map(|point| (point.lr, point.mean, point.diverged));
        Some(Sensitivity {
            schedule: line.schedule.clone(),
            points: points.collect(),
            chosen: line.base_lr,
            edge: line.edge,
        })
    };
    ranking.lines.iter().filter(|line| line.has_results()).filter_map(of).collect()
}

fn budgets(ranking: &Ranking, results: &[RunResult], options: &Options) -> Vec<BudgetLine> {
    let all = by_budget(ranking, results, options);
    if all.is_empty() {
        return Vec::new();
    }
    let of = |line: &Line| BudgetLine {
        schedule: line.schedule.clone(),
        points: all.iter().filter_map(|at| Some((at.steps, at.mean(&line.schedule)?))).collect(),
    };
    ranking.lines.iter().map(of).collect()
}
