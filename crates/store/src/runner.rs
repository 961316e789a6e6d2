//! Runners: the processes that train for a store. Who is at work, who has which trial, and who has died.
//!
//! A runner lives as long as its beat grows, which every transaction of it does. Who watches a beat stand still for longer
//! than it is ready to wait, by its own monotonic clock, ends that runner and frees its trials, all in one transaction; every
//! transaction of a runner begins by seeing whether it was ended. On one host a lock that the system frees tells sooner.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use spec::Plan;
use sqlx::SqliteConnection;

use crate::error::{Fault, StoreError};
use crate::lock::{self, Lock, Taken};
use crate::register::now;
use crate::trials::json;

/// Stages of a runner that is not alone are numbered from its own number times this.
const STAGES: u64 = 1 << 24;

/// This process, as the store knows it.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) id: i64,
    host: String,
    lock: (PathBuf, Lock),
    /// The beats of the others, and since when they are so.
    seen: HashMap<i64, (i64, Instant)>,
}

impl Runner {
    /// Enters this process, within a transaction of the caller's: nobody sees it before it holds its lock.
    pub(crate) async fn join(
        connection: &mut SqliteConnection,
        dir: &Path,
        path: &Path,
    ) -> Result<Self, StoreError> {
        let host = lock::host();
        let sql = "
            INSERT INTO runners (host, pid, started_at, seen_at) VALUES (?1, ?2, ?3, ?3) RETURNING runner_id";
        let query = sqlx::query_scalar(sql).bind(&host).bind(i64::from(std::process::id())).bind(now());
        let id = query.fetch_one(connection).await.map_err(|error| StoreError::at(path, error))?;
        let name = lock::of_runner(dir, id);
        if let Some(folder) = name.parent() {
            std::fs::create_dir_all(folder).map_err(|error| StoreError::io(folder, &error))?;
        }
        match lock::take(&name)? {
            Taken::Mine(lock) => Ok(Self { id, host, lock: (name, lock), seen: HashMap::new() }),
            // Left from a database that was moved away, by a process that still runs.
            Taken::Others(pid) => Err(StoreError::Busy { path: name, pid }),
        }
    }

    /// The first statement of each transaction: lives on, unless it was ended.
    pub(crate) async fn beat(&self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        let sql =
            "UPDATE runners SET beat = beat + 1, seen_at = ?2 WHERE runner_id = ?1 AND ended_at IS NULL";
        let beaten = sqlx::query(sql).bind(self.id).bind(now()).execute(connection).await?;
        if beaten.rows_affected() == 0 { Err(Fault::TakenOver) } else { Ok(()) }
    }

    /// Ends itself and frees its trials.
    pub(crate) async fn leave(&self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        end(connection, self.id, None).await
    }

    /// Takes its lock's file away, as the last thing it does.
    pub(crate) fn forget(self) {
        // What can't be removed only lies around.
        let _ = std::fs::remove_file(&self.lock.0);
    }

    /// Ends the others that have died: those of this host whose lock is free, and those whose beat was the same for longer
    /// than `patience`. Gives how many those were, and how many others live.
    pub(crate) async fn end_the_dead(
        &mut self,
        connection: &mut SqliteConnection,
        dir: &Path,
        patience: Duration,
    ) -> Result<(usize, usize), Fault> {
        let (mut dead, mut living) = (0, 0);
        for (id, host, beat) in self.others(connection).await? {
            let gone = host == self.host && lock::is_free(&lock::of_runner(dir, id));
            let seen = self.seen.entry(id).or_insert_with(|| (beat, Instant::now()));
            if seen.0 != beat {
                *seen = (beat, Instant::now());
            }
            if gone || seen.1.elapsed() > patience {
                end(connection, id, Some(self.id)).await?;
                let _ = std::fs::remove_file(lock::of_runner(dir, id));
                self.seen.remove(&id);
                dead += 1;
            } else {
                living += 1;
            }
        }
        Ok((dead, living))
    }

    /// The other runners that may write: number, host, beat.
    pub(crate) async fn others(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Vec<(i64, String, i64)>, Fault> {
        let sql = "
            SELECT runner_id, host, beat FROM runners WHERE ended_at IS NULL AND runner_id != ? ORDER BY runner_id";
        Ok(sqlx::query_as(sql).bind(self.id).fetch_all(connection).await?)
    }

    /// Others that wait for trials of this sweep.
    pub(crate) async fn idle_others(
        &self,
        connection: &mut SqliteConnection,
        sweep: &str,
    ) -> Result<u64, Fault> {
        let sql = "
            SELECT count(*) FROM runners WHERE ended_at IS NULL AND idle = 1 AND runner_id != ? AND sweep = ?";
        Ok(sqlx::query_scalar(sql).bind(self.id).bind(sweep).fetch_one(connection).await?)
    }

    /// Says what it trains, and, if that has changed, whether it waits for trials.
    pub(crate) async fn tell(
        &self,
        connection: &mut SqliteConnection,
        sweep: &str,
        idle: Option<bool>,
    ) -> Result<(), Fault> {
        let sql = "UPDATE runners SET sweep = ?2, idle = coalesce(?3, idle) WHERE runner_id = ?1";
        sqlx::query(sql).bind(self.id).bind(sweep).bind(idle).execute(connection).await?;
        Ok(())
    }

    /// Whether another runner at work has the same sweep file and has decided more of it than this plan.
    pub(crate) async fn is_behind(
        &self,
        connection: &mut SqliteConnection,
        plan: &Plan,
    ) -> Result<bool, Fault> {
        let sql = "
            SELECT
                EXISTS (SELECT 1 FROM runners WHERE sweep = ?1 AND runner_id != ?2 AND ended_at IS NULL)
                AND EXISTS (SELECT 1 FROM sweeps WHERE sweep = ?1 AND file_text = ?3)
                AND (SELECT count(*) FROM promotions WHERE sweep = ?1) > ?4";
        let decided = plan.decisions.added.len() + plan.decisions.chosen.len();
        let query = sqlx::query_scalar(sql).bind(&plan.name).bind(self.id).bind(&plan.text);
        Ok(query.bind(i64::try_from(decided).unwrap_or(i64::MAX)).fetch_one(connection).await?)
    }

    /// Leases the trials of a sweep that are not over and that nobody has; those that failed only `with_failed`. Gives
    /// their ids, in no order.
    pub(crate) async fn claim(
        &self,
        connection: &mut SqliteConnection,
        sweep: &str,
        with_failed: bool,
    ) -> Result<Vec<String>, Fault> {
        let sql = "
            INSERT INTO leases (trial_id, runner_id)
            SELECT DISTINCT c.trial_id, ?2
            FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
            WHERE c.sweep = ?1 AND t.status NOT IN ('done', 'diverged') AND (?3 OR t.status != 'failed')
                AND NOT EXISTS (SELECT 1 FROM leases AS l WHERE l.trial_id = c.trial_id)
            RETURNING trial_id";
        let query = sqlx::query_scalar(sql).bind(sweep).bind(self.id).bind(with_failed);
        Ok(query.fetch_all(connection).await?)
    }

    /// Gives leases back.
    pub(crate) async fn release(
        &self,
        connection: &mut SqliteConnection,
        trial_ids: &[String],
    ) -> Result<(), Fault> {
        let sql = "DELETE FROM leases WHERE runner_id = ? AND trial_id IN (SELECT value FROM json_each(?))";
        sqlx::query(sql).bind(self.id).bind(json(trial_ids)).execute(connection).await?;
        Ok(())
    }

    /// Trials of a sweep that this one does not have and that are neither over nor failed.
    pub(crate) async fn left(&self, connection: &mut SqliteConnection, sweep: &str) -> Result<u64, Fault> {
        let sql = "
            SELECT count(DISTINCT c.trial_id) FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id
            WHERE c.sweep = ?2 AND t.status NOT IN ('done', 'diverged', 'failed') AND NOT EXISTS (
                SELECT 1 FROM leases AS l WHERE l.trial_id = c.trial_id AND l.runner_id = ?1
            )";
        Ok(sqlx::query_scalar(sql).bind(self.id).bind(sweep).fetch_one(connection).await?)
    }

    /// A number from which on no stage is numbered yet, nor will be by another runner.
    pub(crate) async fn next_stage(&self, connection: &mut SqliteConnection) -> Result<u64, Fault> {
        let sql = "SELECT coalesce(max(stage_id), 0) + 1 FROM stages";
        let next: u64 = sqlx::query_scalar(sql).fetch_one(&mut *connection).await?;
        // Alone it takes small numbers, which take less room. A runner that joins has a higher number than all before it.
        let alone = self.others(connection).await?.is_empty();
        Ok(if alone { next } else { next.max(self.id.unsigned_abs() * STAGES) })
    }
}

/// Ends a runner and frees its trials.
async fn end(connection: &mut SqliteConnection, id: i64, by: Option<i64>) -> Result<(), Fault> {
    let sql = "
        UPDATE runners SET ended_at = ?2, idle = 0, taken_over_by = ?3 WHERE runner_id = ?1 AND ended_at IS NULL;
        DELETE FROM leases WHERE runner_id = ?1";
    sqlx::query(sql).bind(id).bind(now()).bind(by).execute(connection).await?;
    Ok(())
}
