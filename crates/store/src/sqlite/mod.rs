//! A store in a folder: `DIR/sweep.db`. One process writes at a time, and file locks show which processes are alive.

mod connection;
mod event;
mod files;
mod lock;
mod network;
mod query;
mod schema;
mod steps;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};

use crate::backend::{Backend, ClaimRequest, Conn};
use crate::error::{Fault, StoreError};
use connection::{Access, connect, connect_to_read};
use lock::{Lock, LockResult};
use schema::Schema;

pub(crate) use lock::{is_free, runner_lock_path};
pub(crate) use network::network_file_system;
pub(crate) use query::run as query;

/// A folder's database, open for writing.
#[derive(Debug)]
pub(crate) struct Sqlite {
    dir: PathBuf,
    path: PathBuf,
    connection: SqliteConnection,
    /// The operating system frees it when this process ends in any way.
    lock: Option<Lock>,
    /// The last beat of each other runner, and when it was first seen by a monotonic clock.
    last_beats: HashMap<i64, (i64, Instant)>,
}

/// Opens `DIR/sweep.db` for writing. Creates the folder and the database if they are missing, and applies migrations.
/// The caller holds the returned lock until its runner is registered.
pub(crate) async fn open(dir: &Path) -> Result<(Sqlite, Lock), StoreError> {
    let path = files::database(dir);
    network::refuse(dir)?;
    files::prepare_to_write(dir, &path)?;
    files::has_content(&path)?;
    let open_lock = lock::acquire_open_lock(dir, &path).await?;
    // Checked before it is opened for writing, which would already change another program's file.
    if files::has_content(&path)? {
        let mut reading = connect_to_read(&path).await?;
        let found = schema::inspect(&mut reading, &path).await;
        reading.close().await.map_err(|error| StoreError::at(&path, error))?;
        found?;
    }
    let opened = connect(&path, Access::Write).await;
    let mut connection = opened.map_err(|error| StoreError::at(&path, error))?;
    schema::migrate(&mut connection, &path).await?;
    Ok((Sqlite { dir: dir.to_owned(), path, connection, lock: None, last_beats: HashMap::new() }, open_lock))
}

/// A database that is open for reading.
#[derive(Debug)]
pub(crate) struct ReadConnection {
    pub(crate) connection: SqliteConnection,
    pub(crate) name: PathBuf,
    /// The folder of the copy that is read, if the database is on a network file system or from an older version.
    copy: Option<tempfile::TempDir>,
}

impl ReadConnection {
    pub(crate) fn is_copy(&self) -> bool {
        self.copy.is_some()
    }
}

/// Opens `DIR/sweep.db` for reading. On a network file system, where SQLite's locks do not work, opens a copy. Opens
/// a migrated copy of a database of an older version.
pub(crate) async fn open_to_read(dir: &Path) -> Result<ReadConnection, StoreError> {
    let name = files::database(dir);
    if !files::has_content(&name)? {
        return Err(StoreError::Missing { path: name });
    }
    let copy = if network_file_system(dir).is_some() { Some(local_copy(dir, &name)?) } else { None };
    let path = copy.as_ref().map_or_else(|| name.clone(), |copy| files::database(copy.path()));
    let mut connection = connect_to_read(&path).await?;
    match schema::inspect(&mut connection, &name).await? {
        Schema::Current => Ok(ReadConnection { connection, name, copy }),
        Schema::Empty => Err(StoreError::Missing { path: name }),
        Schema::Older => {
            let copy = migrated_copy(&mut connection, &name).await?;
            let connection = connect_to_read(&files::database(copy.path())).await?;
            Ok(ReadConnection { connection, name, copy: Some(copy) })
        }
    }
}

/// A copy of an older database with all migrations. The database itself is not changed, so the older version can
/// still use it until a sweep is trained into it.
async fn migrated_copy(
    connection: &mut SqliteConnection,
    name: &Path,
) -> Result<tempfile::TempDir, StoreError> {
    let io = |error: std::io::Error| StoreError::Io { path: name.to_owned(), message: error.to_string() };
    let copy = tempfile::tempdir().map_err(io)?;
    let path = files::database(copy.path());
    let text = path.to_str().ok_or_else(|| io(std::io::ErrorKind::InvalidFilename.into()))?;
    let copying = async {
        // `VACUUM INTO` writes another file; the database of this connection is not written.
        sqlx::raw_sql("PRAGMA query_only = OFF").execute(&mut *connection).await?;
        sqlx::query("VACUUM INTO ?").bind(text).execute(&mut *connection).await?;
        connect(&path, Access::Write).await
    };
    let mut written = copying.await.map_err(|error| StoreError::at(name, error))?;
    schema::migrate(&mut written, &path).await?;
    written.close().await.map_err(|error| StoreError::at(name, error))?;
    Ok(copy)
}

/// A copy of a database that has no writer.
fn local_copy(dir: &Path, name: &Path) -> Result<tempfile::TempDir, StoreError> {
    if files::has_log(name) {
        // A process writes it or has died while writing: it can only be read on the machine that has its log.
        network::refuse(dir)?;
    }
    let copied = tempfile::tempdir().and_then(|copy| {
        std::fs::copy(name, files::database(copy.path()))?;
        Ok(copy)
    });
    copied.map_err(|error| StoreError::Io { path: name.to_owned(), message: error.to_string() })
}

#[async_trait(?Send)]
impl Backend for Sqlite {
    fn name(&self) -> &Path {
        &self.path
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn set_stop_flag(&mut self, _: Arc<AtomicBool>) {}

    fn conn(&mut self) -> Conn<'_> {
        Conn::Sqlite(&mut self.connection)
    }

    /// Plain SQL instead of sqlx's transactions, which lose track when SQLite ends a transaction itself, as it does
    /// when the disk is full.
    async fn begin(&mut self) -> Result<(), Fault> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Fault> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        Ok(())
    }

    async fn roll_back(&mut self) {
        // Fails harmlessly if SQLite has already rolled back.
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!("rollback: {error}");
        }
    }

    async fn recover(&mut self, _: &Fault) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn mark_alive(&mut self, runner: i64) -> Result<(), StoreError> {
        let name = lock::runner_lock_path(&self.dir, runner);
        if let Some(folder) = name.parent() {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, &error))?;
        }
        match lock::try_acquire(&name)? {
            LockResult::Acquired(lock) => self.lock = Some(lock),
            // A running process holds the lock for a database that was moved away.
            LockResult::HeldBy(pid) => return Err(StoreError::Busy { path: name, pid }),
        }
        Ok(())
    }

    fn remove_traces(&mut self, runner: i64) {
        // A leftover file is harmless.
        let _ = std::fs::remove_file(lock::runner_lock_path(&self.dir, runner));
        self.last_beats.remove(&runner);
    }

    /// The runners of this host whose lock is free, and those whose beat has not changed for longer than their lease.
    /// No other runner writes during the transaction.
    async fn dead_runners(&mut self, me: i64, host: &str) -> Result<Vec<i64>, Fault> {
        let sql =
            "SELECT runner_id, host, beat, lease_ms FROM runners WHERE ended_at IS NULL AND runner_id != ?";
        let others: Vec<(i64, String, i64, i64)> =
            sqlx::query_as(sql).bind(me).fetch_all(&mut self.connection).await?;
        let mut dead = Vec::new();
        for (id, its_host, beat, lease) in others {
            let gone = its_host == host && is_free(&runner_lock_path(&self.dir, id));
            let last = self.last_beats.entry(id).or_insert_with(|| (beat, Instant::now()));
            if last.0 != beat {
                *last = (beat, Instant::now());
            }
            if gone || last.1.elapsed() > Duration::from_millis(lease.unsigned_abs()) {
                dead.push(id);
            }
        }
        Ok(dead)
    }

    async fn lock_register(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    async fn lock_claims(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    async fn after_register(&mut self) {}

    async fn free_groups(&mut self, request: ClaimRequest<'_>) -> Result<Vec<i64>, Fault> {
        // Without statistics, as in a new database, SQLite would read all cells of the sweep for each group.
        let sql = "
            SELECT g.stage_group FROM stage_groups AS g
            WHERE g.sweep = ?1 AND (g.runner_id IS NULL OR g.runner_id = ?2) AND EXISTS (
                SELECT 1 FROM cells AS c INDEXED BY cells_by_group CROSS JOIN trials AS t ON t.trial_id = c.trial_id
                WHERE c.sweep = g.sweep AND c.stage_group = g.stage_group
                    AND t.status NOT IN ('done', 'diverged') AND (?3 OR t.status != 'failed')
                    AND NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.trial_id = c.trial_id)
            )
            ORDER BY g.stage_group LIMIT ?4";
        let query =
            sqlx::query_scalar(sql).bind(request.sweep).bind(request.runner).bind(request.with_failed);
        Ok(query.bind(request.max_groups.unwrap_or(-1)).fetch_all(&mut self.connection).await?)
    }

    /// Returns the empty pages of the database to the operating system if no other runner is active, and removes the
    /// lock files of runners that have ended.
    async fn compact(&mut self, me: i64, others: &[i64]) -> Result<(usize, u64), StoreError> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let before = size(&self.path);
        if others.is_empty() {
            let sql = "VACUUM; PRAGMA wal_checkpoint(TRUNCATE);";
            let done = sqlx::raw_sql(sql).execute(&mut self.connection).await;
            done.map_err(|error| StoreError::at(&self.path, error))?;
        }
        let mut files = 0;
        for entry in std::fs::read_dir(self.dir.join("runners")).into_iter().flatten().flatten() {
            let path = entry.path();
            let id =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<i64>().ok());
            let at_work = |id| id == me || others.contains(&id);
            if id.is_some_and(|id| !at_work(id)) && std::fs::remove_file(&path).is_ok() {
                files += 1;
            }
        }
        Ok((files, before.saturating_sub(size(&self.path))))
    }

    async fn close(self: Box<Self>) -> Result<(), StoreError> {
        let Self { path, mut connection, .. } = *self;
        let closed = async {
            // Updates the statistics of the query planner, then moves the log into the file as far as no reader needs
            // it. PASSIVE does not wait for readers.
            let sql = "PRAGMA optimize; PRAGMA wal_checkpoint(PASSIVE);";
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            connection.close().await
        };
        closed.await.map_err(|error| StoreError::at(&path, error))
    }
}
