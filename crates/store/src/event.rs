//! What training told, into the database. A trial that is done or has diverged stays as it is, whatever
//! comes after.

use spec::event::{Event, Outcome};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteQueryResult;

use crate::error::Fault;
use crate::metrics::Pending;
use crate::register::integer;

/// Writes a batch, within a transaction of the caller's. Gives the checkpoint files that are not needed
/// any more.
pub(crate) async fn write(
    connection: &mut SqliteConnection,
    batch: &[Event],
    environment: i64,
) -> Result<Vec<String>, Fault> {
    let mut superseded = Vec::new();
    let mut pending = Pending::default();
    for event in batch {
        match event {
            Event::Steps { trial_id, rows } => pending.add(trial_id, rows),
            Event::Started { trial_id, step, at } => {
                pending.write(connection).await?;
                started(connection, trial_id, integer(*step)?, *at, environment).await?;
            }
            Event::Checkpoint { trial_id, step, file, at } => {
                pending.write(connection).await?;
                checkpoint(connection, trial_id, integer(*step)?, file, *at, &mut superseded).await?;
            }
            Event::Ended { trial_id, outcome, at } => {
                pending.write(connection).await?;
                ended(connection, trial_id, outcome, *at, &mut superseded).await?;
            }
        }
    }
    pending.write(connection).await?;
    Ok(superseded)
}

async fn started(
    connection: &mut SqliteConnection,
    trial_id: &str,
    step: i64,
    at: i64,
    environment: i64,
) -> Result<(), Fault> {
    let sql = "
        UPDATE trials SET
            status = 'running', attempts = attempts + 1, environment_id = ?2,
            started_at = coalesce(started_at, ?3), finished_at = NULL, error = NULL, steps_done = ?4
        WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')";
    let query = sqlx::query(sql).bind(trial_id).bind(environment).bind(at).bind(step);
    let updated = query.execute(&mut *connection).await?;
    if is_open(connection, trial_id, updated).await? {
        let sql = "DELETE FROM metrics WHERE trial_id = ? AND step >= ?";
        sqlx::query(sql).bind(trial_id).bind(step).execute(connection).await?;
    }
    Ok(())
}

async fn checkpoint(
    connection: &mut SqliteConnection,
    trial_id: &str,
    step: i64,
    file: &str,
    at: i64,
    superseded: &mut Vec<String>,
) -> Result<(), Fault> {
    let sql = "SELECT file FROM checkpoints WHERE trial_id = ?";
    let older: Option<String> =
        sqlx::query_scalar(sql).bind(trial_id).fetch_optional(&mut *connection).await?;
    let sql = "
        INSERT INTO checkpoints (trial_id, step, file, created_at)
        SELECT trial_id, ?2, ?3, ?4 FROM trials WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')
        ON CONFLICT (trial_id) DO UPDATE SET
            step = excluded.step, file = excluded.file, created_at = excluded.created_at";
    let query = sqlx::query(sql).bind(trial_id).bind(step).bind(file).bind(at);
    let inserted = query.execute(&mut *connection).await?;
    if is_open(connection, trial_id, inserted).await? {
        superseded.extend(older.filter(|older| older != file));
        // The same name may have been used by an attempt before.
        superseded.retain(|name| name != file);
    } else {
        superseded.push(file.to_owned());
    }
    Ok(())
}

async fn ended(
    connection: &mut SqliteConnection,
    trial_id: &str,
    outcome: &Outcome,
    at: i64,
    superseded: &mut Vec<String>,
) -> Result<(), Fault> {
    let query = match outcome {
        Outcome::Done(results) => sqlx::query(
            "UPDATE trials SET
                status = 'done', finished_at = ?2, steps_done = steps, final_train_loss = ?3,
                final_valid_loss = ?4, valid_accuracy = ?5, test_loss = ?6, test_accuracy = ?7, digest = ?8,
                weights_hash = ?9
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(at)
        .bind(results.train_loss)
        .bind(results.valid_loss)
        .bind(results.valid_accuracy)
        .bind(results.test_loss)
        .bind(results.test_accuracy)
        .bind(&results.digest)
        .bind(&results.weights_hash),
        Outcome::Diverged { at: step, loss, digest } => sqlx::query(
            "UPDATE trials SET
                status = 'diverged', finished_at = ?2, diverged_at = ?3, diverged_loss = ?4, digest = ?5
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(at)
        .bind(integer(*step)?)
        .bind(*loss)
        .bind(digest),
        Outcome::Failed { reason } => sqlx::query(
            "UPDATE trials SET status = 'failed', finished_at = ?2, error = ?3
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(at)
        .bind(reason),
        Outcome::Stopped { steps } => sqlx::query(
            "UPDATE trials SET status = 'stopped', steps_done = ?2
            WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(integer(*steps)?),
    };
    let updated = query.execute(&mut *connection).await?;
    let open = is_open(connection, trial_id, updated).await?;
    if open && matches!(outcome, Outcome::Done(_) | Outcome::Diverged { .. }) {
        let sql = "DELETE FROM checkpoints WHERE trial_id = ? RETURNING file";
        let files: Vec<String> = sqlx::query_scalar(sql).bind(trial_id).fetch_all(connection).await?;
        superseded.extend(files);
    }
    Ok(())
}

/// Whether a change reached the trial; not, where that is over already.
///
/// # Errors
/// There is no such trial.
pub(crate) async fn is_open(
    connection: &mut SqliteConnection,
    trial_id: &str,
    change: SqliteQueryResult,
) -> Result<bool, Fault> {
    if change.rows_affected() > 0 {
        return Ok(true);
    }
    let sql = "SELECT count(*) FROM trials WHERE trial_id = ?";
    let known: i64 = sqlx::query_scalar(sql).bind(trial_id).fetch_one(connection).await?;
    if known == 0 { Err(Fault::UnknownTrial(trial_id.to_owned())) } else { Ok(false) }
}
