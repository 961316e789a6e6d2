//! Which processes train, and the status of each sweep.

use std::path::Path;

use crate::backend::{Conn, from_row, on};
use crate::register::now;
use crate::sqlite;

/// The status of a sweep: numbers of its distinct trials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepStatus {
    /// Its name.
    pub sweep: String,
    /// Number of all its trials.
    pub trials: i64,
    /// Trained to the end.
    pub done: i64,
    /// Diverged.
    pub diverged: i64,
    /// In progress, and leased to an active runner.
    pub running: i64,
    /// In progress, but their runner has ended: the next run resumes them.
    pub left_over: i64,
    /// Not started.
    pub queued: i64,
    /// Stopped on request.
    pub stopped: i64,
    /// Failed.
    pub failed: i64,
    /// When it was last run: UTC, milliseconds since 1970.
    pub updated_at: i64,
}

from_row!(SweepStatus {
    sweep,
    trials,
    done,
    diverged,
    running,
    left_over,
    queued,
    stopped,
    failed,
    updated_at
});

/// A process that trains, or that died without being ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerStatus {
    /// Its number in the store.
    pub runner_id: i64,
    /// The sweep that it trains, if it has stored one.
    pub sweep: Option<String>,
    /// The machine.
    pub host: String,
    /// Process id on that machine.
    pub pid: i64,
    /// The Slurm job of this process.
    pub job: Option<String>,
    /// Threads that train. A process with 0 only coordinates.
    pub workers: i64,
    /// Whether it waits for trials that other runners have leased.
    pub idle: bool,
    /// Number of trials that it has leased.
    pub trials: i64,
    /// Number of these that are in progress.
    pub running: i64,
    /// UTC, milliseconds since 1970.
    pub started_at: i64,
    /// When it last renewed its lease: UTC, milliseconds since 1970, by its own clock or the server's.
    pub seen_at: i64,
    /// How long ago that was, by this machine's clock or the server's.
    pub silent_ms: i64,
    /// Others take it for dead when it is silent for longer than this.
    pub lease_ms: i64,
    /// Whether its process has ended; `None` if that is unknown on this machine.
    pub dead: Option<bool>,
}

/// A trial in progress.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningTrial {
    /// The trial's id.
    pub trial_id: String,
    /// The schedule for which it was first registered.
    pub schedule: String,
    /// Its base lr.
    pub base_lr: f64,
    /// Its seed.
    pub seed: i64,
    /// Number of its stored steps.
    pub steps_done: i64,
    /// Length of the run in steps.
    pub steps: i64,
    /// How often it was started or resumed.
    pub attempts: i64,
    /// When it was first started: UTC, milliseconds since 1970.
    pub started_at: Option<i64>,
    /// The runner that has leased it.
    pub runner_id: Option<i64>,
}

from_row!(RunningTrial {
    trial_id,
    schedule,
    base_lr,
    seed,
    steps_done,
    steps,
    attempts,
    started_at,
    runner_id
});

/// The numbers of trials by state, as columns: of trials `t` that are joined with their leases `l`.
macro_rules! count_by_status {
    () => {
        "count(t.trial_id) AS trials,
            count(CASE WHEN t.status = 'done' THEN 1 END) AS done,
            count(CASE WHEN t.status = 'diverged' THEN 1 END) AS diverged,
            count(CASE WHEN t.status = 'running' AND l.trial_id IS NOT NULL THEN 1 END) AS running,
            count(CASE WHEN t.status = 'running' AND l.trial_id IS NULL THEN 1 END) AS left_over,
            count(CASE WHEN t.status = 'queued' THEN 1 END) AS queued,
            count(CASE WHEN t.status = 'stopped' THEN 1 END) AS stopped,
            count(CASE WHEN t.status = 'failed' THEN 1 END) AS failed"
    };
}
pub(crate) use count_by_status;

/// All sweeps, the one that was run last first.
pub(crate) async fn sweeps(conn: Conn<'_>) -> Result<Vec<SweepStatus>, sqlx::Error> {
    let sql = concat!(
        "SELECT s.sweep, s.updated_at, ",
        count_by_status!(),
        " FROM sweeps AS s
        LEFT JOIN (SELECT DISTINCT sweep, trial_id FROM cells) AS c ON c.sweep = s.sweep
        LEFT JOIN trials AS t ON t.trial_id = c.trial_id
        LEFT JOIN leases AS l ON l.trial_id = t.trial_id
        GROUP BY s.sweep, s.updated_at ORDER BY s.updated_at DESC, s.sweep"
    );
    on!(conn, c => sqlx::query_as(sql).fetch_all(c).await)
}

/// All runners that have not ended. On a server, the server's clock counts.
pub(crate) async fn runners(conn: Conn<'_>, dir: Option<&Path>) -> Result<Vec<RunnerStatus>, sqlx::Error> {
    let sql = conn.pick(
        "SELECT
            r.runner_id, r.sweep, r.host, r.pid, r.job, r.workers, r.idle, r.started_at, r.seen_at,
            $1 - r.seen_at AS silent_ms, r.lease_ms,
            count(l.trial_id) AS trials, count(t.trial_id) AS running
        FROM runners AS r
        LEFT JOIN leases AS l ON l.runner_id = r.runner_id
        LEFT JOIN trials AS t ON t.trial_id = l.trial_id AND t.status = 'running'
        WHERE r.ended_at IS NULL
        GROUP BY r.runner_id ORDER BY r.runner_id",
        "SELECT
            r.runner_id, r.sweep, r.host, r.pid, r.job, r.workers, r.idle, r.started_at, r.seen_at,
            coalesce((extract(epoch FROM clock_timestamp()) * 1000)::bigint, $1) - r.seen_at AS silent_ms, r.lease_ms,
            count(l.trial_id) AS trials, count(t.trial_id) AS running
        FROM runners AS r
        LEFT JOIN leases AS l ON l.runner_id = r.runner_id
        LEFT JOIN trials AS t ON t.trial_id = l.trial_id AND t.status = 'running'
        WHERE r.ended_at IS NULL
        GROUP BY r.runner_id ORDER BY r.runner_id",
    );
    let rows: Vec<Stored> = on!(conn, c => sqlx::query_as(sql).bind(now()).fetch_all(c).await)?;
    let here = gethostname::gethostname().to_string_lossy().into_owned();
    let runner = |row: Stored| RunnerStatus {
        dead: dir
            .filter(|_| row.host == here)
            .map(|dir| sqlite::is_free(&sqlite::runner_lock_path(dir, row.runner_id))),
        runner_id: row.runner_id,
        sweep: row.sweep,
        host: row.host,
        pid: row.pid,
        job: row.job,
        workers: row.workers,
        idle: row.idle != 0,
        trials: row.trials,
        running: row.running,
        started_at: row.started_at,
        seen_at: row.seen_at,
        silent_ms: row.silent_ms,
        lease_ms: row.lease_ms,
    };
    Ok(rows.into_iter().map(runner).collect())
}

/// A row of [`runners`].
struct Stored {
    runner_id: i64,
    sweep: Option<String>,
    host: String,
    pid: i64,
    job: Option<String>,
    workers: i64,
    idle: i64,
    trials: i64,
    running: i64,
    started_at: i64,
    seen_at: i64,
    silent_ms: i64,
    lease_ms: i64,
}

from_row!(Stored {
    runner_id,
    sweep,
    host,
    pid,
    job,
    workers,
    idle,
    trials,
    running,
    started_at,
    seen_at,
    silent_ms,
    lease_ms
});

/// Trials in progress, at most `limit`, those that started first come first.
pub(crate) async fn running(
    conn: Conn<'_>,
    sweep: Option<&str>,
    limit: i64,
) -> Result<Vec<RunningTrial>, sqlx::Error> {
    let sql = "
        SELECT
            t.trial_id, t.schedule, t.base_lr, t.seed, t.steps_done, t.steps, t.attempts, t.started_at, l.runner_id
        FROM trials AS t LEFT JOIN leases AS l ON l.trial_id = t.trial_id
        WHERE t.status = 'running'
            AND ($1 IS NULL OR t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1))
        ORDER BY t.started_at, t.trial_id LIMIT $2";
    on!(conn, c => sqlx::query_as(sql).bind(sweep).bind(limit).fetch_all(c).await)
}
