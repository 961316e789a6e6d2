//! A store on a PostgreSQL server: many machines write at the same time. Each runner has one connection and no transaction
//! while it trains; what two could disturb each other in is held by row locks. Leases run by the server's clock.

mod event;
mod query;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::backend::{Backend, Conn, Wanted, server_now};
use crate::error::{Fault, StoreError};
use crate::location::Server;
#[cfg(test)]
pub(crate) use schema::MIGRATOR;
use schema::Schema;

pub(crate) use query::run as query;

/// So long a server may be away before a runner gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// The same once it is to stop.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// A process that is silent for longer within a transaction is taken for suspended.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

/// A server's database, open for writing.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Server,
    name: PathBuf,
    /// After so long others take this process for dead.
    lease: Duration,
    connection: PgConnection,
    /// Since when the server was in reach without a break; `None`: all the time.
    back_since: Option<Instant>,
    /// When it last looked for the dead.
    looked: Option<Instant>,
    /// Whether this process is to end soon.
    stop: Arc<AtomicBool>,
}

/// Opens a database for writing and brings its tables up to date.
pub(crate) async fn open(server: Server, lease: Duration) -> Result<Postgres, StoreError> {
    let name = PathBuf::from(server.to_string());
    let mut connection = connect(&server, Some(lease)).await.map_err(|error| StoreError::at(&name, error))?;
    schema::inspect(&mut connection, &name).await?;
    schema::migrate(&mut connection, &name).await?;
    Ok(Postgres { server, name, lease, connection, back_since: None, looked: None, stop: Arc::default() })
}

/// Opens a database for reading, and gives its name too.
pub(crate) async fn open_to_read(server: &Server) -> Result<(PgConnection, PathBuf), StoreError> {
    let name = PathBuf::from(server.to_string());
    let mut connection = connect(server, None).await.map_err(|error| StoreError::at(&name, error))?;
    match schema::inspect(&mut connection, &name).await? {
        Schema::Current => Ok((connection, name)),
        Schema::Empty => Err(StoreError::Missing { path: name }),
        Schema::Older => Err(StoreError::Older { path: name }),
    }
}

/// Connects, to write where there is a lease.
async fn connect(server: &Server, lease: Option<Duration>) -> Result<PgConnection, sqlx::Error> {
    let connecting = async {
        let mut connection = server.options.clone().disable_statement_logging().connect().await?;
        let (setting, value) = match lease {
            None => ("default_transaction_read_only", "on".to_owned()),
            // A process that is suspended within a transaction would hold its locks, and so its trials, for ever: the server
            // gives it up. One that is only slow does the transaction again.
            Some(lease) => {
                let longest = lease.clamp(Duration::from_secs(1), LONGEST_IDLE);
                ("idle_in_transaction_session_timeout", longest.as_millis().to_string())
            }
        };
        let set = sqlx::query("SELECT set_config($1, $2, false)").bind(setting).bind(value);
        set.execute(&mut connection).await?;
        Ok(connection)
    };
    match tokio::time::timeout(Duration::from_secs(30), connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(crate::error::no_answer()),
    }
}

/// Stage groups with trials to claim that nobody else is just taking.
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
    fn patience(&self) -> Duration {
        if self.stop.load(Ordering::Relaxed) { LAST_PATIENCE } else { PATIENCE }
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

    fn give_up_on(&mut self, stop: Arc<AtomicBool>) {
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

    /// A lost connection is made again, for as long as it may take; what two had locked against each other is tried again
    /// at once.
    async fn recover(&mut self, fault: &Fault) -> Result<bool, StoreError> {
        let Fault::Sql(error) = fault else { return Ok(false) };
        if crate::error::was_in_the_way(error) {
            return Ok(true);
        }
        if !crate::error::is_lost(error) {
            return Ok(false);
        }
        let lost = Instant::now();
        tracing::warn!(
            "{} does not answer ({}): waits for it, and training goes on meanwhile",
            self.name.display(),
            crate::error::words(error)
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
                Err(error) if lost.elapsed() > self.patience() => {
                    let message = crate::error::words(&error);
                    return Err(StoreError::Gone { path: self.name.clone(), message });
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (2 * pause).min(Duration::from_secs(2));
        }
        tracing::warn!("{} answers again", self.name.display());
        self.back_since = Some(Instant::now());
        Ok(true)
    }

    fn enter(&mut self, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    fn forget(&mut self, _: i64) {}

    /// Those that were silent for longer than their lease. One whose row is locked is writing just now. After the server was
    /// away all have been silent: none is ended before it had its lease to come back.
    async fn dead(&mut self, me: i64, _: &str) -> Result<Vec<i64>, Fault> {
        let sql = "SELECT lease_ms FROM runners WHERE runner_id = $1";
        let lease: i64 = sqlx::query_scalar(sql).bind(me).fetch_one(&mut self.connection).await?;
        let lease = Duration::from_millis(lease.unsigned_abs());
        // Each looks now and then only: where there are thousands, others look too.
        let just_looked = self.looked.is_some_and(|looked| looked.elapsed() < lease / 4);
        if just_looked || self.back_since.is_some_and(|since| since.elapsed() < lease) {
            return Ok(Vec::new());
        }
        self.looked = Some(Instant::now());
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
        // Any number will do, as long as nobody else takes it: "sweep" in ASCII.
        sqlx::query("SELECT pg_advisory_xact_lock(495840126320)").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn lock_claims(&mut self) -> Result<(), Fault> {
        // Both are written by every claim. What a claim before has written is there once the locks are.
        let sql = "LOCK TABLE stage_groups, leases IN SHARE ROW EXCLUSIVE MODE";
        sqlx::raw_sql(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn registered(&mut self) {
        // Else the server plans as for empty tables, until it finds the time to count.
        let counted =
            sqlx::raw_sql("ANALYZE cells, trials, stage_groups").execute(&mut self.connection).await;
        if let Err(error) = counted {
            tracing::debug!("analyze: {error}");
        }
    }

    async fn free_groups(&mut self, wanted: Wanted<'_>) -> Result<Vec<i64>, Fault> {
        let mut groups: Vec<i64> = Vec::new();
        // First its own, which may have got new trials: in one question the index of the free ones would be of no use.
        for sql in
            [groups_with!("g.runner_id = $2"), groups_with!("g.runner_id IS NULL AND $2::bigint IS NOT NULL")]
        {
            let most =
                wanted.most.map(|most| most.saturating_sub(i64::try_from(groups.len()).unwrap_or(i64::MAX)));
            // Planned for these values each time: in general the server would look through all trials.
            let query = sqlx::query_scalar::<_, i64>(sql).persistent(false);
            let query = query.bind(wanted.sweep).bind(wanted.runner).bind(wanted.with_failed).bind(most);
            groups.extend(query.fetch_all(&mut self.connection).await?);
        }
        Ok(groups)
    }

    /// The server does that by itself.
    async fn compact(&mut self, _: i64, _: &[i64]) -> Result<(usize, u64), StoreError> {
        Ok((0, 0))
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        let Self { name, connection, .. } = *self;
        connection.close().await.map_err(|error| StoreError::at(&name, error))
    }
}
