//! The ranking of a stored sweep, with warnings.

use std::collections::HashMap;

use spec::protocol::seeds_of;
use store::{Reader, Status, TrialRecord};
use verdict::budgets::over_budgets;
use verdict::ranking::Options;
use verdict::results::{RunResult, budgets};
use verdict::warnings::{History, Warning, warnings};
use verdict::{Ranking, rank};

use crate::lookup::{Found, found};
use crate::results::{Metric, result};
use crate::stored::open;
use crate::{Context, Error};

/// How schedules are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RankBy {
    /// The metric.
    pub metric: Metric,
    /// Ranks only runs of this length in steps. `None` for the longest.
    pub budget: Option<i64>,
    /// Region of practical equivalence: schedules whose difference is at most this are equivalent.
    pub rope: Option<f64>,
}

/// A sweep's results, ranked.
#[derive(Debug)]
pub struct Ranked {
    /// The result of each run.
    pub results: Vec<RunResult>,
    /// The schedules in order.
    pub ranking: Ranking,
    /// Warnings about the ranking.
    pub warnings: Vec<Warning>,
    /// A sentence on the results over several budgets.
    pub over_budgets: Option<String>,
    /// How the sweep differs from the file that the user named.
    pub note: Option<String>,
}

/// Ranks a sweep.
///
/// # Errors
/// The store can't be read, or has no run with this metric or budget.
pub async fn ranked(reader: &mut Reader, sweep: &str, how: &RankBy) -> Result<Ranked, Error> {
    let rows = reader.results(sweep).await?;
    ranked_rows(reader, sweep, rows, how).await
}

/// Ranks a sweep whose runs were read before: `rows` is what [`Reader::results`] returned.
///
/// # Errors
/// The store can't be read, or has no run with this metric or budget.
pub async fn ranked_rows(
    reader: &mut Reader,
    sweep: &str,
    rows: Vec<TrialRecord>,
    how: &RankBy,
) -> Result<Ranked, Error> {
    let losses = match how.metric {
        Metric::Best => reader.best_losses(sweep).await?,
        Metric::Tail(steps) => reader.tail_losses(sweep, steps).await?,
        Metric::Final | Metric::TestLoss | Metric::Accuracy => HashMap::new(),
    };
    let results: Vec<RunResult> = rows.into_iter().map(|row| result(row, how.metric, &losses)).collect();
    check_metric(sweep, how.metric, &results)?;
    check_budget(sweep, how.budget, &results)?;
    let looks = seeds_of(&reader.file_text(sweep).await?).and_then(|seeds| seeds.looks().cloned());
    let options = Options { metric: how.metric.described(), budget: how.budget, rope: how.rope, looks };
    let ranking = rank(&results, &options);
    let history = History { origins: reader.origins(sweep).await?, looks: reader.looks(sweep).await? };
    let warnings = warnings(&ranking, &results, &options, &history);
    let over_budgets = over_budgets(&ranking, &results, &options);
    Ok(Ranked { results, ranking, warnings, over_budgets, note: None })
}

/// Checks that at least one finished run has the metric.
fn check_metric(sweep: &str, metric: Metric, results: &[RunResult]) -> Result<(), Error> {
    let mut done = results.iter().filter(|run| run.trial.status == Status::Done).peekable();
    let any = done.peek().is_some();
    if metric != Metric::Final && any && done.all(|run| run.score.is_none()) {
        let title = metric.described().title;
        return Err(Error::usage(format_args!("the runs of `{sweep}` have no {title}; use another metric")));
    }
    Ok(())
}

/// Checks that at least one run has the requested length.
fn check_budget(sweep: &str, budget: Option<i64>, results: &[RunResult]) -> Result<(), Error> {
    let known = budgets(results);
    match budget {
        Some(budget) if !known.contains(&budget) && !known.is_empty() => {
            let known: Vec<String> = known.iter().map(i64::to_string).collect();
            Err(Error::usage(format_args!(
                "no run of `{sweep}` has {budget} steps, expected one of {}",
                known.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

/// Finds a sweep by its name or file, or the last one, and ranks it.
///
/// # Errors
/// There is no such sweep, or the errors of [`ranked`].
pub async fn ranked_sweep(
    name: Option<&str>,
    how: &RankBy,
    context: &Context,
) -> Result<(String, Ranked), Error> {
    let mut reader = open(context).await?;
    let Found { name, note } = found(&mut reader, name, context).await?;
    let ranked = ranked(&mut reader, &name, how).await?;
    Ok((name, Ranked { note, ..ranked }))
}
