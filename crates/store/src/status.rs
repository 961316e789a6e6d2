//! Who is at work, and how far each sweep is.

use std::path::Path;

use sqlx::SqliteConnection;

use crate::error::Fault;
use crate::lock;

/// How far a sweep is: its trials, each once however many cells ask for it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
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
    pub left: i64,
    /// Not begun.
    pub queued: i64,
    /// Stopped on request.
    pub stopped: i64,
    /// Could not be trained.
    pub failed: i64,
    /// When it was registered last: UTC, milliseconds since 1970.
    pub updated_at: i64,
}

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
    /// Whether it waits for trials that others have.
    pub idle: bool,
    /// Trials that it has.
    pub trials: i64,
    /// Those of them that it has begun.
    pub running: i64,
    /// UTC, milliseconds since 1970.
    pub started_at: i64,
    /// Its last sign of life, by its own clock.
    pub seen_at: i64,
    /// Whether its process is gone; `None` where that can't be seen from here.
    pub dead: Option<bool>,
}

/// A trial that is begun.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
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

/// All sweeps, the one that was run last first.
pub(crate) async fn sweeps(connection: &mut SqliteConnection) -> Result<Vec<SweepStatus>, Fault> {
    let sql = "
        SELECT
            s.sweep, count(t.trial_id) AS trials,
            coalesce(sum(t.status = 'done'), 0) AS done, coalesce(sum(t.status = 'diverged'), 0) AS diverged,
            coalesce(sum(t.status = 'running' AND l.trial_id IS NOT NULL), 0) AS running,
            coalesce(sum(t.status = 'running' AND l.trial_id IS NULL), 0) AS left,
            coalesce(sum(t.status = 'queued'), 0) AS queued, coalesce(sum(t.status = 'stopped'), 0) AS stopped,
            coalesce(sum(t.status = 'failed'), 0) AS failed, s.updated_at
        FROM sweeps AS s
        LEFT JOIN (SELECT DISTINCT sweep, trial_id FROM cells) AS c ON c.sweep = s.sweep
        LEFT JOIN trials AS t ON t.trial_id = c.trial_id
        LEFT JOIN leases AS l ON l.trial_id = t.trial_id
        GROUP BY s.sweep ORDER BY s.updated_at DESC, s.sweep";
    Ok(sqlx::query_as(sql).fetch_all(connection).await?)
}

/// All runners that have not ended.
pub(crate) async fn runners(
    connection: &mut SqliteConnection,
    dir: &Path,
) -> Result<Vec<RunnerStatus>, Fault> {
    type Row = (i64, Option<String>, String, i64, bool, i64, i64, i64, i64);
    let sql = "
        SELECT
            r.runner_id, r.sweep, r.host, r.pid, r.idle, count(l.trial_id), count(t.trial_id), r.started_at, r.seen_at
        FROM runners AS r
        LEFT JOIN leases AS l ON l.runner_id = r.runner_id
        LEFT JOIN trials AS t ON t.trial_id = l.trial_id AND t.status = 'running'
        WHERE r.ended_at IS NULL
        GROUP BY r.runner_id ORDER BY r.runner_id";
    let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(connection).await?;
    let here = lock::host();
    let runners =
        rows.into_iter().map(|(runner_id, sweep, host, pid, idle, trials, running, started_at, seen_at)| {
            RunnerStatus {
                dead: (host == here).then(|| lock::is_free(&lock::of_runner(dir, runner_id))),
                runner_id,
                sweep,
                host,
                pid,
                idle,
                trials,
                running,
                started_at,
                seen_at,
            }
        });
    Ok(runners.collect())
}

/// Trials that are begun, those first that were begun first; at most `most`.
pub(crate) async fn running(
    connection: &mut SqliteConnection,
    sweep: Option<&str>,
    most: i64,
) -> Result<Vec<RunningTrial>, Fault> {
    let sql = "
        SELECT
            t.trial_id, t.schedule, t.base_lr, t.seed, t.steps_done, t.steps, t.attempts, t.started_at, l.runner_id
        FROM trials AS t LEFT JOIN leases AS l ON l.trial_id = t.trial_id
        WHERE t.status = 'running'
            AND (?1 IS NULL OR t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = ?1))
        ORDER BY t.started_at, t.trial_id LIMIT ?2";
    Ok(sqlx::query_as(sql).bind(sweep).bind(most).fetch_all(connection).await?)
}
