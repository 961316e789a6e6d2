//! The ranking of a stored sweep, with warnings.

use spec::metric::{Metric, Requested};
use spec::protocol::{Purpose, seeds_of};
use store::{Reader, TrialRecord};
use verdict::budgets::over_budgets;
use verdict::ranking::Options;
use verdict::refine::{GridCost, grid_costs};
use verdict::results::{RunResult, budgets};
use verdict::warnings::{History, Warning, warnings};
use verdict::{Ranking, rank};

use crate::lookup::{Found, found};
use crate::results::{described, no_metric, result};
use crate::stored::{open, values};
use crate::{Context, Error};

/// How schedules are ranked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RankBy {
    /// The metric. `None`: the one that decides the sweep, by its file.
    pub metric: Option<Requested>,
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
    /// The metric that they are ranked by.
    pub metric: Metric,
    /// The schedules in order.
    pub ranking: Ranking,
    /// Warnings about the ranking.
    pub warnings: Vec<Warning>,
    /// A sentence on the results over several budgets.
    pub over_budgets: Option<String>,
    /// The cost of the grids without refined lrs; empty if no lr was refined.
    pub grid_costs: Vec<GridCost>,
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
    let text = reader.file_text(sweep).await?;
    let mut rows = crate::search::without_tried(&text, rows);
    // An lr without all tuning seeds can't be chosen.
    rows.retain(|row| row.purpose != Purpose::Dropped);
    let decides = spec::metric::in_text(&text);
    let metric = match &how.metric {
        None => decides.clone(),
        Some(Requested::Metric(metric)) => metric.clone(),
        Some(Requested::Name(name)) => by_name(reader, sweep, name, &decides).await?,
    };
    // Only the configs that the sweep's own metric has chosen are trained on deciding seeds. Test data never choose.
    let is_split = rows.iter().any(|row| row.purpose != Purpose::All);
    let chooses = if is_split || metric.is_of_test_data() { decides } else { metric.clone() };
    let judges = values(reader, sweep, &metric).await?;
    let chooses =
        if chooses == judges.metric { judges.clone() } else { values(reader, sweep, &chooses).await? };
    let results: Vec<RunResult> = rows.into_iter().map(|row| result(row, &chooses, &judges)).collect();
    if judges.is_unknown(&results) {
        return Err(judges.unknown(sweep, &results));
    }
    check_budget(sweep, how.budget, &results)?;
    let looks = seeds_of(&text).and_then(|seeds| seeds.looks().cloned());
    let metric = described(&judges.metric);
    let options = Options { metric, budget: how.budget, rope: how.rope, looks };
    let ranking = rank(&results, &options);
    let (origins, looks) = (reader.origins(sweep).await?, reader.looks(sweep).await?);
    let history = History { origins, looks, screened: reader.screened(sweep).await? };
    let warnings = warnings(&ranking, &results, &options, &history);
    let over_budgets = over_budgets(&ranking, &results, &options);
    let grid_costs = grid_costs(&results, &reader.refined(sweep).await?);
    Ok(Ranked { results, metric: judges.metric, ranking, warnings, over_budgets, grid_costs, note: None })
}

/// The metric with this name that the programs of a sweep report.
async fn by_name(reader: &mut Reader, sweep: &str, name: &str, decides: &Metric) -> Result<Metric, Error> {
    let reported = reader.metric_names(sweep).await?;
    if !reported.iter().any(|known| known == name) {
        return Err(no_metric(sweep, name, &reported.iter().map(String::as_str).collect()));
    }
    match decides {
        Metric::Own { name: known, .. } if known == name => Ok(decides.clone()),
        _ => Err(Error::usage(format_args!(
            "the sweep file does not say whether a lower or a higher `{name}` is better: use --metric {name}:max or \
             --metric {name}:min"
        ))),
    }
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
