//! Finds the trial that a user names: by the start of its id, or `best`.

use std::collections::HashMap;

use spec::metric::Metric;
use store::{Reader, Status, TrialRecord};
use verdict::results::RunState;

use crate::lookup::sweep;
use crate::ranked::{RankBy, ranked};
use crate::stored::by_id;
use crate::{Context, Error};

/// A user's name for a stored trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialName {
    /// The start of the trial's id, or `best`.
    pub trial: String,
    /// The sweep for `best`. `None` for the one that was run last.
    pub sweep: Option<String>,
}

/// The trial that the start of an id or `best` refers to.
///
/// # Errors
/// There is no such trial, or several match.
pub async fn trial(reader: &mut Reader, name: &TrialName, context: &Context) -> Result<TrialRecord, Error> {
    if name.trial != "best" {
        return by_id(reader, &name.trial).await;
    }
    let sweep = sweep(reader, name.sweep.as_deref(), context).await?;
    match best(reader, &sweep).await? {
        Some(best) => by_id(reader, &best).await,
        None => Err(no_best(&sweep, &reader.results(&sweep).await?)),
    }
}

/// The best trial of a sweep, by the metric that decides it: the best run of the config that ranks first.
async fn best(reader: &mut Reader, sweep: &str) -> Result<Option<String>, Error> {
    if spec::metric::in_text(&reader.file_text(sweep).await?) == Metric::Final {
        return Ok(reader.best(sweep).await?);
    }
    let ranked = ranked(reader, sweep, &RankBy::default()).await?;
    let Some(first) = ranked.ranking.lines.first() else { return Ok(None) };
    let runs = ranked
        .results
        .iter()
        .filter(|run| run.trial.schedule == first.schedule && run.trial.config_id == first.config_id);
    let finished = runs.filter_map(|run| match run.state {
        // If no run reached the target, the nearest to it is the best.
        RunState::Done(cost) | RunState::Unreached(cost) => Some((cost, run)),
        _ => None,
    });
    let best = finished.min_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(best.map(|(_, run)| run.trial.trial_id.clone()))
}

/// Why a sweep has no best trial.
fn no_best(sweep: &str, rows: &[TrialRecord]) -> Error {
    let trials: HashMap<&str, Status> = rows.iter().map(|row| (row.trial_id.as_str(), row.status)).collect();
    let count = |wanted: &[Status]| trials.values().filter(|status| wanted.contains(status)).count();
    let each = [
        (count(&[Status::Diverged]), "diverged"),
        (count(&[Status::Failed]), "failed (see `sweep show TRIAL`)"),
        (count(&[Status::Queued, Status::Running, Status::Stopped]), "not finished yet"),
    ];
    let each: Vec<String> =
        each.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    Error::usage(format_args!("no trial of the sweep `{sweep}` has a result: {}", each.join(", ")))
}
