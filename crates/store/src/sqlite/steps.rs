//! The rows of steps, written many at a time.

use std::sync::LazyLock;

use spec::event::{Evaluated, Measured, StepRow};
use sqlx::SqliteConnection;

use crate::backend::{Reported, json};
use crate::error::Fault;
use crate::register::integer;

/// Numbers of rows in one statement. There are few sizes, so that each statement is prepared once. Unbound values are
/// NULL, and rows of NULLs are not stored, so a remainder uses the smallest statement that holds it.
const SIZES: [usize; 3] = [8, 64, 512];

/// An existing row is kept, as a trial that has ended may share it.
static ROWS: LazyLock<[String; 3]> = LazyLock::new(|| {
    SIZES.map(|size| {
        let values = values(5, size);
        format!("INSERT OR IGNORE INTO steps (stage_id, step, lr, train_loss, grad_norm) {values}")
    })
});

/// `+` keeps SQLite from scanning all trials of the stage instead of looking up the one.
static EVALUATED: LazyLock<[String; 3]> = LazyLock::new(|| {
    SIZES.map(|size| {
        let values = values(4, size);
        format!(
            "WITH seen (stage_id, trial_id, step, valid_loss) AS ({values})
            INSERT OR REPLACE INTO evaluations (trial_id, step, valid_loss)
            SELECT seen.trial_id, seen.step, seen.valid_loss
            FROM seen
            CROSS JOIN trials AS t ON t.trial_id = seen.trial_id AND t.status NOT IN ('done', 'diverged')
            CROSS JOIN trial_stages AS g
                ON g.trial_id = seen.trial_id AND g.first_step <= seen.step AND +g.end_step > seen.step
                AND +g.stage_id = seen.stage_id"
        )
    })
});

static MEASURED: LazyLock<[String; 3]> = LazyLock::new(|| {
    SIZES.map(|size| {
        let values = values(5, size);
        format!(
            "WITH seen (stage_id, trial_id, step, name, value) AS ({values})
            INSERT OR REPLACE INTO metric_values (trial_id, name, step, value)
            SELECT seen.trial_id, seen.name, seen.step, seen.value
            FROM seen
            CROSS JOIN trials AS t ON t.trial_id = seen.trial_id AND t.status NOT IN ('done', 'diverged')
            CROSS JOIN trial_stages AS g
                ON g.trial_id = seen.trial_id AND g.first_step <= seen.step AND +g.end_step > seen.step
                AND +g.stage_id = seen.stage_id"
        )
    })
});

/// `VALUES (?, …), (?, …) …`.
fn values(columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("VALUES {}", vec![row; rows].join(", "))
}

/// The index of the next statement, its rows, and the remaining rows.
fn next_chunk<T>(rest: &[T]) -> (usize, &[T], &[T]) {
    let size = SIZES.iter().position(|size| *size >= rest.len()).unwrap_or(SIZES.len() - 1);
    let (chunk, after) = rest.split_at(rest.len().min(SIZES[size]));
    (size, chunk, after)
}

pub(crate) async fn write(
    connection: &mut SqliteConnection,
    mut rest: &[(i64, &StepRow)],
) -> Result<(), Fault> {
    while !rest.is_empty() {
        let (size, chunk, after) = next_chunk(rest);
        let mut query = sqlx::query(ROWS[size].as_str());
        for (stage, row) in chunk {
            query = query
                .bind(*stage)
                .bind(integer(row.step)?)
                .bind(row.lr)
                .bind(row.train_loss)
                .bind(row.grad_norm);
        }
        query.execute(&mut *connection).await?;
        rest = after;
    }
    Ok(())
}

pub(crate) async fn count(connection: &mut SqliteConnection, reported: &[Reported]) -> Result<(), Fault> {
    let sql = "
        WITH reported AS MATERIALIZED (
            SELECT
                json_extract(value, '$[0]') AS stage_id, json_extract(value, '$[1]') AS first_step,
                json_extract(value, '$[2]') AS end_step
            FROM json_each(?)
        )
        UPDATE trials SET steps_done = max(steps_done, (
            SELECT max(min(reported.end_step, g.end_step))
            FROM trial_stages AS g CROSS JOIN reported ON reported.stage_id = g.stage_id
            WHERE g.trial_id = trials.trial_id
        ))
        WHERE trial_id IN (
            SELECT g.trial_id
            FROM reported CROSS JOIN trial_stages AS g
                ON g.stage_id = reported.stage_id AND g.end_step > reported.first_step
        )";
    let reported: Vec<Vec<i64>> =
        reported.iter().map(|steps| vec![steps.stage, steps.first, steps.end]).collect();
    sqlx::query(sql).bind(json(&reported)).execute(connection).await?;
    Ok(())
}

pub(crate) async fn write_evaluations(
    connection: &mut SqliteConnection,
    mut rest: &[(i64, &Evaluated)],
) -> Result<(), Fault> {
    while !rest.is_empty() {
        let (size, chunk, after) = next_chunk(rest);
        let mut query = sqlx::query(EVALUATED[size].as_str());
        for (stage, seen) in chunk {
            query = query.bind(*stage).bind(&seen.trial_id).bind(integer(seen.step)?).bind(seen.valid_loss);
        }
        query.execute(&mut *connection).await?;
        rest = after;
    }
    Ok(())
}

pub(crate) async fn write_measured(
    connection: &mut SqliteConnection,
    mut rest: &[(i64, &Measured)],
) -> Result<(), Fault> {
    while !rest.is_empty() {
        let (size, chunk, after) = next_chunk(rest);
        let mut query = sqlx::query(MEASURED[size].as_str());
        for (stage, seen) in chunk {
            query = query
                .bind(*stage)
                .bind(&seen.trial_id)
                .bind(integer(seen.step)?)
                .bind(&seen.name)
                .bind(Some(seen.value).filter(|value| !value.is_nan()));
        }
        query.execute(&mut *connection).await?;
        rest = after;
    }
    Ok(())
}
