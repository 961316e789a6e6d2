//! Reading, also while a sweep runs, on a separate connection that can't write.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use spec::origin::Origins;
use spec::protocol::{AddedBy, AddedLr, Screened};
use spec::record::{ENVIRONMENT_COLUMNS, Environment, TrialRecord};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::backend::{Conn, json, listed, on};
use crate::error::StoreError;
use crate::location::Location;
use crate::query::Table;
use crate::records::{self, Which, names, of_row};
use crate::rows::{MetricRow, Sharing};
use crate::status::{self, RunnerStatus, RunningTrial, SweepStatus};
use crate::values::{self, Wanted};
use crate::{postgres, screening, sqlite, tables};

/// Maximum number of ids that [`Reader::find`] returns: enough to show that a prefix is not unique.
const MAX_FOUND: i64 = 10;

/// Step, lr, train loss, validation loss, gradient norm.
type Stored = (i64, Option<f64>, Option<f64>, Option<f64>, Option<f64>);

/// A sweep database, open for reading.
#[derive(Debug)]
pub struct Reader(Connection);

#[derive(Debug)]
enum Connection {
    Sqlite(sqlite::ReadConnection),
    Postgres(PgConnection, PathBuf),
}

impl Reader {
    /// Opens a store for reading.
    ///
    /// # Errors
    /// The store does not exist, can't be reached, or can't be read by this version.
    pub async fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        match location.into() {
            Location::Folder(dir) => Ok(Self(Connection::Sqlite(sqlite::open_to_read(&dir).await?))),
            Location::Server(server) => {
                let (connection, name) = postgres::open_to_read(&server).await?;
                Ok(Self(Connection::Postgres(connection, name)))
            }
            Location::Unusable { text, message } => Err(StoreError::Location { text, message }),
        }
    }

    /// The name of the database in messages.
    pub(crate) fn name(&self) -> &Path {
        match &self.0 {
            Connection::Sqlite(reading) => &reading.name,
            Connection::Postgres(_, name) => name,
        }
    }

    /// Whether the database is a file and not on a server.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.0, Connection::Sqlite(_))
    }

    /// Whether it reads a copy of the database, which does not follow later writes: of an older version, or on a network file
    /// system.
    pub fn is_copy(&self) -> bool {
        matches!(&self.0, Connection::Sqlite(reading) if reading.is_copy())
    }

    pub(crate) fn conn(&mut self) -> Conn<'_> {
        match &mut self.0 {
            Connection::Sqlite(reading) => Conn::Sqlite(&mut reading.connection),
            Connection::Postgres(connection, _) => Conn::Postgres(connection),
        }
    }

    fn at(&self, error: sqlx::Error) -> StoreError {
        StoreError::at(self.name(), error)
    }

    /// Names of the sweeps, the one that was run last first.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn sweeps(&mut self) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT sweep FROM sweeps ORDER BY updated_at DESC, sweep";
        let names = on!(self.conn(), c => sqlx::query_scalar(sql).fetch_all(c).await);
        names.map_err(|error| self.at(error))
    }

    /// Every run of a sweep, in the sweep's order; empty if the sweep does not exist. A trial that is two runs
    /// appears twice.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn results(&mut self, sweep: &str) -> Result<Vec<TrialRecord>, StoreError> {
        records::read(self.conn(), Which::Cells(sweep)).await.map_err(|error| self.at(error))
    }

    /// A value of each run of a sweep that has one, by trial id.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn values(
        &mut self,
        sweep: &str,
        wanted: &Wanted<'_>,
    ) -> Result<HashMap<String, f64>, StoreError> {
        values::read(self.conn(), sweep, wanted).await.map_err(|error| self.at(error))
    }

    /// The names of the metrics that the runs of a sweep have in addition to losses, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn metric_names(&mut self, sweep: &str) -> Result<Vec<String>, StoreError> {
        let sql = "
            SELECT DISTINCT name FROM metric_values
            WHERE trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1) ORDER BY name";
        let found = on!(self.conn(), c => sqlx::query_scalar(sql).bind(sweep).fetch_all(c).await);
        found.map_err(|error| self.at(error))
    }

    /// The values of one metric of a trial that are not NaN: number of updates and value, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn measured_of(&mut self, trial_id: &str, name: &str) -> Result<Vec<(i64, f64)>, StoreError> {
        let sql = "
            SELECT step + 1, value FROM metric_values
            WHERE trial_id = $1 AND name = $2 AND value IS NOT NULL ORDER BY step";
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(trial_id).bind(name).fetch_all(c).await);
        found.map_err(|error| self.at(error))
    }

    /// The values of one trial's metrics other than losses: name, step and value (NaN if the program reported NaN), by step
    /// and name.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn measured(&mut self, trial_id: &str) -> Result<Vec<(String, i64, f64)>, StoreError> {
        let found = values::measured(self.conn(), trial_id).await;
        found.map_err(|error| self.at(error))
    }

    /// Every validation loss of a sweep's runs that is not NaN: trial, step, loss, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn validation_losses(&mut self, sweep: &str) -> Result<Vec<(String, i64, f64)>, StoreError> {
        let sql = "
            SELECT trial_id, step, valid_loss FROM evaluations
            WHERE trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1) AND valid_loss IS NOT NULL
            ORDER BY trial_id, step";
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await);
        found.map_err(|error| self.at(error))
    }

    /// The text of the sweep file that was run last; empty if the sweep does not exist.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn file_text(&mut self, sweep: &str) -> Result<String, StoreError> {
        let sql = "SELECT file_text FROM sweeps WHERE sweep = $1";
        let found: Result<Option<String>, _> =
            on!(self.conn(), c => sqlx::query_scalar(sql).bind(sweep).fetch_optional(c).await);
        found.map(Option::unwrap_or_default).map_err(|error| self.at(error))
    }

    /// The environments in which the trials of a sweep were trained, with the number of trials of each.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn environments(&mut self, sweep: &str) -> Result<Vec<(Environment, i64)>, StoreError> {
        let sql = format!(
            "SELECT {}, n.trials FROM environments AS e JOIN (
                SELECT environment_id, count(*) AS trials FROM trials
                WHERE trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1) GROUP BY environment_id
            ) AS n ON n.environment_id = e.environment_id
            ORDER BY e.environment_id",
            names(ENVIRONMENT_COLUMNS)
        );
        let read: Result<Vec<(Environment, i64)>, sqlx::Error> = on!(self.conn(), c => async {
            let rows = sqlx::query(AssertSqlSafe(sql)).bind(sweep).fetch_all(c).await?;
            rows.iter().map(|row| Ok((of_row(row, ENVIRONMENT_COLUMNS)?, row.try_get("trials")?))).collect()
        }.await);
        read.map_err(|error| self.at(error))
    }

    /// The versions of the arithmetic and the loaded files behind the results of a sweep.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn origins(&mut self, sweep: &str) -> Result<Vec<Origins>, StoreError> {
        self.origins_of("(SELECT trial_id FROM cells WHERE sweep = $1)", sweep).await
    }

    /// The same for the trials with these ids.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn origins_by_id(&mut self, ids: &[String]) -> Result<Vec<Origins>, StoreError> {
        let listed = listed(&self.conn());
        self.origins_of(listed, &json(ids)).await
    }

    async fn origins_of(&mut self, which: &str, bound: &str) -> Result<Vec<Origins>, StoreError> {
        let sql = format!(
            "SELECT bits, loaded, count(*) FROM trials WHERE status IN ('done', 'diverged') AND trial_id IN {which}
            GROUP BY bits, loaded ORDER BY bits, loaded"
        );
        let found = on!(self.conn(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(bound).fetch_all(c).await);
        let rows: Vec<(Option<i64>, Option<String>, i64)> = found.map_err(|error| self.at(error))?;
        let origins = rows.into_iter().map(|(bits, loaded, trials)| {
            let loaded = loaded.and_then(|files| serde_json::from_str(&files).ok()).unwrap_or_default();
            Origins { bits, loaded, trials }
        });
        Ok(origins.collect())
    }

    /// The ids among these whose trials are done or have diverged.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn ended_trials(&mut self, ids: &[String]) -> Result<HashSet<String>, StoreError> {
        let sql = format!(
            "SELECT trial_id FROM trials WHERE status IN ('done', 'diverged') AND trial_id IN {}",
            listed(&self.conn())
        );
        let ids = json(ids);
        let found =
            on!(self.conn(), c => sqlx::query_scalar(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await);
        let rows: Vec<String> = found.map_err(|error| self.at(error))?;
        Ok(rows.into_iter().collect())
    }

    /// Configuration, steps and wall time in milliseconds of program runs that ended in one attempt.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn program_times(&mut self) -> Result<Vec<(String, i64, i64)>, StoreError> {
        let sql = "
            SELECT config, steps, finished_at - started_at FROM trials
            WHERE status = 'done' AND attempts = 1 AND bits IS NULL AND finished_at > started_at
            ORDER BY finished_at DESC LIMIT 1000";
        let found = on!(self.conn(), c => sqlx::query_as(sql).fetch_all(c).await);
        found.map_err(|error| self.at(error))
    }

    /// The numbers of seeds at which the ranking of a sweep could be looked at before more seeds were added.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn looks(&mut self, sweep: &str) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT seeds FROM looks WHERE sweep = $1 ORDER BY seeds";
        let found = on!(self.conn(), c => sqlx::query_scalar(sql).bind(sweep).fetch_all(c).await);
        found.map_err(|error| self.at(error))
    }

    /// The lrs that a sweep added between those of its grids, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn refined(&mut self, sweep: &str) -> Result<Vec<AddedLr>, StoreError> {
        let sql = "
            SELECT schedule, steps, base_lr FROM promotions WHERE sweep = $1 AND kind = 'refined' ORDER BY position";
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await);
        let rows: Vec<(String, i64, f64)> = found.map_err(|error| self.at(error))?;
        let added = rows.into_iter().map(|(schedule, steps, base_lr)| AddedLr {
            by: AddedBy::Refine,
            schedule,
            steps: steps.unsigned_abs(),
            base_lr,
        });
        Ok(added.collect())
    }

    /// Which schedules of a sweep predictions kept and left out. `None` if that was not decided.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn screened(&mut self, sweep: &str) -> Result<Option<Screened>, StoreError> {
        screening::read(self.conn(), sweep).await.map_err(|error| self.at(error))
    }

    /// Ids of trials that start with this prefix, at most a few. Ids are lower-case hex; any other prefix matches
    /// nothing.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn find(&mut self, prefix: &str) -> Result<Vec<String>, StoreError> {
        if prefix.is_empty() || !prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Vec::new());
        }
        // `g` sorts after every hex digit.
        let sql = "
            SELECT trial_id FROM trials WHERE trial_id >= $1 AND trial_id < $1 || 'g'
            ORDER BY trial_id LIMIT $2";
        let ids =
            on!(self.conn(), c => sqlx::query_scalar(sql).bind(prefix).bind(MAX_FOUND).fetch_all(c).await);
        ids.map_err(|error| self.at(error))
    }

    /// The best trial of a sweep: the one with the lowest validation loss of the config that ranks first.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn best(&mut self, sweep: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT trial_id FROM best_per_schedule WHERE sweep = $1 AND rank = 1";
        let id = on!(self.conn(), c => sqlx::query_scalar(sql).bind(sweep).fetch_optional(c).await);
        id.map_err(|error| self.at(error))
    }

    /// Everything stored for one trial, except its steps.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn trial(&mut self, trial_id: &str) -> Result<Option<TrialRecord>, StoreError> {
        let found = records::read(self.conn(), Which::Trial(trial_id)).await;
        Ok(found.map_err(|error| self.at(error))?.pop())
    }

    /// Every run of a sweep with everything stored for it, except its steps, in the sweep's order. A trial that one
    /// schedule uses twice appears once.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn runs(&mut self, sweep: &str) -> Result<Vec<TrialRecord>, StoreError> {
        records::read(self.conn(), Which::Runs(sweep)).await.map_err(|error| self.at(error))
    }

    /// From here on this reader sees the database in its current state and ignores later writes.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn hold_snapshot(&mut self) -> Result<(), StoreError> {
        let sql = self.conn().pick("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
        let held = on!(self.conn(), c => sqlx::query(sql).execute(c).await.map(|_| ()));
        held.map_err(|error| self.at(error))
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
            WHERE trial_id = $1 AND step >= $2 AND step < $3
            ORDER BY step";
        let bound = |step: u64| i64::try_from(step).unwrap_or(i64::MAX);
        let (from, to) = (bound(steps.start), bound(steps.end));
        let found =
            on!(self.conn(), c => sqlx::query_as(sql).bind(trial_id).bind(from).bind(to).fetch_all(c).await);
        let rows: Vec<Stored> = found.map_err(|error| self.at(error))?;
        let nan = |x: Option<f64>| x.unwrap_or(f64::NAN);
        let steps = rows.into_iter().map(|(step, lr, train_loss, valid_loss, grad_norm)| MetricRow {
            step: step.unsigned_abs(),
            lr: nan(lr),
            train_loss: nan(train_loss),
            valid_loss,
            grad_norm: nan(grad_norm),
        });
        Ok(steps.collect())
    }

    /// The status of each sweep, the one that was run last first.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn status(&mut self) -> Result<Vec<SweepStatus>, StoreError> {
        status::sweeps(self.conn()).await.map_err(|error| self.at(error))
    }

    /// The processes that train for this store, and those that died without being ended.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn runners(&mut self) -> Result<Vec<RunnerStatus>, StoreError> {
        let dir = match &self.0 {
            Connection::Sqlite(reading) => Some(reading.name.parent().unwrap_or(Path::new(".")).to_owned()),
            Connection::Postgres(..) => None,
        };
        status::runners(self.conn(), dir.as_deref()).await.map_err(|error| self.at(error))
    }

    /// Trials in progress of one sweep or of all, at most `limit`, those that started first come first.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn running(
        &mut self,
        sweep: Option<&str>,
        limit: i64,
    ) -> Result<Vec<RunningTrial>, StoreError> {
        status::running(self.conn(), sweep, limit).await.map_err(|error| self.at(error))
    }

    /// How many steps a sweep saved by sharing them; `None` if the sweep does not exist.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn sharing(&mut self, sweep: &str) -> Result<Option<Sharing>, StoreError> {
        let sql = "SELECT trials, steps_asked, steps_trained FROM sharing WHERE sweep = $1";
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(sweep).fetch_optional(c).await);
        found.map_err(|error| self.at(error))
    }

    /// Whether SQLite's quick check finds no damage. Always true for a server, which checks its own files.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn is_intact(&mut self) -> Result<bool, StoreError> {
        let Connection::Sqlite(sqlite::ReadConnection { connection, .. }) = &mut self.0 else {
            return Ok(true);
        };
        let found: Result<String, _> = sqlx::query_scalar("PRAGMA quick_check").fetch_one(connection).await;
        found.map(|found| found == "ok").map_err(|error| self.at(error))
    }

    /// Runs one statement that reads: SELECT, EXPLAIN, and on SQLite PRAGMA.
    ///
    /// # Errors
    /// [`StoreError::Query`] if the statement is another kind, is wrong, or writes. If it names a column or table
    /// that does not exist, the message lists the existing ones.
    pub async fn query(&mut self, sql: &str) -> Result<Table, StoreError> {
        let answered = match &mut self.0 {
            Connection::Sqlite(reading) => sqlite::query(&mut reading.connection, &reading.name, sql).await,
            Connection::Postgres(connection, name) => postgres::query(connection, name, sql).await,
        };
        match answered {
            Err(error) => Err(tables::with_known_names(self.conn(), sql, error).await),
            answered => answered,
        }
    }
}
