//! Composes an [`Overview`] from a ranking and its [`Document`]. Without a complete set of judging runs it has no p-values, no
//! ranks and no verdicts: their test is valid for a number of runs that was fixed before.

use std::collections::BTreeMap;

use verdict::budgets::by_budget;
use verdict::pair::ALPHA;
use verdict::ranking::{Line, Options, Ranking};
use verdict::results::{RunResult, RunState, grids};
use verdict::score::Direction;

use super::{
    BudgetPoint, BudgetView, LineView, LrView, MetricView, Overview, Progress, SeedDifference, SeedView,
    SensitivityView, State, VerdictView, WarningView,
};
use crate::compose::{LrPoint, lr_points};
use crate::document::Document;
use crate::ranking_rows::rank_range;

/// The content of an overview that does not follow from the ranking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// When it is made: UTC, milliseconds since 1970.
    pub now: i64,
    /// The header.
    pub about: Vec<(String, String)>,
    /// `valid` or `train`.
    pub curve_metric: String,
    /// The metrics other than losses that have curves.
    pub curves: Vec<String>,
    /// The state of the sweep.
    pub state: State,
    /// Its progress.
    pub progress: Progress,
    /// How complete it is; the sentence is added here.
    pub verdict: VerdictView,
    /// A sentence on all budgets together.
    pub over_budgets: Option<String>,
    /// The path of the sweep file.
    pub file_name: Option<String>,
    /// More about the lines, by schedule.
    pub lines: BTreeMap<String, LineFacts>,
}

/// The content of a line that does not follow from the ranking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineFacts {
    /// The kind of schedule.
    pub kind: Option<String>,
    /// The schedule as an entry of a sweep file.
    pub yaml: String,
    /// The schedule as PyTorch code, or why there is none.
    pub pytorch: Option<Result<String, String>>,
}

/// The document without everything that needs all judging runs, with a sentence on what is missing.
pub fn withheld(mut document: Document, verdict: &VerdictView) -> Document {
    if verdict.complete {
        return document;
    }
    document.verdict = sentence(verdict);
    for line in &mut document.ranking {
        (line.p, line.p_raw, line.e, line.interval) = (None, None, None, None);
        (line.ranks, line.verdict) = ("—".to_owned(), "undecided".to_owned());
        // No line is marked as tied with the first.
        line.tie_group = if line.tie_group == 0 { 0 } else { 2 };
    }
    document.warnings.retain(|warning| !NEEDS_ALL.contains(&warning.kind.as_str()));
    // The first sentence says how configs are chosen, the others explain the tests.
    document.method.truncate(1);
    document
}

/// The kinds of warnings that are right only once all judging runs have ended, or say that some are missing, as the verdict does.
const NEEDS_ALL: [&str; 6] =
    ["few_seeds", "unstable_over_budgets", "metrics_disagree", "missing", "only_tuned", "edge"];

/// Why there is no verdict yet.
fn sentence(verdict: &VerdictView) -> String {
    if verdict.phase == "none" {
        return "No run has ended yet, so there is no ranking.".to_owned();
    }
    let missing =
        if verdict.missing.is_empty() { String::new() } else { format!(" Missing: {}.", verdict.missing) };
    format!("{} of {} seeds: no verdict yet.{missing}", verdict.seeds_done, verdict.seeds)
}

/// The overview of a ranking. `document` was composed of the same ranking.
pub fn overview(
    document: Document,
    ranking: &Ranking,
    results: &[RunResult],
    options: &Options,
    facts: Facts,
) -> Overview {
    let complete = facts.verdict.complete;
    let document = withheld(document, &facts.verdict);
    let verdict = VerdictView { sentence: document.verdict.clone(), ..facts.verdict.clone() };
    let lines = ranking.lines.iter().enumerate().map(|(i, _)| line(i, ranking, results, &document, &facts));
    Overview {
        format: 1,
        question: document.question.clone(),
        generated_by: document.generated_by.clone(),
        metric: MetricView {
            name: ranking.metric.name.clone(),
            title: ranking.metric.title.clone(),
            lower_is_better: ranking.metric.direction == Direction::LowerIsBetter,
        },
        budget: ranking.budget,
        budgets: ranking.budgets.clone(),
        verdict,
        ranking: lines.collect(),
        sensitivity: sensitivity(ranking, results),
        budget_map: budget_map(ranking, results, options),
        over_budgets: facts.over_budgets.filter(|_| complete),
        warnings: document
            .warnings
            .into_iter()
            .map(|found| WarningView {
                kind: found.kind,
                text: found.text,
                advice: found.advice,
                schedules: found.schedules,
            })
            .collect(),
        method: document.method,
        environment: document.environment,
        commands: document.reproduce,
        file_text: document.file_text,
        sweep: document.sweep,
        now: facts.now,
        about: facts.about,
        curve_metric: facts.curve_metric,
        curves: facts.curves,
        state: facts.state,
        progress: facts.progress,
        file_name: facts.file_name,
    }
}

fn line(i: usize, ranking: &Ranking, results: &[RunResult], document: &Document, facts: &Facts) -> LineView {
    let (Some(line), Some(shown)) = (ranking.lines.get(i), document.ranking.get(i)) else {
        return LineView::default();
    };
    let complete = facts.verdict.complete;
    let more = facts.lines.get(&line.schedule).cloned().unwrap_or_default();
    let own = ranking.judging(results, line);
    let interval = mean_interval(&own);
    let (pytorch, pytorch_reason) = match more.pytorch {
        Some(Ok(code)) => (Some(code), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    LineView {
        schedule: line.schedule.clone(),
        kind: more.kind,
        config_id: line.config_id.clone(),
        config: shown.config.clone(),
        base_lr: line.base_lr,
        edge: line.edge.map(verdict::ranking::Edge::word),
        ranks: line.ranks.filter(|_| complete).map(|ranks| rank_range(Some(ranks), line.verdict)),
        tie_group: line.tie_group.filter(|_| complete),
        verdict: (complete && line.has_results()).then(|| line.verdict.name()),
        n: line.n,
        requested: line.requested(),
        missing: line.missing,
        failed: own.iter().filter(|run| run.state == RunState::Failed).count(),
        diverged: line.diverged,
        unreported: line.unreported,
        unreached: line.unreached,
        mean: line.mean,
        sd: line.sd,
        low: interval.map(|(low, _)| low),
        high: interval.map(|(_, high)| high),
        diff: line.versus.diff.filter(|_| i > 0),
        interval: line.versus.interval.filter(|_| complete && i > 0),
        p_raw: line.versus.p_raw.filter(|_| complete && i > 0),
        p: line.versus.p.filter(|_| complete && i > 0 && ranking.can_decide()),
        e: line.versus.e.filter(|_| complete && i > 0),
        wins: (i > 0 && line.versus.n > 0).then_some((line.versus.wins, line.versus.n)),
        test_loss: line.test_loss,
        test_accuracy: line.test_accuracy,
        steps: line.steps,
        wall_ms: wall_ms(&own),
        seeds: seeds(line, &own),
        differences: ranking
            .lines
            .first()
            .filter(|_| i > 0)
            .map_or_else(Vec::new, |first| differences(line, first)),
        trial_id: best(&own, ranking.metric.direction),
        yaml: more.yaml,
        pytorch,
        pytorch_reason,
    }
}

fn finite(run: &RunResult) -> Option<f64> {
    run.value().filter(|value| value.is_finite())
}

/// The 95 % interval of the mean, by Student's t.
fn mean_interval(own: &[&RunResult]) -> Option<(f64, f64)> {
    let values: Vec<f64> = own.iter().filter_map(|run| finite(run)).collect();
    let mean = stats::paired(&values)?;
    Some(mean.interval(stats::Paired::critical(mean.n, ALPHA)))
}

fn wall_ms(own: &[&RunResult]) -> Option<f64> {
    let is_done =
        |state| matches!(state, RunState::Done(_) | RunState::Unreached(_) | RunState::Unreported(_));
    let times = own.iter().filter(|run| is_done(run.state)).filter_map(|run| {
        let time = run.trial.finished_at? - run.trial.started_at?;
        (time >= 0).then_some(time as f64)
    });
    stats::summary(&times.collect::<Vec<_>>()).map(|summary| summary.mean)
}

/// The trial with the best value.
fn best(own: &[&RunResult], direction: Direction) -> Option<String> {
    let values = own.iter().filter_map(|run| Some((finite(run)?, &run.trial.trial_id)));
    values.min_by(|a, b| direction.compare(a.0, b.0)).map(|(_, id)| id.clone())
}

fn seeds(line: &Line, own: &[&RunResult]) -> Vec<SeedView> {
    let state = |run: &RunResult| match run.state {
        RunState::Done(_) | RunState::Unreached(_) => "done",
        RunState::Unreported(_) => "unreported",
        RunState::Diverged => "diverged",
        RunState::Missing => "missing",
        RunState::Failed => "failed",
    };
    let mut seeds: Vec<SeedView> = own
        .iter()
        .map(|run| SeedView {
            seed: run.trial.seed,
            value: finite(run),
            state: state(run),
            trial_id: Some(run.trial.trial_id.clone()),
        })
        .collect();
    if seeds.is_empty() {
        // The config is not trained on the judging seeds yet.
        let planned = line.runs.iter().filter(|_| line.has_results());
        seeds.extend(planned.map(|(seed, _)| SeedView {
            seed: *seed,
            value: None,
            state: "missing",
            trial_id: None,
        }));
    }
    seeds
}

fn differences(line: &Line, first: &Line) -> Vec<SeedDifference> {
    let both = line.judged.iter().zip(&first.judged).zip(&line.runs);
    both.filter_map(|((ours, theirs), (seed, _))| {
        let value = (*ours)? - (*theirs)?;
        Some(SeedDifference { seed: *seed, value: Some(value).filter(|value| value.is_finite()) })
    })
    .collect()
}

fn sensitivity(ranking: &Ranking, results: &[RunResult]) -> Vec<SensitivityView> {
    let grids = grids(results, ranking.budget);
    let of = |line: &Line| {
        let grid = grids.iter().find(|grid| grid.schedule == line.schedule)?;
        Some(SensitivityView {
            schedule: line.schedule.clone(),
            points: lr_points(grid, ranking.metric.direction).iter().map(lr_view).collect(),
            chosen: line.base_lr,
            edge: line.edge.map(verdict::ranking::Edge::word),
        })
    };
    ranking.lines.iter().filter_map(of).collect()
}

fn lr_view(point: &LrPoint<'_>) -> LrView {
    let status = |name: &str| point.runs.iter().filter(|run| run.trial.status.name() == name).count();
    let best = point.runs.iter().filter(|run| point.best == Some(run.trial.config_id.as_str()));
    let mut seeds: Vec<(i64, f64)> = best.filter_map(|run| Some((run.trial.seed, finite(run)?))).collect();
    seeds.sort_by_key(|(seed, _)| *seed);
    LrView {
        lr: point.lr,
        mean: point.mean,
        n: seeds.len(),
        diverged: point.diverged,
        running: status("running"),
        queued: status("queued") + status("stopped"),
        seeds,
    }
}

fn budget_map(ranking: &Ranking, results: &[RunResult], options: &Options) -> Vec<BudgetView> {
    let all = by_budget(ranking, results, options);
    if all.is_empty() {
        return Vec::new();
    }
    let of = |line: &Line| BudgetView {
        schedule: line.schedule.clone(),
        points: all
            .iter()
            .filter_map(|at| {
                let of = at.of(&line.schedule)?;
                Some(BudgetPoint { steps: at.steps, mean: of.mean, lr: of.base_lr })
            })
            .collect(),
    };
    ranking.lines.iter().map(of).collect()
}
