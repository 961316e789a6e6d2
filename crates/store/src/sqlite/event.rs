//! What training told, into the database. A trial that is done or has diverged stays as it is, whatever
//! comes after. Each event is one call of SQLite, of several statements where need be: the way to its
//! thread and back costs more than they do.

use spec::event::{Event, Outcome};
use sqlx::SqliteConnection;

use crate::backend::Conn;
use crate::error::Fault;
use crate::event::By;
use crate::register::{integer, json};
use crate::sqlite::stage;
use crate::sqlite::steps::Pending;

/// Writes a batch, within a transaction of the caller's. Gives the checkpoint files that are not needed
/// any more.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    batch: &[Event],
    environment: i64,
    host: &str,
) -> Result<Vec<String>, Fault> {
    check(connection, batch).await?;
    let mut given_up = Vec::new();
    let mut pending = Pending::default();
    for event in batch {
        if let Event::Steps { stage, rows, evaluated } = event {
            pending.add(*stage, rows, evaluated);
            continue;
        }
        pending.write(connection).await?;
        match event {
            Event::Started { trial_ids, step, bits, at } => {
                let by = By { bits: *bits, environment, host };
                stage::started(connection, trial_ids, *step, *at, by).await?;
            }
            Event::Stage { stage, first, trial_ids } => {
                stage::begun(connection, *stage, *first, trial_ids).await?;
            }
            Event::Checkpoint { trial_ids, step, file, at } => {
                given_up.extend(checkpoint(connection, trial_ids, *step, file, *at).await?);
                // Of no use where all its trials are over.
                given_up.push(file.clone());
            }
            Event::Loaded { trial_id, files } => {
                crate::event::loaded(Conn::Sqlite(connection), trial_id, files).await?
            }
            Event::Ended { trial_id, outcome, at } => {
                given_up.extend(ended(connection, trial_id, outcome, *at).await?);
            }
            Event::Steps { .. } => {}
        }
    }
    pending.write(connection).await?;
    superseded(connection, given_up).await
}

/// Sees to it that all trials of a batch are known.
async fn check(connection: &mut SqliteConnection, batch: &[Event]) -> Result<(), Fault> {
    let ids = crate::event::trials(batch);
    if ids.is_empty() {
        return Ok(());
    }
    let sql = "
        SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM trials WHERE trial_id = value) LIMIT 1";
    let unknown: Option<String> = sqlx::query_scalar(sql).bind(json(&ids)).fetch_optional(connection).await?;
    unknown.map_or(Ok(()), |trial_id| Err(Fault::UnknownTrial(trial_id)))
}

/// Gives the files from which the trials would have gone on before.
async fn checkpoint(
    connection: &mut SqliteConnection,
    trial_ids: &[String],
    step: u64,
    file: &str,
    at: i64,
) -> Result<Vec<String>, Fault> {
    let sql = "
        DELETE FROM checkpoints WHERE trial_id IN (SELECT value FROM json_each(?1)) RETURNING file;
        INSERT INTO checkpoints (trial_id, step, file, created_at)
        SELECT trial_id, ?2, ?3, ?4 FROM trials
        WHERE trial_id IN (SELECT value FROM json_each(?1)) AND status NOT IN ('done', 'diverged')";
    let query = sqlx::query_scalar(sql).bind(json(trial_ids)).bind(integer(step)?).bind(file).bind(at);
    Ok(query.fetch_all(connection).await?)
}

/// What follows every end: the trial takes no part in what its stage is told from now on, and where it is
/// over it needs no checkpoint.
macro_rules! after_end {
    () => {
        "DELETE FROM trial_stages WHERE trial_id = ?1
            AND first_step >= (SELECT steps_done FROM trials WHERE trial_id = ?1);
        UPDATE trial_stages SET end_step = t.steps_done FROM trials AS t
        WHERE t.trial_id = ?1 AND trial_stages.trial_id = ?1 AND end_step > t.steps_done;
        DELETE FROM leases WHERE trial_id = ?1 AND EXISTS (
            SELECT 1 FROM trials WHERE trial_id = ?1 AND status IN ('done', 'diverged')
        );
        DELETE FROM checkpoints WHERE trial_id = ?1 AND EXISTS (
            SELECT 1 FROM trials WHERE trial_id = ?1 AND status IN ('done', 'diverged')
        ) RETURNING file"
    };
}

/// Gives the file from which the trial would have gone on.
async fn ended(
    connection: &mut SqliteConnection,
    trial_id: &str,
    outcome: &Outcome,
    at: i64,
) -> Result<Vec<String>, Fault> {
    let query = match outcome {
        Outcome::Done(results) => sqlx::query_scalar(concat!(
            "UPDATE trials SET
                status = 'done', finished_at = ?2, steps_done = steps, final_train_loss = ?3,
                final_valid_loss = ?4, valid_accuracy = ?5, test_loss = ?6, test_accuracy = ?7, digest = ?8,
                weights_hash = ?9
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged');",
            after_end!(),
        ))
        .bind(trial_id)
        .bind(at)
        .bind(results.train_loss)
        .bind(results.valid_loss)
        .bind(results.valid_accuracy)
        .bind(results.test_loss)
        .bind(results.test_accuracy)
        .bind(&results.digest)
        .bind(&results.weights_hash),
        // Trials that share its steps may have gone further by now.
        Outcome::Diverged { at: step, loss, digest } => sqlx::query_scalar(concat!(
            "UPDATE trials SET
                status = 'diverged', finished_at = ?2, diverged_at = ?3, diverged_loss = ?4, digest = ?5,
                steps_done = min(steps_done, ?3 + 1)
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged');",
            after_end!(),
        ))
        .bind(trial_id)
        .bind(at)
        .bind(integer(*step)?)
        .bind(*loss)
        .bind(digest),
        Outcome::Failed { .. } | Outcome::GivenUp { .. } => sqlx::query_scalar(concat!(
            "UPDATE trials SET status = 'failed', finished_at = ?2, error = ?3
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged');",
            after_end!(),
        ))
        .bind(trial_id)
        .bind(at)
        .bind(outcome.error()),
        Outcome::Stopped { steps } => sqlx::query_scalar(concat!(
            "UPDATE trials SET status = 'stopped', steps_done = ?2
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged');",
            after_end!(),
        ))
        .bind(trial_id)
        .bind(integer(*steps)?),
    };
    Ok(query.fetch_all(connection).await?)
}

/// Of files that trials gave up those from which no other goes on, each once.
async fn superseded(connection: &mut SqliteConnection, given_up: Vec<String>) -> Result<Vec<String>, Fault> {
    if given_up.is_empty() {
        return Ok(given_up);
    }
    let sql = "
        SELECT value FROM json_each(?)
        WHERE NOT EXISTS (SELECT 1 FROM checkpoints WHERE file = value)
        GROUP BY value ORDER BY min(key)";
    Ok(sqlx::query_scalar(sql).bind(json(&given_up)).fetch_all(connection).await?)
}
