//! The overview of a sweep: its state, progress and ranking.

use report::document::Document;
use report::views::{Facts, Overview, Progress, State, VerdictView, overview as composed};
use spec::metric::Metric;
use spec::protocol::Purpose;
use spec::trial::Trial;
use store::{Reader, RunnerStatus, SweepCounts, TrialRecord};
use sweep::completeness::{Completeness, Phase, Planned, completeness};
use sweep::processes::is_stuck;
use sweep::ranked::{RankBy, Ranked};
use sweep::results::Values;
use sweep::{Context, Error};

use super::about::about;
use super::document::options;
use super::trials::Configs;

/// Where a sweep is now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Situation {
    pub(crate) state: State,
    pub(crate) progress: Progress,
    pub(crate) verdict: VerdictView,
}

/// The stored facts from which a situation follows.
pub(crate) struct Known<'a> {
    pub(crate) rows: &'a [TrialRecord],
    pub(crate) counts: &'a SweepCounts,
    /// Whether a process trains it.
    pub(crate) is_trained: bool,
    pub(crate) planned: Option<&'a Planned>,
    /// The values of the sweep's metric.
    pub(crate) values: &'a Values,
    /// Steps per second.
    pub(crate) rate: Option<f64>,
    /// Milliseconds since 1970.
    pub(crate) now: i64,
}

/// Whether a live process trains the sweep.
pub(crate) fn is_trained(runners: &[RunnerStatus], sweep: &str) -> bool {
    runners.iter().any(|runner| runner.sweep.as_deref() == Some(sweep) && !is_stuck(runner))
}

/// Where a sweep is.
pub(crate) fn situation(known: &Known<'_>) -> Situation {
    let completeness = completeness(known.planned, known.rows, known.values);
    let counts = known.counts;
    let left = (counts.steps - counts.steps_done).max(0);
    let time = |steps: f64| {
        let rate = known.rate.filter(|rate| *rate > 0.0 && known.is_trained)?;
        Some((1000.0 * steps / rate).min(1e15) as i64)
    };
    let round_left_ms = time(left as f64);
    let left_ms = time(left as f64 + completeness.later_steps as f64);
    let state = if known.rows.is_empty() {
        State::Empty
    } else if known.is_trained {
        State::Running
    } else if completeness.is_complete() && counts.failed == 0 {
        State::Finished
    } else {
        State::Incomplete
    };
    Situation {
        state,
        progress: Progress {
            trials: counts.trials,
            done: counts.done,
            diverged: counts.diverged,
            running: counts.running,
            queued: counts.queued,
            stopped: counts.stopped,
            left_over: counts.left_over,
            failed: counts.failed,
            steps_done: counts.steps_done,
            steps: counts.steps,
            round: round(known.rows),
            round_left_ms,
            left_ms,
            steps_per_second: known.rate.filter(|_| known.is_trained),
        },
        verdict: verdict(&completeness, left_ms.map(|left| known.now + left)),
    }
}

/// The kind of the current round.
fn round(rows: &[TrialRecord]) -> &'static str {
    let has = |purpose| rows.iter().any(|row| row.purpose == purpose);
    match (has(Purpose::Decide), has(Purpose::Tune)) {
        (true, _) => "deciding",
        (false, true) => "tuning",
        (false, false) => "all",
    }
}

fn verdict(completeness: &Completeness, ready_at: Option<i64>) -> VerdictView {
    VerdictView {
        sentence: String::new(),
        complete: completeness.is_complete(),
        phase: match completeness.phase {
            Phase::Nothing => "none",
            Phase::Tuning => "tuning",
            Phase::Deciding => "deciding",
            Phase::Complete => "complete",
        },
        seeds_done: completeness.seeds_done,
        seeds: completeness.seeds,
        missing: completeness.missing.clone(),
        ready_at: ready_at.filter(|_| !completeness.is_complete()),
    }
}

/// The overview of a ranked sweep, with the texts of its document.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn overview(
    reader: &mut Reader,
    document: Document,
    (ranked, how): (&Ranked, &RankBy),
    (situation, rows, now): (Situation, &[TrialRecord], i64),
    configs: &mut Configs,
    context: &Context,
) -> Result<Overview, Error> {
    let mut lines = std::collections::BTreeMap::new();
    let mut first: Option<Trial> = None;
    for line in &ranked.ranking.lines {
        let Some(run) = ranked.ranking.judging(&ranked.results, line).into_iter().next() else { continue };
        let facts = configs.of(reader, &run.trial, context).await?;
        first = first.or_else(|| facts.trial.clone());
        lines.insert(line.schedule.clone(), facts.line.clone());
    }
    let others = others(reader.metric_names(&document.sweep).await?, &ranked.metric);
    let named =
        ranked.metric.reported().filter(|name| others.iter().any(|other| other == name)).map(str::to_owned);
    let facts = Facts {
        now,
        about: about(first.as_ref(), rows, &document.file_text),
        curve_metric: named.clone().unwrap_or_else(|| curve_metric(first.as_ref(), rows).to_owned()),
        curves: others,
        state: situation.state,
        progress: situation.progress,
        verdict: situation.verdict,
        over_budgets: ranked.over_budgets.clone(),
        file_name: None,
        lines,
    };
    Ok(composed(document, &ranked.ranking, &ranked.results, &options(ranked, how), facts))
}

/// The most metrics other than losses that have curves.
const MOST_METRICS: usize = 8;

/// The metrics other than losses that have curves: the one that decides first.
fn others(mut names: Vec<String>, decides: &Metric) -> Vec<String> {
    names.sort_by_key(|name| decides.reported() != Some(name.as_str()));
    names.truncate(MOST_METRICS);
    names
}

/// Fewer validation losses make no curve.
const FEWEST_EVALUATIONS: u64 = 3;

/// The metric of the curves that are shown first.
fn curve_metric(trial: Option<&Trial>, rows: &[TrialRecord]) -> &'static str {
    let has_train = rows.iter().any(|row| row.final_train_loss.is_some());
    let over = rows.iter().any(TrialRecord::is_over);
    let evaluations = trial.map_or(FEWEST_EVALUATIONS, |trial| {
        trial.config.task.steps.div_ceil(trial.config.task.evaluate_every.max(1))
    });
    if evaluations >= FEWEST_EVALUATIONS || (over && !has_train) { "valid" } else { "train" }
}
