//! Who is at work, and how far each sweep is.

use std::path::Path;

use crate::backend::{Conn, from_row, on};
use crate::register::now;
use crate::sqlite;

/// How far a sweep is: its trials, each once however many cells ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepStatus {
    /// Its name.
    pub sweep: String,
    /// All of its trials.
    pub trials: i64,
    /// Trained to their end.
    pub done: i64,
    /// Diverged.
    pub diverged: i64,
    /// Begun, and leased to a runner that is at work.
    pub running: i64,
    /// Begun, and left by a runner that is not at work any more: the next run goes on with them.
    pub left_over: i64,
    /// Not begun.
    pub queued: i64,
    /// Stopped on request.
    pub stopped: i64,
    /// Could not be trained.
    pub failed: i64,
    /// When it was registered last: UTC, milliseconds since 1970.
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

/// A process that trains, or that died while it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunnerStatus {
    /// Its number in the store.
    pub runner_id: i64,
    /// What it trains, where it has said so.
    pub sweep: Option<String>,
    /// The machine.
    pub host: String,
    /// Its number there.
    pub pid: i64,
    /// The Slurm job that it is.
    pub job: Option<String>,
    /// Threads that train; with 0 it only coordinates.
    pub workers: i64,
    /// Whether it waits for trials that others have.
    pub idle: bool,
    /// Trials that it has.
    pub trials: i64,
    /// Those of them that it has begun.
    pub running: i64,
    /// UTC, milliseconds since 1970.
    pub started_at: i64,
    /// Its last sign of life, by its own clock or the server's.
    pub seen_at: i64,
    /// So long ago that was, by this machine's clock or the server's.
    pub silent_ms: i64,
    /// Silent for longer it is taken for dead.
    pub lease_ms: i64,
    /// Whether its process is gone; `None` where that can't be seen from here.
    pub dead: Option<bool>,
}

/// A trial that is begun.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningTrial {
    /// Which.
    pub trial_id: String,
    /// The schedule that asked for it first.
    pub schedule: String,
    /// Its base lr.
    pub base_lr: f64,
    /// Its seed.
    pub seed: i64,
    /// Steps that are stored.
    pub steps_done: i64,
    /// Length of the run.
    pub steps: i64,
    /// How often it was taken up.
    pub attempts: i64,
    /// When it was taken up first.
    pub started_at: Option<i64>,
    /// Who has it.
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

/// All sweeps, the one that was run last first.
pub(crate) async fn sweeps(conn: Conn<'_>) -> Result<Vec<SweepStatus>, sqlx::Error> {
    let sql = "
        SELECT
            s.sweep, count(t.trial_id) AS trials,
            count(CASE WHEN t.status = 'done' THEN 1 END) AS done,
            count(CASE WHEN t.status = 'diverged' THEN 1 END) AS diverged,
            count(CASE WHEN t.status = 'running' AND l.trial_id IS NOT NULL THEN 1 END) AS running,
            count(CASE WHEN t.status = 'running' AND l.trial_id IS NULL THEN 1 END) AS left_over,
            count(CASE WHEN t.status = 'queued' THEN 1 END) AS queued,
            count(CASE WHEN t.status = 'stopped' THEN 1 END) AS stopped,
            count(CASE WHEN t.status = 'failed' THEN 1 END) AS failed, s.updated_at
        FROM sweeps AS s
        LEFT JOIN (SELECT DISTINCT sweep, trial_id FROM cells) AS c ON c.sweep = s.sweep
        LEFT JOIN trials AS t ON t.trial_id = c.trial_id
        LEFT JOIN leases AS l ON l.trial_id = t.trial_id
        GROUP BY s.sweep, s.updated_at ORDER BY s.updated_at DESC, s.sweep";
    on!(conn, c => sqlx::query_as(sql).fetch_all(c).await)
}

/// All runners that have not ended. On a server silence is by its clock.
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
            .map(|dir| sqlite::is_free(&sqlite::of_runner(dir, row.runner_id))),
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

/// Trials that are begun, those first that were begun first; at most `most`.
pub(crate) async fn running(
    conn: Conn<'_>,
    sweep: Option<&str>,
    most: i64,
) -> Result<Vec<RunningTrial>, sqlx::Error> {
    let sql = "
        SELECT
            t.trial_id, t.schedule, t.base_lr, t.seed, t.steps_done, t.steps, t.attempts, t.started_at, l.runner_id
        FROM trials AS t LEFT JOIN leases AS l ON l.trial_id = t.trial_id
        WHERE t.status = 'running'
            AND ($1 IS NULL OR t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1))
        ORDER BY t.started_at, t.trial_id LIMIT $2";
    on!(conn, c => sqlx::query_as(sql).bind(sweep).bind(most).fetch_all(c).await)
}
