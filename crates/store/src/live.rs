//! Reads for a program that follows a sweep while it is trained: what changed since the last read, sampled curves, stages. Each
//! read is short, so it never holds up a writer.

use std::path::Path;
use std::time::Duration;

use spec::record::TrialRecord;
use sqlx::AssertSqlSafe;

use crate::backend::{Conn, from_row, json, listed, on};
use crate::error::StoreError;
use crate::reader::Reader;
use crate::records::{self, Which};
use crate::status::{SweepStatus, count_by_status};

/// Numbers about the distinct trials of a sweep. They change whenever a trial changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepCounts {
    /// Number of all its trials.
    pub trials: i64,
    /// Number of its runs; a trial that two schedules use is two runs.
    pub cells: i64,
    /// Trained to the end.
    pub done: i64,
    /// Diverged.
    pub diverged: i64,
    /// In progress, and leased to a runner.
    pub running: i64,
    /// In progress, but their runner has ended.
    pub left_over: i64,
    /// Not started.
    pub queued: i64,
    /// Stopped on request.
    pub stopped: i64,
    /// Failed.
    pub failed: i64,
    /// Stored steps of all trials.
    pub steps_done: i64,
    /// Steps of all trials, those of an ended trial only up to its end.
    pub steps: i64,
    /// How often its trials were started or resumed.
    pub attempts: i64,
    /// When the sweep was last run: UTC, milliseconds since 1970.
    pub updated_at: i64,
}

from_row!(SweepCounts {
    trials,
    cells,
    done,
    diverged,
    running,
    left_over,
    queued,
    stopped,
    failed,
    steps_done,
    steps,
    attempts,
    updated_at
});

impl SweepCounts {
    /// The numbers of trials by state.
    pub fn status(&self, sweep: &str) -> SweepStatus {
        SweepStatus {
            sweep: sweep.to_owned(),
            trials: self.trials,
            done: self.done,
            diverged: self.diverged,
            running: self.running,
            left_over: self.left_over,
            queued: self.queued,
            stopped: self.stopped,
            failed: self.failed,
            updated_at: self.updated_at,
        }
    }
}

/// The steps of a trial within a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialStage {
    /// The trial.
    pub trial_id: String,
    /// The stage.
    pub stage_id: i64,
    /// The first step that the trial has in the stage.
    pub first_step: i64,
    /// The first step after them.
    pub end_step: i64,
}

from_row!(TrialStage { trial_id, stage_id, first_step, end_step });

/// The mean over an interval of steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepMean {
    /// The first step after the last one of the interval.
    pub end: i64,
    /// Number of steps in it.
    pub steps: i64,
    /// Mean training loss; `None` if it is NaN or was not reported.
    pub train_loss: Option<f64>,
    /// Mean gradient norm.
    pub grad_norm: Option<f64>,
}

from_row!(StepMean { end, steps, train_loss, grad_norm });

impl Reader {
    /// Longest time that a read waits for a lock of another program.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn set_patience(&mut self, longest: Duration) -> Result<(), StoreError> {
        let ms = longest.as_millis();
        let sql = match self.conn() {
            Conn::Sqlite(_) => format!("PRAGMA busy_timeout = {ms}"),
            Conn::Postgres(_) => format!("SET statement_timeout = {ms}"),
        };
        let set = on!(self.conn(), c => sqlx::raw_sql(AssertSqlSafe(sql)).execute(c).await.map(|_| ()));
        set.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The end of [`Reader::hold_snapshot`]: later reads see the current state of the database.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn release_snapshot(&mut self) -> Result<(), StoreError> {
        let done = on!(self.conn(), c => sqlx::raw_sql("COMMIT").execute(c).await.map(|_| ()));
        done.map_err(|error| StoreError::at(self.name(), error))
    }

    /// A number that changes with each commit of another connection. `None` if the database has none; then every read may find
    /// a change.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn change_counter(&mut self) -> Result<Option<i64>, StoreError> {
        let Conn::Sqlite(connection) = self.conn() else { return Ok(None) };
        let found = sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await;
        found.map(Some).map_err(|error| StoreError::at(self.name(), error))
    }

    /// The file that this reader has opened, to notice that another file has replaced it. `None` for a server.
    pub fn file(&self) -> Option<&Path> {
        self.is_file().then(|| self.name())
    }

    /// The numbers of one sweep; `None` if the sweep does not exist.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn counts(&mut self, sweep: &str) -> Result<Option<SweepCounts>, StoreError> {
        let sql = concat!(
            "SELECT s.updated_at, ",
            count_by_status!(),
            ", (SELECT count(*) FROM cells WHERE sweep = $1) AS cells,
                CAST(coalesce(sum(t.steps_done), 0) AS BIGINT) AS steps_done,
                CAST(coalesce(sum(CASE WHEN t.status IN ('done', 'diverged') THEN t.steps_done ELSE t.steps END), 0) AS BIGINT)
                    AS steps,
                CAST(coalesce(sum(t.attempts), 0) AS BIGINT) AS attempts
            FROM sweeps AS s
            LEFT JOIN (SELECT DISTINCT trial_id FROM cells WHERE sweep = $1) AS c ON 1 = 1
            LEFT JOIN trials AS t ON t.trial_id = c.trial_id
            LEFT JOIN leases AS l ON l.trial_id = t.trial_id
            WHERE s.sweep = $1
            GROUP BY s.sweep, s.updated_at"
        );
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(sweep).fetch_optional(c).await);
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The trials of a sweep that are in progress, and those that started or ended at this time (milliseconds since 1970) or
    /// later. Each once, without the values that it has in this sweep only.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn recent(&mut self, sweep: &str, since: i64) -> Result<Vec<TrialRecord>, StoreError> {
        let found = records::read(self.conn(), Which::Recent(sweep, since)).await;
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// Training loss and gradient norm of one trial as means over intervals of `every` steps, in order.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn step_means(&mut self, trial_id: &str, every: u64) -> Result<Vec<StepMean>, StoreError> {
        let sql = "
            SELECT max(s.step) + 1 AS \"end\", count(*) AS steps, avg(s.train_loss) AS train_loss, avg(s.grad_norm) AS grad_norm
            FROM trial_stages AS g
            JOIN steps AS s ON s.stage_id = g.stage_id AND s.step >= g.first_step AND s.step < g.end_step
            WHERE g.trial_id = $1
            GROUP BY s.step / $2 ORDER BY 1";
        let every = i64::try_from(every.max(1)).unwrap_or(i64::MAX);
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(trial_id).bind(every).fetch_all(c).await);
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The validation losses of one trial after every `every` updates and after `last` updates: number of updates and loss.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn evaluated(
        &mut self,
        trial_id: &str,
        every: u64,
        last: i64,
    ) -> Result<Vec<(i64, f64)>, StoreError> {
        let sql = "
            SELECT step + 1, valid_loss FROM evaluations
            WHERE trial_id = $1 AND valid_loss IS NOT NULL AND ((step + 1) % $2 = 0 OR step + 1 = $3)
            ORDER BY step";
        let every = i64::try_from(every.max(1)).unwrap_or(i64::MAX);
        let found = on!(self.conn(), c => {
            sqlx::query_as(sql).bind(trial_id).bind(every).bind(last).fetch_all(c).await
        });
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The learning rates of one trial at these steps, in order; NaN rates are left out.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn lrs_at(&mut self, trial_id: &str, steps: &[i64]) -> Result<Vec<(i64, f64)>, StoreError> {
        let sql = self.conn().pick(
            "SELECT s.step, s.lr FROM json_each($2) AS w
            CROSS JOIN trial_stages AS g ON g.trial_id = $1 AND g.first_step <= w.value AND g.end_step > w.value
            CROSS JOIN steps AS s ON s.stage_id = g.stage_id AND s.step = w.value
            WHERE s.lr IS NOT NULL ORDER BY s.step",
            "SELECT s.step, s.lr FROM (SELECT json_array_elements_text($2::json)::bigint AS value) AS w
            JOIN trial_stages AS g ON g.trial_id = $1 AND g.first_step <= w.value AND g.end_step > w.value
            JOIN steps AS s ON s.stage_id = g.stage_id AND s.step = w.value
            WHERE s.lr IS NOT NULL ORDER BY s.step",
        );
        let steps = json(steps);
        let found =
            on!(self.conn(), c => sqlx::query_as(sql).bind(trial_id).bind(&*steps).fetch_all(c).await);
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The stages of these trials, by trial and step.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn trial_stages(&mut self, trial_ids: &[String]) -> Result<Vec<TrialStage>, StoreError> {
        let sql = format!(
            "SELECT trial_id, stage_id, first_step, end_step FROM trial_stages WHERE trial_id IN {} ORDER BY trial_id, first_step",
            listed(&self.conn())
        );
        let ids = json(trial_ids);
        let found = on!(self.conn(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await);
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The last stored step of each of these stages.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn last_steps(&mut self, stages: &[i64]) -> Result<Vec<(i64, i64)>, StoreError> {
        let sql = self.conn().pick(
            "SELECT w.value, (SELECT max(step) FROM steps WHERE stage_id = w.value) AS last FROM json_each($1) AS w
            WHERE EXISTS (SELECT 1 FROM steps WHERE stage_id = w.value)",
            "SELECT stage_id, max(step) FROM steps
            WHERE stage_id IN (SELECT json_array_elements_text($1::json)::bigint) GROUP BY stage_id",
        );
        let stages = json(stages);
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(&*stages).fetch_all(c).await);
        found.map_err(|error| StoreError::at(self.name(), error))
    }

    /// The runners that have leased trials of a sweep: trial and runner.
    ///
    /// # Errors
    /// The database can't be read.
    pub async fn leased(&mut self, sweep: &str) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "
            SELECT l.trial_id, l.runner_id FROM leases AS l JOIN trials AS t ON t.trial_id = l.trial_id
            WHERE t.status = 'running' AND l.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1)";
        let found = on!(self.conn(), c => sqlx::query_as(sql).bind(sweep).fetch_all(c).await);
        found.map_err(|error| StoreError::at(self.name(), error))
    }
}
