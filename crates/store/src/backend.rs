//! One trait for everything that SQLite and PostgreSQL do differently. All other files of this crate contain
//! statements that both understand, which are run [`on!`] a [`Conn`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use spec::event::{Evaluated, Measured, StepRow};
use spec::record::Value;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{PgConnection, SqlSafeStr, SqliteConnection};

use crate::error::{Fault, StoreError};

/// A connection to either database.
pub(crate) enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Conn<'_> {
    /// The same connection, borrowed for one of several statements.
    pub(crate) fn reborrow(&mut self) -> Conn<'_> {
        match self {
            Conn::Sqlite(connection) => Conn::Sqlite(connection),
            Conn::Postgres(connection) => Conn::Postgres(connection),
        }
    }

    /// The SQL text for this database.
    pub(crate) fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Conn::Sqlite(_) => sqlite,
            Conn::Postgres(_) => postgres,
        }
    }
}

/// Runs the same code on either connection. Statements name their parameters `$1`, `$2`, which both databases accept.
macro_rules! on {
    ($conn:expr, $connection:ident => $body:expr) => {
        match $conn {
            $crate::backend::Conn::Sqlite($connection) => $body,
            $crate::backend::Conn::Postgres($connection) => $body,
        }
    };
}
pub(crate) use on;

/// Reads a struct from the columns of a row that have its fields' names, from either database. sqlx derives this too, but its
/// derive macro builds every database driver a second time, for the compiler's host.
macro_rules! from_row {
    ($name:ident { $($field:ident),* $(,)? }) => {
        $crate::backend::from_row!(@ sqlx::sqlite::SqliteRow, $name { $($field),* });
        $crate::backend::from_row!(@ sqlx::postgres::PgRow, $name { $($field),* });
    };
    (@ $row:ty, $name:ident { $($field:ident),* }) => {
        impl sqlx::FromRow<'_, $row> for $name {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                Ok(Self { $($field: sqlx::Row::try_get(row, stringify!($field))?),* })
            }
        }
    };
}
pub(crate) use from_row;

/// A migration whose SQL is compiled into the program. Migrations are forward-only.
pub(crate) fn migration(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

/// A PostgreSQL server's clock, as SQL: milliseconds since 1970.
macro_rules! server_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
pub(crate) use server_now;

/// Values as one JSON list, so that one statement handles all of them.
pub(crate) fn json<T: Clone + Into<serde_json::Value>>(values: &[T]) -> Arc<str> {
    serde_json::Value::from(values).to_string().into()
}

/// A subquery for the strings in the JSON list `$1`.
pub(crate) fn listed(conn: &Conn<'_>) -> &'static str {
    conn.pick("(SELECT value FROM json_each($1))", "(SELECT json_array_elements_text($1::json))")
}

/// Which trials to claim.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClaimRequest<'a> {
    pub(crate) sweep: &'a str,
    /// The runner that claims.
    pub(crate) runner: i64,
    /// Whether to include failed trials.
    pub(crate) with_failed: bool,
    /// Maximum number of stage groups; `None` for all.
    pub(crate) max_groups: Option<i64>,
}

/// A database that is open for writing.
#[async_trait(?Send)]
pub(crate) trait Backend: std::fmt::Debug + Events {
    /// The name of the database in messages.
    fn name(&self) -> &Path;

    /// Whether the database is on a server. Transactions are expensive there.
    fn is_remote(&self) -> bool;

    /// Sets the flag that shortens the wait for a server that does not answer.
    fn set_stop_flag(&mut self, stop: Arc<AtomicBool>);

    fn conn(&mut self) -> Conn<'_>;

    async fn begin(&mut self) -> Result<(), Fault>;

    async fn commit(&mut self) -> Result<(), Fault>;

    async fn roll_back(&mut self);

    /// Whether a transaction that failed with this fault can be retried. Waits until it can.
    async fn recover(&mut self, fault: &Fault) -> Result<bool, StoreError>;

    /// Marks a runner as alive by means other than its beat, if the database has any.
    fn mark_alive(&mut self, runner: i64) -> Result<(), StoreError>;

    /// Removes the files of a runner that has ended.
    fn remove_traces(&mut self, runner: i64);

    /// The other runners that have died. None of them can write before the transaction ends.
    async fn dead_runners(&mut self, me: i64, host: &str) -> Result<Vec<i64>, Fault>;

    /// Prevents other runners from registering until the transaction ends.
    async fn lock_register(&mut self) -> Result<(), Fault>;

    /// Prevents other runners from claiming trials until the transaction ends.
    async fn lock_claims(&mut self) -> Result<(), Fault>;

    /// Called after many rows were registered: updates the statistics of the query planner where needed.
    async fn after_register(&mut self);

    /// Stage groups with an unfinished, unclaimed trial, in the order of training. No other claim gets them before
    /// the transaction ends.
    async fn free_groups(&mut self, request: ClaimRequest<'_>) -> Result<Vec<i64>, Fault>;

    /// Returns unused space to the operating system, as far as that does not disturb `others`. Returns the number of
    /// removed files and of freed bytes.
    async fn compact(&mut self, me: i64, others: &[i64]) -> Result<(usize, u64), StoreError>;

    async fn close(self: Box<Self>) -> Result<(), StoreError>;
}

/// A worker starts or resumes trials.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) trial_ids: &'a [String],
    /// The first step that the worker trains.
    pub(crate) step: i64,
    pub(crate) at: i64,
    /// The assignments of `SET`, in which `$2` is the step, `$3` is the time, and the rest are `values`.
    pub(crate) set: String,
    pub(crate) values: Vec<Value>,
}

/// A checkpoint from which trials can resume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoint<'a> {
    pub(crate) trial_ids: &'a [String],
    /// The first step that is not in the checkpoint.
    pub(crate) step: i64,
    pub(crate) file: &'a str,
    pub(crate) at: i64,
}

/// The end of a trial.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) trial_id: &'a str,
    /// `UPDATE trials …`, in which `$1` is the trial's id and the rest are `values`.
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

/// The statements that differ between the databases. They never change trials that have ended.
#[async_trait(?Send)]
pub(crate) trait Events {
    /// One of these ids that does not belong to any trial.
    async fn unknown_trial(&mut self, ids: &[&str]) -> Result<Option<String>, Fault>;

    /// Starts or resumes trials. Deletes their steps from `start.step` on.
    async fn start(&mut self, start: Start<'_>) -> Result<(), Fault>;

    /// Begins a stage: from step `first` on, its steps belong to these trials.
    async fn begin_stage(&mut self, trial_ids: &[String], stage: i64, first: i64) -> Result<(), Fault>;

    /// Stores a checkpoint. Returns the files of the checkpoints that it replaces.
    async fn checkpoint(&mut self, checkpoint: Checkpoint<'_>) -> Result<Vec<String>, Fault>;

    /// Ends a trial: cuts its stages at its last step, and deletes its lease and checkpoint if it is done or has
    /// diverged. Returns the file of that checkpoint.
    async fn end(&mut self, end: End<'_>) -> Result<Vec<String>, Fault>;

    /// The files among these that are not the checkpoint of any trial, without duplicates.
    async fn unused_files(&mut self, files: Vec<String>) -> Result<Vec<String>, Fault>;

    /// The steps of each known stage, up to the last step of any of its trials.
    async fn stage_steps(&mut self, stages: &[i64]) -> Result<BTreeMap<i64, Range<u64>>, Fault>;

    /// Writes steps, each with its stage. An existing step is kept, as a trial that has ended may share it.
    async fn write_steps(&mut self, rows: &[(i64, &StepRow)]) -> Result<(), Fault>;

    /// Updates the step counts of the trials to which these reported steps belong.
    async fn count_steps(&mut self, reported: &[Reported]) -> Result<(), Fault>;

    /// Writes evaluations, each with its stage.
    async fn write_evaluations(&mut self, evaluated: &[(i64, &Evaluated)]) -> Result<(), Fault>;

    /// Writes the values of other metrics, each with its stage.
    async fn write_measured(&mut self, measured: &[(i64, &Measured)]) -> Result<(), Fault>;
}

/// Reported steps of a stage: from `first` up to, not including, `end`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) stage: i64,
    pub(crate) first: i64,
    pub(crate) end: i64,
}
