//! A store on a PostgreSQL server. Many machines write at the same time: each runner has one connection and no open
//! transaction while it trains, and row locks keep runners from disturbing each other. Leases use the server's clock.

mod event;
mod query;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::backend::{Backend, ClaimRequest, Conn, server_now};
use crate::error::{Fault, StoreError};
use crate::location::Server;
#[cfg(test)]
pub(crate) use schema::MIGRATOR;
use schema::Schema;

pub(crate) use query::run as query;

/// How long a runner tries to reconnect to a server before it gives up.
const RECONNECT_LIMIT: Duration = Duration::from_secs(600);

/// The same after a stop was requested.
const RECONNECT_LIMIT_AT_STOP: Duration = Duration::from_secs(10);

/// A process that is silent for longer than this during a transaction counts as suspended.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// A server's database, open for writing.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Server,
    name: PathBuf,
    /// The lease of this process: others take it for dead when it is silent for longer.
    lease: Duration,
    connection: PgConnection,
    /// When the connection was last made again; `None` if it was never lost.
    reconnected_at: Option<Instant>,
    /// When this runner last checked for dead runners.
    last_check: Option<Instant>,
    /// Whether a stop was requested.
    stop: Arc<AtomicBool>,
}

/// Opens a database for writing and applies missing migrations.
pub(crate) async fn open(server: Server, lease: Duration) -> Result<Postgres, StoreError> {
    let name = PathBuf::from(server.to_string());
    let mut connection = connect(&server, Some(lease)).await.map_err(|error| StoreError::at(&name, error))?;
    schema::inspect(&mut connection, &name).await?;
    schema::migrate(&mut connection, &name).await?;
    Ok(Postgres {
        server,
        name,
        lease,
        connection,
        reconnected_at: None,
        last_check: None,
        stop: Arc::default(),
    })
}

/// Opens a database for reading. Returns its name too.
pub(crate) async fn open_to_read(server: &Server) -> Result<(PgConnection, PathBuf), StoreError> {
    let name = PathBuf::from(server.to_string());
    let mut connection = connect(server, None).await.map_err(|error| StoreError::at(&name, error))?;
    match schema::inspect(&mut connection, &name).await? {
        Schema::Current => Ok((connection, name)),
        Schema::Empty => Err(StoreError::Missing { path: name }),
        Schema::Older => Err(StoreError::Older { path: name }),
    }
}

/// Connects for writing if there is a lease, else for reading.
async fn connect(server: &Server, lease: Option<Duration>) -> Result<PgConnection, sqlx::Error> {
    let connecting = async {
        let mut connection = server.options.clone().disable_statement_logging().connect().await?;
        let (setting, value) = match lease {
            None => ("default_transaction_read_only", "on".to_owned()),
            // A process that is suspended during a transaction would hold its locks, and so its trials, forever: the
            // server closes its connection. A process that is only slow repeats the transaction.
            Some(lease) => {
                let longest = lease.clamp(Duration::from_secs(1), MAX_IDLE);
                ("idle_in_transaction_session_timeout", longest.as_millis().to_string())
            }
        };
        let set = sqlx::query("SELECT set_config($1, $2, false)").bind(setting).bind(value);
        set.execute(&mut connection).await?;
        Ok(connection)
    };
    match tokio::time::timeout(Duration::from_secs(30), connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(crate::error::timed_out()),
    }
}

/// Stage groups with unclaimed trials. Skips groups that another claim has locked.
macro_rules! groups_with {
    ($whose:literal) => {
        concat!(
            "SELECT g.stage_group FROM stage_groups AS g WHERE g.sweep = $1 AND ",
            $whose,
            " AND EXISTS (
                SELECT 1 FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
                WHERE c.sweep = g.sweep AND c.stage_group = g.stage_group
                    AND t.status NOT IN ('done', 'diverged') AND ($3 OR t.status != 'failed')
                    AND (SELECT l.runner_id FROM leases AS l WHERE l.trial_id = c.trial_id) IS NULL
            )
            ORDER BY g.stage_group LIMIT $4 FOR UPDATE OF g SKIP LOCKED"
        )
    };
}

impl Postgres {
    fn reconnect_limit(&self) -> Duration {
        if self.stop.load(Ordering::Relaxed) { RECONNECT_LIMIT_AT_STOP } else { RECONNECT_LIMIT }
    }
}

#[async_trait(?Send)]
impl Backend for Postgres {
    fn name(&self) -> &Path {
        &self.name
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn set_stop_flag(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    fn conn(&mut self) -> Conn<'_> {
        Conn::Postgres(&mut self.connection)
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        let begin = sqlx::raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        Ok(begin.execute(&mut self.connection).await.map(|_| ())?)
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        Ok(sqlx::raw_sql("COMMIT").execute(&mut self.connection).await.map(|_| ())?)
    }

    async fn roll_back(&mut self) {
        if let Err(error) = sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!("rollback: {error}");
        }
    }

    /// Reconnects after a lost connection, within the time limit. Retries at once after a conflict of two
    /// transactions.
    async fn recover(&mut self, fault: &Fault) -> Result<bool, StoreError> {
        let Fault::Sql(error) = fault else { return Ok(false) };
        if crate::error::is_conflict(error) {
            return Ok(true);
        }
        if !crate::error::is_lost(error) {
            return Ok(false);
        }
        let lost = Instant::now();
        tracing::warn!(
            "{} does not answer ({}): reconnecting; training continues meanwhile",
            self.name.display(),
            crate::error::short_message(error)
        );
        let mut pause = Duration::from_millis(100);
        loop {
            match connect(&self.server, Some(self.lease)).await {
                Ok(connection) => {
                    self.connection = connection;
                    break;
                }
                Err(error) if !crate::error::is_lost(&error) => {
                    return Err(StoreError::at(&self.name, error));
                }
                Err(error) if lost.elapsed() > self.reconnect_limit() => {
                    let message = crate::error::short_message(&error);
                    return Err(StoreError::Gone { path: self.name.clone(), message });
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (2 * pause).min(Duration::from_secs(2));
        }
        tracing::warn!("{} answers again", self.name.display());
        self.reconnected_at = Some(Instant::now());
        Ok(true)
    }

    fn mark_alive(&mut self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn remove_traces(&mut self, _: i64) {}

    /// The runners that were silent for longer than their lease. Skips locked rows: their runners are writing. While
    /// the server was down all runners were silent, so each has a full lease to come back.
    async fn dead_runners(&mut self, me: i64, _: &str) -> Result<Vec<i64>, Fault> {
        let sql = "SELECT lease_ms FROM runners WHERE runner_id = $1";
        let lease: i64 = sqlx::query_scalar(sql).bind(me).fetch_one(&mut self.connection).await?;
        let lease = Duration::from_millis(lease.unsigned_abs());
        // Each runner checks only now and then: with thousands of runners, others check too.
        let just_checked = self.last_check.is_some_and(|last| last.elapsed() < lease / 4);
        if just_checked || self.reconnected_at.is_some_and(|since| since.elapsed() < lease) {
            return Ok(Vec::new());
        }
        self.last_check = Some(Instant::now());
        let sql = concat!(
            "SELECT runner_id FROM runners
            WHERE ended_at IS NULL AND runner_id != $1 AND lease_ms < ",
            server_now!(),
            " - greatest(seen_at, (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint)
            ORDER BY runner_id FOR UPDATE SKIP LOCKED"
        );
        Ok(sqlx::query_scalar(sql).bind(me).fetch_all(&mut self.connection).await?)
    }

    async fn lock_register(&mut self) -> Result<(), Fault> {
        // Any number that no other program uses: "sweep" in ASCII.
        sqlx::query("SELECT pg_advisory_xact_lock(495840126320)").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn lock_claims(&mut self) -> Result<(), Fault> {
        // Every claim writes both tables. Once the locks are held, the rows of earlier claims are visible.
        let sql = "LOCK TABLE stage_groups, leases IN SHARE ROW EXCLUSIVE MODE";
        sqlx::raw_sql(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn after_register(&mut self) {
        // Without this, the server plans queries for empty tables until its next automatic analysis.
        let counted =
            sqlx::raw_sql("ANALYZE cells, trials, stage_groups").execute(&mut self.connection).await;
        if let Err(error) = counted {
            tracing::debug!("analyze: {error}");
        }
    }

    async fn free_groups(&mut self, request: ClaimRequest<'_>) -> Result<Vec<i64>, Fault> {
        let mut groups: Vec<i64> = Vec::new();
        // First this runner's own groups, which may have new trials. One query for both could not use the index of
        // the free groups.
        for sql in
            [groups_with!("g.runner_id = $2"), groups_with!("g.runner_id IS NULL AND $2::bigint IS NOT NULL")]
        {
            let limit = request
                .max_groups
                .map(|max| max.saturating_sub(i64::try_from(groups.len()).unwrap_or(i64::MAX)));
            // Planned for the given values each time: a generic plan would scan all trials.
            let query = sqlx::query_scalar::<_, i64>(sql).persistent(false);
            let query = query.bind(request.sweep).bind(request.runner).bind(request.with_failed).bind(limit);
            groups.extend(query.fetch_all(&mut self.connection).await?);
        }
        Ok(groups)
    }

    /// The server does this itself.
    async fn compact(&mut self, _: i64, _: &[i64]) -> Result<(usize, u64), StoreError> {
        Ok((0, 0))
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        let Self { name, connection, .. } = *self;
        connection.close().await.map_err(|error| StoreError::at(&name, error))
    }
}
