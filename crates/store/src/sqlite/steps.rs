//! The rows of steps: by far the most that is written, so they are gathered and written many at a time.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use spec::event::{Evaluated, StepRow};
use sqlx::SqliteConnection;

use crate::error::Fault;
use crate::register::{integer, json};

/// Rows of one statement: few sizes, so that each is prepared once. What is not bound is NULL, and rows of
/// NULLs are not stored: a rest takes the smallest statement that holds it.
const SIZES: [usize; 3] = [8, 64, 512];

/// A row that is there already stays: a trial that is over may have it.
static ROWS: LazyLock<[String; 3]> = LazyLock::new(|| {
    SIZES.map(|size| {
        let values = values(5, size);
        format!("INSERT OR IGNORE INTO steps (stage_id, step, lr, train_loss, grad_norm) {values}")
    })
});

/// `+` keeps SQLite from looking through all trials of the stage instead of the one.
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

/// `VALUES (?, …), (?, …) …`.
fn values(columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    format!("VALUES {}", vec![row; rows].join(", "))
}

/// The next rows, and which statement takes them.
fn next_chunk<T>(rest: &[T]) -> (usize, &[T], &[T]) {
    let size = SIZES.iter().position(|size| *size >= rest.len()).unwrap_or(SIZES.len() - 1);
    let (chunk, after) = rest.split_at(rest.len().min(SIZES[size]));
    (size, chunk, after)
}

/// What is still to be written, by stage.
#[derive(Debug, Default)]
pub(crate) struct Pending<'a> {
    rows: BTreeMap<u64, Vec<&'a StepRow>>,
    evaluated: Vec<(u64, &'a Evaluated)>,
}

impl<'a> Pending<'a> {
    /// Takes rows; they are written by [`Pending::write`].
    pub(crate) fn add(&mut self, stage: u64, rows: &'a [StepRow], evaluated: &'a [Evaluated]) {
        self.rows.entry(stage).or_default().extend(rows);
        self.evaluated.extend(evaluated.iter().map(|seen| (stage, seen)));
    }

    /// Writes everything and is empty then.
    pub(crate) async fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        let told = std::mem::take(&mut self.rows);
        if told.is_empty() {
            return Ok(());
        }
        let stages: Vec<u64> = told.keys().copied().collect();
        let ranges = ranges(connection, &stages).await?;
        let mut rows = Vec::new();
        let mut accepted = Vec::new();
        for (stage, told) in told {
            let &(first, end) = ranges.get(&stage).ok_or(Fault::UnknownStage(stage))?;
            // What no trial has is not stored.
            let wanted = told.into_iter().filter(|row| (first..end).contains(&row.step));
            let before = rows.len();
            let number = integer(stage)?;
            rows.extend(wanted.map(|row| (number, row)));
            if let [(_, first), ..] = rows[before..]
                && let Some((_, last)) = rows.last()
            {
                accepted.push(vec![stage, first.step, last.step + 1]);
            }
        }
        write_rows(connection, &rows).await?;
        count(connection, &accepted).await?;
        write_evaluated(connection, &std::mem::take(&mut self.evaluated)).await
    }
}

/// First step of each stage that is known, and the step before which it ends for the last of its trials.
async fn ranges(
    connection: &mut SqliteConnection,
    stages: &[u64],
) -> Result<BTreeMap<u64, (u64, u64)>, Fault> {
    let sql = "
        SELECT
            stage_id, first_step,
            coalesce((SELECT max(end_step) FROM trial_stages AS g WHERE g.stage_id = s.stage_id), 0)
        FROM stages AS s WHERE stage_id IN (SELECT value FROM json_each(?))";
    let found: Vec<(u64, u64, u64)> = sqlx::query_as(sql).bind(json(stages)).fetch_all(connection).await?;
    Ok(found.into_iter().map(|(stage, first, end)| (stage, (first, end))).collect())
}

async fn write_rows(connection: &mut SqliteConnection, mut rest: &[(i64, &StepRow)]) -> Result<(), Fault> {
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

/// Takes down how many steps the trials have by now, of which these steps were told.
async fn count(connection: &mut SqliteConnection, told: &[Vec<u64>]) -> Result<(), Fault> {
    if told.is_empty() {
        return Ok(());
    }
    let sql = "
        WITH told AS MATERIALIZED (
            SELECT
                json_extract(value, '$[0]') AS stage_id, json_extract(value, '$[1]') AS first_step,
                json_extract(value, '$[2]') AS end_step
            FROM json_each(?)
        )
        UPDATE trials SET steps_done = max(steps_done, (
            SELECT max(min(told.end_step, g.end_step))
            FROM trial_stages AS g CROSS JOIN told ON told.stage_id = g.stage_id
            WHERE g.trial_id = trials.trial_id
        ))
        WHERE trial_id IN (
            SELECT g.trial_id
            FROM told CROSS JOIN trial_stages AS g
                ON g.stage_id = told.stage_id AND g.end_step > told.first_step
        )";
    sqlx::query(sql).bind(json(told)).execute(connection).await?;
    Ok(())
}

async fn write_evaluated(
    connection: &mut SqliteConnection,
    mut rest: &[(u64, &Evaluated)],
) -> Result<(), Fault> {
    while !rest.is_empty() {
        let (size, chunk, after) = next_chunk(rest);
        let mut query = sqlx::query(EVALUATED[size].as_str());
        for (stage, seen) in chunk {
            query = query
                .bind(integer(*stage)?)
                .bind(&seen.trial_id)
                .bind(integer(seen.step)?)
                .bind(seen.valid_loss);
        }
        query.execute(&mut *connection).await?;
        rest = after;
    }
    Ok(())
}
