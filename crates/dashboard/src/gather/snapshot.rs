//! The data of an offline report, read at one time.

use std::collections::BTreeMap;

use report::document::Document;
use report::views::{Snapshot, SnapshotCurves, Trials, withheld};
use store::{Reader, SweepCounts};
use sweep::completeness::Planned;
use sweep::ranked::{RankBy, Ranked, ranked_rows};
use sweep::stored::values;
use sweep::{Context, Error};

use super::curves::{CurveMetric, Samples, curves};
use super::document::{document, material, runs};
use super::overview::{Known, is_trained, overview, situation};
use super::trials::Configs;

/// Number of points of a curve.
const POINTS: u64 = 400;

/// A report: what its page contains, and the document of its text.
#[derive(Debug)]
pub struct Report {
    /// The document, without verdicts while runs that judge are missing.
    pub document: Document,
    /// The data of the page.
    pub snapshot: Snapshot,
}

/// The report of a sweep.
///
/// # Errors
/// The store can't be read, or has no run with this metric or budget.
pub(crate) async fn report(
    reader: &mut Reader,
    sweep: &str,
    how: &RankBy,
    context: &Context,
) -> Result<Report, Error> {
    let rows = reader.results(sweep).await?;
    let counts = reader.counts(sweep).await?.unwrap_or_else(SweepCounts::default);
    let is_trained = is_trained(&reader.runners().await?, sweep);
    let planned = Planned::new(sweep, &reader.file_text(sweep).await?, context);
    let metric = planned.as_ref().map(|planned| planned.spec().metric.clone()).unwrap_or_default();
    let values = values(reader, sweep, &metric).await?;
    // The same data give the same report, so its time is that of the data.
    let times = rows.iter().filter_map(|row| row.finished_at.or(row.started_at));
    let now = times.max().unwrap_or(counts.updated_at);
    let known = Known {
        rows: &rows,
        counts: &counts,
        is_trained,
        planned: planned.as_ref(),
        values: &values,
        rate: None,
        now,
    };
    let situation = situation(&known);
    let verdict = situation.verdict.clone();
    let ranked: Ranked = ranked_rows(reader, sweep, rows.clone(), how).await?;
    let (mut configs, mut samples) = (Configs::default(), Samples::default());
    let material = material(reader, sweep, &ranked, context).await?;
    let document = document(&ranked, how, material, runs(reader, &ranked).await?);
    let all = (situation, rows.as_slice(), now);
    let overview = overview(reader, document.clone(), (&ranked, how), all, &mut configs, context).await?;
    let mut of = async |metric: &CurveMetric| {
        curves(reader, &ranked, (metric, POINTS), &mut samples, &mut configs, context).await
    };
    let mut others = BTreeMap::new();
    for name in &overview.curves {
        others.insert(name.clone(), of(&CurveMetric::Other(name.clone())).await?);
    }
    let (valid, train) = (of(&CurveMetric::Valid).await?, of(&CurveMetric::Train).await?);
    let curves = SnapshotCurves { valid, train, others };
    let trials = Trials::new(0, &rows, &rows);
    Ok(Report {
        document: withheld(document, &verdict),
        snapshot: Snapshot { overview, trials, curves, stages: None },
    })
}
