//! What SQLite and PostgreSQL do differently, as one trait. What both understand stands in the other files of this crate, as
//! statements that are run [`on!`] a [`Conn`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use spec::event::{Evaluated, StepRow};
use spec::record::Value;
use sqlx::migrate::{Migration, MigrationType};
use sqlx::{PgConnection, SqlSafeStr, SqliteConnection};

use crate::error::{Fault, StoreError};

/// A connection to one of both.
pub(crate) enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Conn<'_> {
    /// The same connection for one statement of several.
    pub(crate) fn again(&mut self) -> Conn<'_> {
        match self {
            Conn::Sqlite(connection) => Conn::Sqlite(connection),
            Conn::Postgres(connection) => Conn::Postgres(connection),
        }
    }

    /// The text for the database that this is.
    pub(crate) fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Conn::Sqlite(_) => sqlite,
            Conn::Postgres(_) => postgres,
        }
    }
}

/// Does the same on whichever connection it is: statements name their parameters `$1`, `$2`, which both know.
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

/// Values as one that SQL can take apart: one statement for all of them.
pub(crate) fn json<T: Clone + Into<serde_json::Value>>(values: &[T]) -> Arc<str> {
    serde_json::Value::from(values).to_string().into()
}

/// The texts of the JSON list `$1`, as a subquery.
pub(crate) fn listed(conn: &Conn<'_>) -> &'static str {
    conn.pick("(SELECT value FROM json_each($1))", "(SELECT json_array_elements_text($1::json))")
}

/// Which trials a claim is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) sweep: &'a str,
    /// Who claims.
    pub(crate) runner: i64,
    /// Whether trials that failed count too.
    pub(crate) with_failed: bool,
    /// So many stage groups at most; `None` is all.
    pub(crate) most: Option<i64>,
}

/// A database that is open for writing.
#[async_trait(?Send)]
pub(crate) trait Backend: std::fmt::Debug + Events {
    /// What messages call it.
    fn name(&self) -> &Path;

    /// Whether others write from other machines: then transactions are dear.
    fn is_remote(&self) -> bool;

    /// Once this is true it is not waited for long for what does not answer.
    fn give_up_on(&mut self, stop: Arc<AtomicBool>);

    fn conn(&mut self) -> Conn<'_>;

    async fn begin(&mut self) -> Result<(), Fault>;

    async fn commit(&mut self) -> Result<(), Fault>;

    async fn roll_back(&mut self);

    /// Whether a transaction that failed so can be tried again; waits until it can.
    async fn recover(&mut self, fault: &Fault) -> Result<bool, StoreError>;

    /// Shows that a runner lives by other means than its beat, where there are any.
    fn enter(&mut self, runner: i64) -> Result<(), StoreError>;

    /// Takes the traces of a runner that has ended away.
    fn forget(&mut self, runner: i64);

    /// Other runners that have died, none of which can write before the transaction ends.
    async fn dead(&mut self, me: i64, host: &str) -> Result<Vec<i64>, Fault>;

    /// Nobody else registers before the transaction ends.
    async fn lock_register(&mut self) -> Result<(), Fault>;

    /// Nobody else claims trials before the transaction ends.
    async fn lock_claims(&mut self) -> Result<(), Fault>;

    /// Much was registered: the planner of queries may have to count anew.
    async fn registered(&mut self);

    /// Stage groups with a trial that is to be trained and that nobody has, in the order of training; no other claim gets
    /// them before the transaction ends.
    async fn free_groups(&mut self, wanted: Wanted<'_>) -> Result<Vec<i64>, Fault>;

    /// Gives room back to the system, as far as that disturbs none of these others: files removed and bytes freed.
    async fn compact(&mut self, me: i64, others: &[i64]) -> Result<(usize, u64), StoreError>;

    async fn close(self: Box<Self>) -> Result<(), StoreError>;
}

/// A worker takes trials up.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) trial_ids: &'a [String],
    /// The first step that it trains.
    pub(crate) step: i64,
    pub(crate) at: i64,
    /// `SET …`, in which `$2` is the step, `$3` the time, and the rest are the values.
    pub(crate) set: String,
    pub(crate) values: Vec<Value>,
}

/// A file from which trials can resume.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checkpoint<'a> {
    pub(crate) trial_ids: &'a [String],
    /// The first step that is not in it.
    pub(crate) step: i64,
    pub(crate) file: &'a str,
    pub(crate) at: i64,
}

/// The end of a trial.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) trial_id: &'a str,
    /// `UPDATE trials …`, of which `$1` is the trial's id and the rest are the values.
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

/// The statements in which the databases differ. Of the trials that they name those that are over stay as they are.
#[async_trait(?Send)]
pub(crate) trait Events {
    /// One of these ids that no trial has.
    async fn unknown_trial(&mut self, ids: &[&str]) -> Result<Option<String>, Fault>;

    /// Takes trials up: what they have from the step on is void.
    async fn start(&mut self, start: Start<'_>) -> Result<(), Fault>;

    /// From step `first` on the steps of a new stage are those of these trials.
    async fn begin_stage(&mut self, trial_ids: &[String], stage: i64, first: i64) -> Result<(), Fault>;

    /// Gives the files from which the trials would have resumed before.
    async fn checkpoint(&mut self, checkpoint: Checkpoint<'_>) -> Result<Vec<String>, Fault>;

    /// Ends a trial: its stages get no more steps of it, and where it is over its lease and its checkpoint are deleted. Gives the
    /// file from which it would have resumed.
    async fn end(&mut self, end: End<'_>) -> Result<Vec<String>, Fault>;

    /// Those of these files from which no trial resumes, each once.
    async fn unused_files(&mut self, files: Vec<String>) -> Result<Vec<String>, Fault>;

    /// The steps of each stage that is known: to the end of the last of its trials.
    async fn stage_steps(&mut self, stages: &[i64]) -> Result<BTreeMap<i64, Range<u64>>, Fault>;

    /// Writes steps, each with its stage. One that is there already stays: a trial that is over may have it.
    async fn write_steps(&mut self, rows: &[(i64, &StepRow)]) -> Result<(), Fault>;

    /// Writes how many steps the trials have, of whose stages these steps were reported.
    async fn count_steps(&mut self, reported: &[Reported]) -> Result<(), Fault>;

    /// Writes evaluations, each with its stage.
    async fn write_evaluations(&mut self, evaluated: &[(i64, &Evaluated)]) -> Result<(), Fault>;
}

/// Steps of a stage that were reported, from `first` to before `end`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported {
    pub(crate) stage: i64,
    pub(crate) first: i64,
    pub(crate) end: i64,
}
