//! What SQLite and PostgreSQL do differently, as one trait. What both understand stands in the other files of this crate, as
//! statements that are run [`on!`] a [`Conn`].

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use sqlx::{PgConnection, SqliteConnection};

use crate::error::{Fault, StoreError};
use crate::event::Events;

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

/// A PostgreSQL server's clock, as SQL: milliseconds since 1970.
macro_rules! server_now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
pub(crate) use server_now;

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
    fn heed(&mut self, stop: Arc<AtomicBool>);

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
