//! Statements that write events. Each is one call of SQLite, with several statements if needed, because a round trip
//! to its thread costs more than the statements. Triggers of the database delete what a cut leaves behind: steps that
//! no longer belong to a trial, and evaluations after the cut.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use spec::event::{Evaluated, Measured, StepRow};
use sqlx::AssertSqlSafe;

use crate::backend::{Checkpoint, End, Events, Reported, Start, json};
use crate::error::Fault;
use crate::records::bind;
use crate::sqlite::{Sqlite, steps};

/// The trials in $1 that have not ended.
macro_rules! open {
    () => {
        "(SELECT trial_id FROM trials
        WHERE trial_id IN (SELECT value FROM json_each($1)) AND status NOT IN ('done', 'diverged'))"
    };
}

/// Statements that cut the stages of the open trials in $1 at step $2.
macro_rules! cut {
    () => {
        concat!(
            "DELETE FROM trial_stages WHERE trial_id IN ",
            open!(),
            " AND first_step >= $2;
            UPDATE trial_stages SET end_step = $2 WHERE trial_id IN ",
            open!(),
            " AND end_step > $2;
            UPDATE trials SET steps_done = $2 WHERE trial_id IN ",
            open!(),
            " AND steps_done > $2;"
        )
    };
}

/// Runs after every end of a trial.
const AFTER_END: &str = "
    DELETE FROM trial_stages WHERE trial_id = $1
        AND first_step >= (SELECT steps_done FROM trials WHERE trial_id = $1);
    UPDATE trial_stages SET end_step = t.steps_done FROM trials AS t
    WHERE t.trial_id = $1 AND trial_stages.trial_id = $1 AND end_step > t.steps_done;
    DELETE FROM leases WHERE trial_id = $1 AND EXISTS (
        SELECT 1 FROM trials WHERE trial_id = $1 AND status IN ('done', 'diverged')
    );
    DELETE FROM checkpoints WHERE trial_id = $1 AND EXISTS (
        SELECT 1 FROM trials WHERE trial_id = $1 AND status IN ('done', 'diverged')
    ) RETURNING file";

#[async_trait(?Send)]
impl Events for Sqlite {
    async fn unknown_trial(&mut self, ids: &[&str]) -> Result<Option<String>, Fault> {
        let sql = "
            SELECT value FROM json_each($1) WHERE NOT EXISTS (SELECT 1 FROM trials WHERE trial_id = value) LIMIT 1";
        Ok(sqlx::query_scalar(sql).bind(json(ids)).fetch_optional(&mut self.connection).await?)
    }

    async fn start(&mut self, start: Start<'_>) -> Result<(), Fault> {
        let sql = format!(concat!(cut!(), "UPDATE trials SET {} WHERE trial_id IN ", open!()), start.set);
        let query =
            sqlx::query(AssertSqlSafe(sql)).bind(json(start.trial_ids)).bind(start.step).bind(start.at);
        bind!(query, start.values).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn begin_stage(&mut self, trial_ids: &[String], stage: i64, first: i64) -> Result<(), Fault> {
        let sql = concat!(
            cut!(),
            "INSERT INTO stages (stage_id, first_step) VALUES ($3, $2);
            INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)
            SELECT trial_id, $2, steps, $3 FROM trials WHERE steps > $2 AND trial_id IN ",
            open!(),
        );
        let query = sqlx::query(sql).bind(json(trial_ids)).bind(first).bind(stage);
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn checkpoint(&mut self, checkpoint: Checkpoint<'_>) -> Result<Vec<String>, Fault> {
        let sql = "
            DELETE FROM checkpoints WHERE trial_id IN (SELECT value FROM json_each($1)) RETURNING file;
            INSERT INTO checkpoints (trial_id, step, file, created_at)
            SELECT trial_id, $2, $3, $4 FROM trials
            WHERE trial_id IN (SELECT value FROM json_each($1)) AND status NOT IN ('done', 'diverged')";
        let query = sqlx::query_scalar(sql).bind(json(checkpoint.trial_ids)).bind(checkpoint.step);
        let query = query.bind(checkpoint.file).bind(checkpoint.at);
        Ok(query.fetch_all(&mut self.connection).await?)
    }

    async fn end(&mut self, end: End<'_>) -> Result<Vec<String>, Fault> {
        let sql = format!("{};{AFTER_END}", end.sql);
        let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(end.trial_id);
        Ok(bind!(query, end.values).fetch_all(&mut self.connection).await?)
    }

    async fn unused_files(&mut self, files: Vec<String>) -> Result<Vec<String>, Fault> {
        let sql = "
            SELECT value FROM json_each($1)
            WHERE NOT EXISTS (SELECT 1 FROM checkpoints WHERE file = value)
            GROUP BY value ORDER BY min(key)";
        Ok(sqlx::query_scalar(sql).bind(json(&files)).fetch_all(&mut self.connection).await?)
    }

    async fn stage_steps(&mut self, stages: &[i64]) -> Result<BTreeMap<i64, Range<u64>>, Fault> {
        let sql = "
            SELECT
                stage_id, first_step,
                coalesce((SELECT max(end_step) FROM trial_stages AS g WHERE g.stage_id = s.stage_id), 0)
            FROM stages AS s WHERE stage_id IN (SELECT value FROM json_each($1))";
        let found: Vec<(i64, u64, u64)> =
            sqlx::query_as(sql).bind(json(stages)).fetch_all(&mut self.connection).await?;
        Ok(found.into_iter().map(|(stage, first, end)| (stage, first..end)).collect())
    }

    async fn write_steps(&mut self, rows: &[(i64, &StepRow)]) -> Result<(), Fault> {
        steps::write(&mut self.connection, rows).await
    }

    async fn count_steps(&mut self, reported: &[Reported]) -> Result<(), Fault> {
        steps::count(&mut self.connection, reported).await
    }

    async fn write_evaluations(&mut self, evaluated: &[(i64, &Evaluated)]) -> Result<(), Fault> {
        steps::write_evaluations(&mut self.connection, evaluated).await
    }

    async fn write_measured(&mut self, measured: &[(i64, &Measured)]) -> Result<(), Fault> {
        steps::write_measured(&mut self.connection, measured).await
    }
}
