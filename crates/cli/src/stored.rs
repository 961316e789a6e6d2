//! What the verbs that read the database share: opening it, naming a sweep or a trial, and its results.

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use report::Cell;
use schedule::problem::{listed, nearest};
use spec::trial::Trial;
use store::{Reader, Status, StoreError, TrialRecord};
use verdict::budgets::over_budgets;
use verdict::ranking::Options;
use verdict::results::{RunResult, RunState, budgets};
use verdict::score::{Direction, Score};
use verdict::warnings::{History, Warning, warnings};
use verdict::{Ranking, rank};

use crate::args::{Global, Metric, RankBy, Which};
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
pub(crate) async fn sweep(
    reader: &mut Reader,
    word: Option<&str>,
    global: &Global,
) -> Result<String, Failure> {
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
        let (_, plan) = crate::input::known_sweep_file(path, global)?;
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

/// A sweep's results, ranked.
pub(crate) struct Ranked {
    pub results: Vec<RunResult>,
    pub rows: Vec<TrialRecord>,
    pub ranking: Ranking,
    pub warnings: Vec<Warning>,
    /// What several budgets say together.
    pub over_budgets: Option<String>,
}

/// The ranking of a sweep.
pub(crate) async fn ranked(reader: &mut Reader, sweep: &str, how: &RankBy) -> Result<Ranked, Failure> {
    let rows = reader.results(sweep).await?;
    let seen = match how.metric {
        Metric::Best => reader.best_losses(sweep).await?,
        Metric::Tail(steps) => reader.tail_losses(sweep, steps).await?,
        Metric::Final | Metric::TestLoss | Metric::Accuracy => HashMap::new(),
    };
    let results: Vec<RunResult> = rows.iter().map(|row| result(row, how.metric, &seen)).collect();
    let done = || rows.iter().zip(&results).filter(|(row, _)| row.status == Status::Done);
    if !matches!(how.metric, Metric::Final) && done().next().is_some() {
        let title = how.metric.described().title;
        if done().all(|(_, result)| result.score.is_none()) {
            return Err(Failure::usage(format_args!(
                "the runs of `{sweep}` have no {title}: rank them by another metric"
            )));
        }
    }
    let known = budgets(&results);
    if let Some(budget) = how.budget
        && !known.contains(&budget)
        && !known.is_empty()
    {
        let known: Vec<String> = known.iter().map(i64::to_string).collect();
        return Err(Failure::usage(format_args!(
            "no run of `{sweep}` has {budget} steps (its budgets: {})",
            known.join(", ")
        )));
    }
    let options = Options { metric: how.metric.described(), budget: how.budget, rope: how.rope };
    let ranking = rank(&results, &options);
    let history = History { origins: reader.origins(sweep).await?, looks: reader.looks(sweep).await? };
    let warnings = warnings(&ranking, &results, &options, &history);
    let over_budgets = over_budgets(&ranking, &results, &options);
    Ok(Ranked { results, rows, ranking, warnings, over_budgets })
}

/// The sweep that is meant, and its ranking.
pub(crate) fn ranked_sweep(
    global: &Global,
    word: Option<&str>,
    how: &RankBy,
) -> Result<(String, Ranked), Failure> {
    wait_for(async {
        let mut reader = open(global).await?;
        let name = sweep(&mut reader, word, global).await?;
        let ranked = ranked(&mut reader, &name, how).await?;
        Ok((name, ranked))
    })
}

impl Metric {
    fn direction(self) -> Direction {
        match self {
            Metric::Accuracy => Direction::HigherIsBetter,
            Metric::Final | Metric::Best | Metric::Tail(_) | Metric::TestLoss => Direction::LowerIsBetter,
        }
    }

    /// As the report has it.
    fn described(self) -> verdict::ranking::Metric {
        let title = match self {
            Metric::Final => "valid loss".to_owned(),
            Metric::Best => "best valid loss".to_owned(),
            Metric::Tail(steps) => format!("train loss, last {steps}"),
            Metric::TestLoss => "test loss".to_owned(),
            Metric::Accuracy => "test accuracy".to_owned(),
        };
        verdict::ranking::Metric { name: self.to_string(), title, direction: self.direction() }
    }
}

/// What a run is chosen and judged by. What was seen on test images only judges.
pub(crate) fn result(row: &TrialRecord, metric: Metric, seen: &HashMap<String, f64>) -> RunResult {
    let chosen = match metric {
        Metric::Best | Metric::Tail(_) => seen.get(&row.trial_id).copied(),
        Metric::Final | Metric::TestLoss | Metric::Accuracy => row.final_valid_loss,
    };
    let state = match (row.status, chosen) {
        (Status::Done, Some(loss)) if loss.is_finite() && row.final_valid_loss.is_some() => {
            RunState::Done(loss)
        }
        // A program need not report the losses of its last steps.
        (Status::Done, None) if matches!(metric, Metric::Tail(_)) => RunState::Missing,
        (Status::Diverged | Status::Done, _) => RunState::Diverged,
        (Status::Failed, _) => RunState::Failed,
        _ => RunState::Missing,
    };
    let judged = match metric {
        Metric::TestLoss => row.test_loss,
        Metric::Accuracy => row.test_accuracy,
        Metric::Final | Metric::Best | Metric::Tail(_) => chosen,
    };
    let direction = metric.direction();
    let score = match state {
        RunState::Diverged => Some(Score::worst(direction)),
        _ => judged.map(|value| Score { value, direction }),
    };
    RunResult {
        schedule: row.schedule.clone(),
        config_id: row.config_id.clone(),
        base_lr: row.base_lr,
        axes: row.axes.plain().map(|(path, value)| (path.to_owned(), value)).collect(),
        steps: row.steps,
        seed: row.seed,
        purpose: row.purpose,
        state,
        score,
        test_loss: row.test_loss,
        test_accuracy: row.test_accuracy,
        hardware: row.hardware(),
    }
}

/// The trial that is meant by the start of its id, or by `best`.
pub(crate) async fn trial(
    reader: &mut Reader,
    which: &Which,
    global: &Global,
) -> Result<TrialRecord, Failure> {
    let id = if which.trial == "best" {
        let sweep = sweep(reader, which.sweep.as_deref(), global).await?;
        match reader.best(&sweep).await? {
            Some(best) => best,
            None => return Err(no_best(&sweep, &reader.results(&sweep).await?)),
        }
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

/// Why a sweep has no best trial.
fn no_best(sweep: &str, rows: &[TrialRecord]) -> Failure {
    let trials: HashMap<&str, Status> = rows.iter().map(|row| (row.trial_id.as_str(), row.status)).collect();
    let count = |wanted: &[Status]| trials.values().filter(|status| wanted.contains(status)).count();
    let each = [
        (count(&[Status::Diverged]), "diverged"),
        (count(&[Status::Failed]), "failed (`sweep show TRIAL` says why)"),
        (count(&[Status::Queued, Status::Running, Status::Stopped]), "not trained to the end yet"),
    ];
    let each: Vec<String> =
        each.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    Failure::usage(format_args!("no trial of the sweep `{sweep}` has a result: {}", each.join(", ")))
}

/// A trial in a few words.
pub(crate) fn title(row: &TrialRecord) -> String {
    let lr = report::lr(row.base_lr);
    format!("trial {}, {} at lr {lr}, seed {}, {} steps", row.trial_id, row.schedule, row.seed, row.steps)
}

/// The run of a stored trial, to be trained again.
pub(crate) fn retrained(row: &TrialRecord, global: &Global) -> Result<Trial, Failure> {
    let again = row.trial();
    let mut again = again.map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::failed(format_args!("the stored configuration can't be used: {}", all.join("; ")))
    })?;
    // The weights of a trial are kept beside the store, which may stand elsewhere by now.
    if let Some(init) = Arc::make_mut(&mut again.config).task.init_from_mut()
        && let Some(id) = &init.trial
    {
        init.file = crate::weights::kept_file(id, global).display().to_string();
    }
    Ok(again)
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
