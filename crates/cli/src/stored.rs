//! What the verbs that read the database share: opening it, naming a sweep or a trial, and its results.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use report::ranking::{RunResult, RunState};
use report::{Cell, Ranking, rank};
use schedule::problem::{listed, nearest};
use spec::trial::Trial;
use store::{Reader, RunRow, Status, StoreError, TrialRow};

use crate::args::Warnings;
use crate::args::{Global, Which};
use crate::exit::Failure;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_users_mistake() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

/// Waits for a future on this thread.
pub(crate) fn wait_for<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::failed(format_args!("can't start: {error}")))?.block_on(future)
}

/// Opens the database for reading.
pub(crate) async fn open(global: &Global) -> Result<Reader, Failure> {
    Ok(Reader::open(&global.store).await?)
}

/// The sweep that is meant by a name or a sweep file: the one that was run last if none is given.
pub(crate) async fn sweep(reader: &mut Reader, word: Option<&str>) -> Result<String, Failure> {
    let known = reader.sweeps().await?;
    let Some(word) = word else {
        let last = known.into_iter().next();
        return last.ok_or_else(|| Failure::usage("the database holds no sweep yet; run one first"));
    };
    if known.iter().any(|name| name == word) {
        return Ok(word.to_owned());
    }
    let path = Path::new(word);
    if path.is_file() {
        let (_, plan) = crate::input::sweep_file(path, Warnings::default(), true)?;
        if known.contains(&plan.name) {
            return Ok(plan.name);
        }
        return Err(Failure::usage(format_args!("the sweep `{}` of {word} was not run yet", plan.name)));
    }
    let names = || known.iter().map(String::as_str);
    let hint = match nearest(word, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "none was run yet".to_owned(),
        None => format!("known: {}", listed(names())),
    };
    Err(Failure::usage(format_args!("there is no sweep `{word}` ({hint})")))
}

/// The ranking of a sweep.
pub(crate) async fn ranking(reader: &mut Reader, sweep: &str) -> Result<Ranking, Failure> {
    let rows = reader.results(sweep).await?;
    Ok(rank(&rows.into_iter().map(result).collect::<Vec<_>>()))
}

fn result(row: RunRow) -> RunResult {
    let state = match (row.status, row.final_valid_loss) {
        (Status::Done, Some(loss)) => RunState::Done(loss),
        (Status::Diverged | Status::Done, _) => RunState::Diverged,
        _ => RunState::Missing,
    };
    RunResult {
        schedule: row.schedule,
        config_id: row.config_id,
        base_lr: row.base_lr,
        seed: row.seed,
        state,
        test_loss: row.test_loss,
        test_accuracy: row.test_accuracy,
    }
}

/// The trial that is meant by the start of its id, or by `best`.
pub(crate) async fn trial(reader: &mut Reader, which: &Which) -> Result<TrialRow, Failure> {
    let id = if which.trial == "best" {
        let sweep = sweep(reader, which.sweep.as_deref()).await?;
        let best = reader.best(&sweep).await?;
        best.ok_or_else(|| {
            Failure::usage(format_args!(
                "no trial of the sweep `{sweep}` has a result: all diverged, failed, or are not trained yet"
            ))
        })?
    } else {
        match reader.find(&which.trial.to_lowercase()).await?.as_slice() {
            [id] => id.clone(),
            [] => {
                return Err(Failure::usage(format_args!(
                    "there is no trial whose id starts with `{}` (ids are in the table `trials`; `best` is the best one)",
                    which.trial
                )));
            }
            several => {
                let ids = listed(several.iter().map(String::as_str));
                return Err(Failure::usage(format_args!(
                    "several trials start with `{}`: {ids}",
                    which.trial
                )));
            }
        }
    };
    let row = reader.trial(&id).await?;
    row.ok_or_else(|| Failure::failed(format_args!("the trial {id} is gone")))
}

/// The run of a stored trial, to be trained again.
pub(crate) fn retrained(row: &TrialRow) -> Result<Trial, Failure> {
    spec::json::trial(&row.schedule, &row.config, row.seed).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::failed(format_args!("the stored configuration can't be used: {}", all.join("; ")))
    })
}

/// Milliseconds since 1970 as UTC, as in `2026-01-31T12:00:00.000Z` (RFC 3339).
pub(crate) fn utc(milliseconds: i64) -> String {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

/// A value of the database as a cell.
pub(crate) fn cell(value: store::Value) -> Cell {
    match value {
        store::Value::Null => Cell::Null,
        store::Value::Integer(i) => Cell::Integer(i),
        store::Value::Real(x) => Cell::Real(x),
        store::Value::Text(text) => Cell::Text(text),
        store::Value::Blob(bytes) => Cell::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}
