//! The rows of steps: by far the most that is written, so they are gathered and written many at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use spec::event::StepRow;
use sqlx::SqliteConnection;

use crate::error::Fault;
use crate::event::is_open;
use crate::register::integer;
use crate::statement::insert;

/// A few statements of fixed sizes, largest first, so that each is prepared once and few are run: the way
/// to SQLite's thread and back costs more than a row.
static INSERTS: LazyLock<[(usize, String); 4]> =
    LazyLock::new(|| [128, 16, 4, 1].map(|rows| (rows, of(rows))));

fn of(rows: usize) -> String {
    let head = "INSERT OR REPLACE INTO metrics (trial_id, step, lr, train_loss, valid_loss, grad_norm)";
    insert(head, 6, rows, "")
}

/// Rows that are still to be written, by trial.
#[derive(Debug, Default)]
pub(crate) struct Pending<'a> {
    rows: BTreeMap<&'a str, Vec<&'a StepRow>>,
}

impl<'a> Pending<'a> {
    /// Takes rows; they are written by [`Pending::write`].
    pub(crate) fn add(&mut self, trial_id: &'a str, rows: &'a [StepRow]) {
        if !rows.is_empty() {
            self.rows.entry(trial_id).or_default().extend(rows);
        }
    }

    /// Writes all rows and is empty then.
    pub(crate) async fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        let mut accepted = Vec::new();
        for (trial_id, rows) in std::mem::take(&mut self.rows) {
            if count(connection, trial_id, &rows).await? {
                // Shared by all rows instead of copied for each.
                let trial_id: Arc<str> = trial_id.into();
                accepted.extend(rows.into_iter().map(|row| (Arc::clone(&trial_id), row)));
            }
        }
        write(connection, &accepted).await
    }
}

/// Raises the number of a trial's steps. Whether its rows are wanted: not, where it is over.
async fn count(connection: &mut SqliteConnection, trial_id: &str, rows: &[&StepRow]) -> Result<bool, Fault> {
    let end = integer(rows.iter().map(|row| row.step).max().map_or(0, |last| last.saturating_add(1)))?;
    let sql = "
        UPDATE trials SET steps_done = max(steps_done, ?2)
        WHERE trial_id = ?1 AND status NOT IN ('done', 'diverged')";
    let updated = sqlx::query(sql).bind(trial_id).bind(end).execute(&mut *connection).await?;
    is_open(connection, trial_id, updated).await
}

async fn write(connection: &mut SqliteConnection, rows: &[(Arc<str>, &StepRow)]) -> Result<(), Fault> {
    let mut rest = rows;
    for (size, sql) in INSERTS.iter() {
        while let Some((chunk, after)) = rest.split_at_checked(*size) {
            let mut query = sqlx::query(sql.as_str());
            for (trial_id, row) in chunk {
                query = query
                    .bind(Arc::clone(trial_id))
                    .bind(integer(row.step)?)
                    .bind(row.lr)
                    .bind(row.train_loss)
                    .bind(row.valid_loss)
                    .bind(row.grad_norm);
            }
            query.execute(&mut *connection).await?;
            rest = after;
        }
    }
    Ok(())
}
