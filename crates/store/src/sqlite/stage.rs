//! Which steps are whose: trials take stages up and are cut off them. What a cut leaves over (steps that
//! are no trial's any more, evaluations after it) is deleted by the triggers of the database.

use sqlx::SqliteConnection;

use crate::error::Fault;
use crate::event::By;
use crate::register::{integer, json};

/// Of the trials in ?1 those that are not over.
macro_rules! open {
    () => {
        "(SELECT trial_id FROM trials
        WHERE trial_id IN (SELECT value FROM json_each(?1)) AND status NOT IN ('done', 'diverged'))"
    };
}

/// Statements by which the open trials in ?1 lose what they have from step ?2 on.
macro_rules! cut {
    () => {
        concat!(
            "DELETE FROM trial_stages WHERE trial_id IN ",
            open!(),
            " AND first_step >= ?2;
            UPDATE trial_stages SET end_step = ?2 WHERE trial_id IN ",
            open!(),
            " AND end_step > ?2;
            UPDATE trials SET steps_done = ?2 WHERE trial_id IN ",
            open!(),
            " AND steps_done > ?2;"
        )
    };
}

/// A worker took trials up: what they have from `step` on is void.
pub(crate) async fn started(
    connection: &mut SqliteConnection,
    trial_ids: &[String],
    step: u64,
    at: i64,
    by: By<'_>,
) -> Result<(), Fault> {
    let sql = concat!(
        cut!(),
        "UPDATE trials SET
            status = 'running', attempts = attempts + 1, environment_id = ?4, host = ?5, bits = ?6,
            loaded = CASE WHEN ?2 = 0 THEN NULL ELSE loaded END, started_at = coalesce(started_at, ?3), finished_at = NULL, error = NULL, steps_done = ?2
        WHERE trial_id IN ",
        open!(),
    );
    let query = sqlx::query(sql).bind(json(trial_ids)).bind(integer(step)?).bind(at);
    let query = query.bind(by.environment).bind(by.host).bind(by.bits.map(i64::from));
    query.execute(connection).await?;
    Ok(())
}

/// From step `first` on the steps of a new stage are those of these trials.
pub(crate) async fn begun(
    connection: &mut SqliteConnection,
    stage: u64,
    first: u64,
    trial_ids: &[String],
) -> Result<(), Fault> {
    let sql = concat!(
        cut!(),
        "INSERT INTO stages (stage_id, first_step) VALUES (?3, ?2);
        INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)
        SELECT trial_id, ?2, steps, ?3 FROM trials WHERE steps > ?2 AND trial_id IN ",
        open!(),
    );
    let query = sqlx::query(sql).bind(json(trial_ids)).bind(integer(first)?).bind(integer(stage)?);
    query.execute(connection).await?;
    Ok(())
}
