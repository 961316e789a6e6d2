//! Reading, also while a sweep runs: a connection of its own that can't write.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use crate::connection::connect_to_read;
use crate::error::StoreError;
use crate::files;
use crate::query::{self, Table};
use crate::rows::{Environment, MetricRow, RunRow, Sharing, Status, TrialRow};
use crate::schema::{self, Schema};
use crate::status::{self, RunnerStatus, RunningTrial, SweepStatus};
use crate::sweep_runs::{self, SweepRun};

/// Trials that [`Reader::find`] gives at most: enough to show that a prefix is not unique.
const MOST_FOUND: i64 = 10;

/// Step, lr, train loss, validation loss, gradient norm.
type Stored = (u64, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

/// A sweep database, open for reading.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: SqliteConnection,
}

impl Reader {
    /// Opens `DIR/sweep.db` for reading.
    ///
    /// # Errors
    /// There is none yet, or it is not one that this version can read.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = files::database(dir);
        if !files::has_content(&path)? {
            return Err(StoreError::Missing { path });
        }
        let mut connection = connect_to_read(&path).await?;
        match schema::inspect(&mut connection, &path).await? {
            Schema::Current => Ok(Self { path, connection }),
            Schema::Empty => Err(StoreError::Missing { path }),
            Schema::Older => Err(StoreError::Older { path }),
        }
    }

    /// Names of the sweeps, the one that was run last first.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn sweeps(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT sweep FROM sweeps ORDER BY updated_at DESC, sweep";
        let names = sqlx::query_scalar(sql).fetch_all(&mut self.connection).await;
        names.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Every run that a sweep asks for, in the sweep's order; none where there is no such sweep. A trial
    /// that is asked for twice stands here twice.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn results(&mut self, sweep: &str) -> Result<Vec<RunRow>, StoreError> {
        let sql = "
            SELECT
                c.schedule, t.config_id, c.base_lr, t.steps, t.seed, c.purpose, c.trial_id, t.status,
                t.final_valid_loss, t.test_loss, t.test_accuracy, t.diverged_at
            FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
            WHERE c.sweep = ?
            ORDER BY c.position";
        let rows = sqlx::query_as(sql).bind(sweep).fetch_all(&mut self.connection).await;
        rows.map_err(|error| StoreError::at(&self.path, error))
    }

    /// A number of each run that is done, by trial: the lowest validation loss that it was seen to have.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn best_losses(&mut self, sweep: &str) -> Result<HashMap<String, f64>, StoreError> {
        let sql = "
            SELECT e.trial_id, min(e.valid_loss) FROM evaluations AS e
            WHERE e.trial_id IN (SELECT trial_id FROM cells WHERE sweep = ?) GROUP BY e.trial_id";
        let found = sqlx::query_as(sql).bind(sweep).fetch_all(&mut self.connection).await;
        let rows: Vec<(String, f64)> = found.map_err(|error| StoreError::at(&self.path, error))?;
        Ok(rows.into_iter().collect())
    }

    /// The mean training loss over the last `steps` steps of each run.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn tail_losses(&mut self, sweep: &str, steps: u32) -> Result<HashMap<String, f64>, StoreError> {
        let sql = "
            SELECT t.trial_id, avg(s.train_loss)
            FROM trials AS t
            CROSS JOIN trial_stages AS g ON g.trial_id = t.trial_id AND g.end_step > t.steps_done - ?2
            CROSS JOIN steps AS s
                ON s.stage_id = g.stage_id AND s.step >= max(g.first_step, t.steps_done - ?2) AND s.step < g.end_step
            WHERE t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = ?1)
            GROUP BY t.trial_id HAVING count(*) = count(s.train_loss)";
        let found = sqlx::query_as(sql).bind(sweep).bind(steps).fetch_all(&mut self.connection).await;
        let rows: Vec<(String, f64)> = found.map_err(|error| StoreError::at(&self.path, error))?;
        Ok(rows.into_iter().collect())
    }

    /// Every validation loss of a sweep's runs that is a number: trial, step, loss, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn validation_losses(&mut self, sweep: &str) -> Result<Vec<(String, u64, f64)>, StoreError> {
        let sql = "
            SELECT trial_id, step, valid_loss FROM evaluations
            WHERE trial_id IN (SELECT trial_id FROM cells WHERE sweep = ?) AND valid_loss IS NOT NULL
            ORDER BY trial_id, step";
        let found = sqlx::query_as(sql).bind(sweep).fetch_all(&mut self.connection).await;
        found.map_err(|error| StoreError::at(&self.path, error))
    }

    /// The sweep file, as it was run last; empty where there is no such sweep.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn file_text(&mut self, sweep: &str) -> Result<String, StoreError> {
        let sql = "SELECT file_text FROM sweeps WHERE sweep = ?";
        let found = sqlx::query_scalar(sql).bind(sweep).fetch_optional(&mut self.connection).await;
        found.map(Option::unwrap_or_default).map_err(|error| StoreError::at(&self.path, error))
    }

    /// Where the trials of a sweep were trained, and how many of them there.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn environments(&mut self, sweep: &str) -> Result<Vec<(Environment, i64)>, StoreError> {
        let sql = "
            SELECT e.*, count(*) AS trials FROM trials AS t JOIN environments AS e USING (environment_id)
            WHERE t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = ?)
            GROUP BY e.environment_id ORDER BY e.environment_id";
        let found = sqlx::query(sql).bind(sweep).fetch_all(&mut self.connection).await;
        let rows = found.and_then(|rows| {
            rows.iter().map(|row| Ok((Environment::from_row(row)?, row.try_get("trials")?))).collect()
        });
        rows.map_err(|error| StoreError::at(&self.path, error))
    }

    /// The lrs that a sweep added to its grids: schedule, steps of the runs, base lr.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn extensions(&mut self, sweep: &str) -> Result<Vec<(String, i64, f64)>, StoreError> {
        let sql = "
            SELECT schedule, steps, base_lr FROM promotions WHERE sweep = ? AND kind = 'extended' ORDER BY position";
        let found = sqlx::query_as(sql).bind(sweep).fetch_all(&mut self.connection).await;
        found.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Ids of trials that start so, at most a few. Ids are lower-case hex; nothing else finds anything.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn find(&mut self, prefix: &str) -> Result<Vec<String>, StoreError> {
        if prefix.is_empty() || !prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Vec::new());
        }
        // `g` follows every hex digit.
        let sql = "
            SELECT trial_id FROM trials WHERE trial_id >= ?1 AND trial_id < ?1 || 'g'
            ORDER BY trial_id LIMIT ?2";
        let ids = sqlx::query_scalar(sql).bind(prefix).bind(MOST_FOUND).fetch_all(&mut self.connection).await;
        ids.map_err(|error| StoreError::at(&self.path, error))
    }

    /// The best trial of a sweep: of the config that ranks first, the one with the lowest validation loss.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn best(&mut self, sweep: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT trial_id FROM best_per_schedule WHERE sweep = ? AND rank = 1";
        let id = sqlx::query_scalar(sql).bind(sweep).fetch_optional(&mut self.connection).await;
        id.map_err(|error| StoreError::at(&self.path, error))
    }

    /// All that is known of one trial, apart from its steps.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn trial(&mut self, trial_id: &str) -> Result<Option<TrialRow>, StoreError> {
        let sql = "
            SELECT * FROM trials LEFT JOIN environments USING (environment_id) WHERE trial_id = ?";
        let found = sqlx::query(sql).bind(trial_id).fetch_optional(&mut self.connection).await;
        let row = found.and_then(|row| row.map(|row| trial(&row)).transpose());
        row.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Every run of a sweep with all that is stored of it apart from its steps, in the sweep's order. A trial
    /// that one schedule asks for twice stands here once.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn runs(&mut self, sweep: &str) -> Result<Vec<SweepRun>, StoreError> {
        let rows = sqlx::query_as(sweep_runs::SQL).bind(sweep).fetch_all(&mut self.connection).await;
        rows.map_err(|error| StoreError::at(&self.path, error))
    }

    /// From here on this reader sees the database as it is now, whatever is written meanwhile.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn hold(&mut self) -> Result<(), StoreError> {
        let held = sqlx::query("BEGIN").execute(&mut self.connection).await;
        held.map(|_| ()).map_err(|error| StoreError::at(&self.path, error))
    }

    /// The steps of one trial, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn steps(&mut self, trial_id: &str) -> Result<Vec<MetricRow>, StoreError> {
        self.steps_within(trial_id, 0..u64::MAX).await
    }

    /// Some steps of one trial, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn steps_within(
        &mut self,
        trial_id: &str,
        steps: Range<u64>,
    ) -> Result<Vec<MetricRow>, StoreError> {
        let sql = "
            SELECT step, lr, train_loss, valid_loss, grad_norm FROM metrics
            WHERE trial_id = ? AND step >= ? AND step < ?
            ORDER BY step";
        let bound = |step: u64| i64::try_from(step).unwrap_or(i64::MAX);
        let query = sqlx::query_as(sql).bind(trial_id).bind(bound(steps.start)).bind(bound(steps.end));
        let found = query.fetch_all(&mut self.connection).await;
        let rows: Vec<Stored> = found.map_err(|error| StoreError::at(&self.path, error))?;
        let nan = |x: Option<f64>| x.unwrap_or(f64::NAN);
        let steps = rows.into_iter().map(|(step, lr, train_loss, valid_loss, grad_norm)| MetricRow {
            step,
            lr: nan(lr),
            train_loss: nan(train_loss),
            valid_loss,
            grad_norm: nan(grad_norm),
        });
        Ok(steps.collect())
    }

    /// How far each sweep is, the one that was run last first.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn status(&mut self) -> Result<Vec<SweepStatus>, StoreError> {
        status::sweeps(&mut self.connection).await.map_err(|error| StoreError::at(&self.path, error))
    }

    /// The processes that train for this store, and those that died while they did.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn runners(&mut self) -> Result<Vec<RunnerStatus>, StoreError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let found = status::runners(&mut self.connection, dir).await;
        found.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Trials that are begun, of one sweep or all, those first that were begun first; at most `most`.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn running(&mut self, sweep: Option<&str>, most: i64) -> Result<Vec<RunningTrial>, StoreError> {
        let found = status::running(&mut self.connection, sweep, most).await;
        found.map_err(|error| StoreError::at(&self.path, error))
    }

    /// What a sweep saved by sharing steps; `None` where there is no such sweep.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn sharing(&mut self, sweep: &str) -> Result<Option<Sharing>, StoreError> {
        let sql = "SELECT trials, steps_asked, steps_trained FROM sharing WHERE sweep = ?";
        let found = sqlx::query_as(sql).bind(sweep).fetch_optional(&mut self.connection).await;
        found.map_err(|error| StoreError::at(&self.path, error))
    }

    /// Runs one SELECT, PRAGMA or EXPLAIN.
    ///
    /// # Errors
    /// [`StoreError::Query`] where it is none of these, wrong, or would write.
    pub async fn query(&mut self, sql: &str) -> Result<Table, StoreError> {
        query::run(&mut self.connection, &self.path, sql).await
    }
}

fn trial(row: &SqliteRow) -> Result<TrialRow, sqlx::Error> {
    let status: Status = row.try_get("status")?;
    let diverged_loss: Option<f64> = row.try_get("diverged_loss")?;
    let has_environment = row.try_get::<Option<i64>, _>("environment_id")?.is_some();
    Ok(TrialRow {
        trial_id: row.try_get("trial_id")?,
        sweep: row.try_get("sweep")?,
        schedule: row.try_get("schedule")?,
        config_id: row.try_get("config_id")?,
        base_lr: row.try_get("base_lr")?,
        seed: row.try_get("seed")?,
        status,
        steps: row.try_get("steps")?,
        steps_done: row.try_get("steps_done")?,
        final_train_loss: row.try_get("final_train_loss")?,
        final_valid_loss: row.try_get("final_valid_loss")?,
        valid_accuracy: row.try_get("valid_accuracy")?,
        test_loss: row.try_get("test_loss")?,
        test_accuracy: row.try_get("test_accuracy")?,
        diverged_at: row.try_get("diverged_at")?,
        // SQLite has no NaN.
        diverged_loss: if status == Status::Diverged { diverged_loss.or(Some(f64::NAN)) } else { None },
        digest: row.try_get("digest")?,
        weights_hash: row.try_get("weights_hash")?,
        error: row.try_get("error")?,
        attempts: row.try_get("attempts")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        axes: sweep_runs::axes(row)?,
        config: sweep_runs::json(row, "config")?,
        environment: if has_environment { Some(Environment::from_row(row)?) } else { None },
    })
}
