//! The sweeps of a store, each with its state and, if it is complete, its verdict.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use report::views::{State, SweepList, SweepSummary};
use store::{Reader, SweepStatus};
use sweep::completeness::{Planned, completeness};
use sweep::ranked::{RankBy, ranked_rows};
use sweep::stored::values;
use sweep::{Context, Error};

use super::overview::is_trained;

/// The longest time for verdicts that are not known yet; the rest follow in the next answer.
const LONGEST: Duration = Duration::from_millis(300);

/// Sweeps with more trials have no verdict in the list: ranking them takes too long.
const MOST_TRIALS: i64 = 5000;

/// The verdicts that were found, by sweep, with the numbers of the sweep at that time.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(HashMap<String, (SweepStatus, Option<String>)>);

/// The list of sweeps.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn sweeps(
    reader: &mut Reader,
    verdicts: &mut Verdicts,
    context: &Context,
) -> Result<SweepList, Error> {
    let (all, runners) = (reader.status().await?, reader.runners().await?);
    let started = Instant::now();
    let mut sweeps = Vec::with_capacity(all.len());
    for status in all {
        let is_trained = is_trained(&runners, &status.sweep);
        let open = status.queued + status.stopped + status.left_over + status.running + status.failed;
        let may_be_complete = open == 0 && status.trials > 0 && !is_trained;
        let verdict = match verdicts.0.get(&status.sweep) {
            Some((known, verdict)) if *known == status => verdict.clone(),
            _ if may_be_complete && status.trials <= MOST_TRIALS && started.elapsed() < LONGEST => {
                let verdict = verdict(reader, &status.sweep, context).await?;
                verdicts.0.insert(status.sweep.clone(), (status.clone(), verdict.clone()));
                verdict
            }
            _ => None,
        };
        sweeps.push(summary(status, is_trained, may_be_complete, verdict));
    }
    let version = format!("sweep {}", env!("CARGO_PKG_VERSION"));
    Ok(SweepList { store: context.store.to_string(), version, sweeps })
}

fn summary(status: SweepStatus, is_trained: bool, is_ended: bool, verdict: Option<String>) -> SweepSummary {
    let state = match (status.trials, is_trained, is_ended) {
        (0, ..) => State::Empty,
        (_, true, _) => State::Running,
        (_, false, true) => State::Finished,
        (_, false, false) => State::Incomplete,
    };
    SweepSummary {
        sweep: status.sweep,
        state,
        trials: status.trials,
        done: status.done,
        diverged: status.diverged,
        running: status.running,
        queued: status.queued,
        stopped: status.stopped,
        left_over: status.left_over,
        failed: status.failed,
        updated_at: status.updated_at,
        verdict,
    }
}

/// The verdict of a sweep whose stored runs have all ended; `None` if its plan has more runs.
async fn verdict(reader: &mut Reader, sweep: &str, context: &Context) -> Result<Option<String>, Error> {
    let text = reader.file_text(sweep).await?;
    let rows = reader.results(sweep).await?;
    let values = values(reader, sweep, &spec::metric::in_text(&text)).await?;
    if !completeness(Planned::new(sweep, &text, context).as_ref(), &rows, &values).is_complete() {
        return Ok(None);
    }
    let how = RankBy::default();
    let ranked = ranked_rows(reader, sweep, rows, &how).await?;
    Ok(Some(report::compose::verdict(&ranked.ranking)))
}
