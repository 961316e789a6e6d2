//! Statements that write events. They take many values at once, because each statement is a round trip to the server.

use std::collections::BTreeMap;
use std::ops::Range;

use async_trait::async_trait;
use spec::event::{Evaluated, Measured, StepRow};
use spec::record::Value;
use sqlx::AssertSqlSafe;

use crate::backend::{Checkpoint, End, Events, Reported, Start};
use crate::error::Fault;
use crate::postgres::Postgres;
use crate::records::bind;
use crate::register::integer;

/// For the trials in $1 that have not ended: cuts their stages at step $2. The two parts change different rows.
macro_rules! cut {
    () => {
        "WITH open AS (
            SELECT trial_id FROM trials WHERE trial_id = ANY($1) AND status NOT IN ('done', 'diverged')
        ), dropped AS (
            DELETE FROM trial_stages WHERE trial_id IN (SELECT trial_id FROM open) AND first_step >= $2
        ), shortened AS (
            UPDATE trial_stages SET end_step = $2
            WHERE trial_id IN (SELECT trial_id FROM open) AND first_step < $2 AND end_step > $2
        )"
    };
}

/// Runs after every end of a trial.
const AFTER_END: &str = "
    WITH ended AS (
        SELECT trial_id, steps_done, status IN ('done', 'diverged') AS is_over FROM trials WHERE trial_id = $1
    ), dropped AS (
        DELETE FROM trial_stages AS g USING ended AS e
        WHERE g.trial_id = e.trial_id AND g.first_step >= e.steps_done
    ), shortened AS (
        UPDATE trial_stages AS g SET end_step = e.steps_done FROM ended AS e
        WHERE g.trial_id = e.trial_id AND g.first_step < e.steps_done AND g.end_step > e.steps_done
    ), freed AS (
        DELETE FROM leases AS l USING ended AS e WHERE l.trial_id = e.trial_id AND e.is_over
    )
    DELETE FROM checkpoints AS k USING ended AS e WHERE k.trial_id = e.trial_id AND e.is_over RETURNING k.file";

/// A number, or NULL for a NaN, as in SQLite, so that comparisons and means in SQL are the same in both databases.
fn real(x: f64) -> Option<f64> {
    (!x.is_nan()).then_some(x)
}

/// PostgreSQL rejects NUL characters in text.
fn without_nul(value: Value) -> Value {
    match value {
        Value::Text(Some(text)) => Value::Text(Some(text.replace('\0', "\u{fffd}"))),
        value => value,
    }
}

#[async_trait(?Send)]
impl Events for Postgres {
    async fn unknown_trial(&mut self, ids: &[&str]) -> Result<Option<String>, Fault> {
        let sql = "
            SELECT w.id FROM unnest($1::text[]) AS w (id)
            WHERE NOT EXISTS (SELECT 1 FROM trials AS t WHERE t.trial_id = w.id) LIMIT 1";
        Ok(sqlx::query_scalar(sql).bind(ids).fetch_optional(&mut self.connection).await?)
    }

    async fn start(&mut self, start: Start<'_>) -> Result<(), Fault> {
        let sql = format!(
            concat!(cut!(), "UPDATE trials SET {} WHERE trial_id IN (SELECT trial_id FROM open)"),
            start.set
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(start.trial_ids).bind(start.step).bind(start.at);
        bind!(query, start.values).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn begin_stage(&mut self, trial_ids: &[String], stage: i64, first: i64) -> Result<(), Fault> {
        let sql = concat!(
            cut!(),
            "UPDATE trials SET steps_done = $2
            WHERE steps_done > $2 AND trial_id IN (SELECT trial_id FROM open)",
        );
        sqlx::query(sql).bind(trial_ids).bind(first).execute(&mut self.connection).await?;
        let sql = "
            WITH stage AS (INSERT INTO stages (stage_id, first_step) VALUES ($3, $2))
            INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)
            SELECT trial_id, $2, steps, $3 FROM trials
            WHERE trial_id = ANY($1) AND status NOT IN ('done', 'diverged') AND steps > $2";
        sqlx::query(sql).bind(trial_ids).bind(first).bind(stage).execute(&mut self.connection).await?;
        Ok(())
    }

    async fn checkpoint(&mut self, checkpoint: Checkpoint<'_>) -> Result<Vec<String>, Fault> {
        let Checkpoint { trial_ids, step, file, at } = checkpoint;
        let sql = "DELETE FROM checkpoints WHERE trial_id = ANY($1) RETURNING file";
        let files = sqlx::query_scalar(sql).bind(trial_ids).fetch_all(&mut self.connection).await?;
        let sql = "
            INSERT INTO checkpoints (trial_id, step, file, created_at)
            SELECT trial_id, $2, $3, $4 FROM trials
            WHERE trial_id = ANY($1) AND status NOT IN ('done', 'diverged')";
        let query = sqlx::query(sql).bind(trial_ids).bind(step).bind(file).bind(at);
        query.execute(&mut self.connection).await?;
        Ok(files)
    }

    async fn end(&mut self, end: End<'_>) -> Result<Vec<String>, Fault> {
        let query = sqlx::query(AssertSqlSafe(end.sql)).bind(end.trial_id);
        let values = end.values.into_iter().map(without_nul);
        bind!(query, values).execute(&mut self.connection).await?;
        Ok(sqlx::query_scalar(AFTER_END).bind(end.trial_id).fetch_all(&mut self.connection).await?)
    }

    async fn unused_files(&mut self, files: Vec<String>) -> Result<Vec<String>, Fault> {
        let sql = "
            SELECT w.file FROM unnest($1::text[]) WITH ORDINALITY AS w (file, place)
            WHERE NOT EXISTS (SELECT 1 FROM checkpoints AS k WHERE k.file = w.file)
            GROUP BY w.file ORDER BY min(w.place)";
        Ok(sqlx::query_scalar(sql).bind(&files).fetch_all(&mut self.connection).await?)
    }

    async fn stage_steps(&mut self, stages: &[i64]) -> Result<BTreeMap<i64, Range<u64>>, Fault> {
        let sql = "
            SELECT
                s.stage_id, s.first_step,
                coalesce((SELECT max(g.end_step) FROM trial_stages AS g WHERE g.stage_id = s.stage_id), 0)
            FROM stages AS s WHERE s.stage_id = ANY($1)";
        let found: Vec<(i64, i64, i64)> =
            sqlx::query_as(sql).bind(stages).fetch_all(&mut self.connection).await?;
        let steps = |first: i64, end: i64| first.unsigned_abs()..end.unsigned_abs();
        Ok(found.into_iter().map(|(stage, first, end)| (stage, steps(first, end))).collect())
    }

    async fn write_steps(&mut self, rows: &[(i64, &StepRow)]) -> Result<(), Fault> {
        let stages: Vec<i64> = rows.iter().map(|(stage, _)| *stage).collect();
        let steps = rows.iter().map(|(_, row)| integer(row.step)).collect::<Result<Vec<i64>, Fault>>()?;
        let reals = |of: fn(&StepRow) -> f64| -> Vec<Option<f64>> {
            rows.iter().map(|(_, row)| real(of(row))).collect()
        };
        let sql = "
            INSERT INTO steps (stage_id, step, lr, train_loss, grad_norm)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[])
            ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql).bind(stages).bind(steps).bind(reals(|row| row.lr));
        let query = query.bind(reals(|row| row.train_loss)).bind(reals(|row| row.grad_norm));
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn count_steps(&mut self, reported: &[Reported]) -> Result<(), Fault> {
        let sql = "
            UPDATE trials AS t SET steps_done = n.steps_done
            FROM (
                SELECT g.trial_id, max(least(w.end_step, g.end_step)) AS steps_done
                FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (stage_id, first_step, end_step)
                JOIN trial_stages AS g ON g.stage_id = w.stage_id AND g.end_step > w.first_step
                GROUP BY g.trial_id
            ) AS n
            WHERE t.trial_id = n.trial_id AND n.steps_done > t.steps_done";
        let numbers = |of: fn(&Reported) -> i64| -> Vec<i64> { reported.iter().map(of).collect() };
        let query = sqlx::query(sql).bind(numbers(|steps| steps.stage));
        let query = query.bind(numbers(|steps| steps.first)).bind(numbers(|steps| steps.end));
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn write_evaluations(&mut self, evaluated: &[(i64, &Evaluated)]) -> Result<(), Fault> {
        // If a step is evaluated twice, the last value counts. One statement can't change a row twice.
        let mut last: BTreeMap<(&str, u64), (i64, f64)> = BTreeMap::new();
        for (stage, row) in evaluated {
            last.insert((&row.trial_id, row.step), (*stage, row.valid_loss));
        }
        let (mut stages, mut trials, mut steps, mut losses) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((trial, step), (stage, loss)) in last {
            stages.push(stage);
            trials.push(trial.to_owned());
            steps.push(integer(step)?);
            losses.push(real(loss));
        }
        let sql = "
            INSERT INTO evaluations (trial_id, step, valid_loss)
            SELECT w.trial_id, w.step, w.valid_loss
            FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::float8[]) AS w (stage_id, trial_id, step, valid_loss)
            JOIN trials AS t ON t.trial_id = w.trial_id AND t.status NOT IN ('done', 'diverged')
            JOIN trial_stages AS g
                ON g.trial_id = w.trial_id AND g.first_step <= w.step AND g.end_step > w.step
                AND g.stage_id = w.stage_id
            ON CONFLICT (trial_id, step) DO UPDATE SET valid_loss = excluded.valid_loss";
        let query = sqlx::query(sql).bind(stages).bind(trials).bind(steps).bind(losses);
        query.execute(&mut self.connection).await?;
        Ok(())
    }

    async fn write_measured(&mut self, measured: &[(i64, &Measured)]) -> Result<(), Fault> {
        // If a metric is reported twice for a step, the last value counts. One statement can't change a row twice.
        let mut last: BTreeMap<(&str, &str, u64), (i64, f64)> = BTreeMap::new();
        for (stage, row) in measured {
            last.insert((&row.trial_id, &row.name, row.step), (*stage, row.value));
        }
        let (mut stages, mut trials, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let (mut steps, mut values) = (Vec::new(), Vec::new());
        for ((trial, name, step), (stage, value)) in last {
            stages.push(stage);
            trials.push(trial.to_owned());
            names.push(name.to_owned());
            steps.push(integer(step)?);
            values.push(real(value));
        }
        let sql = "
            INSERT INTO metric_values (trial_id, name, step, value)
            SELECT w.trial_id, w.name, w.step, w.value
            FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::float8[])
                AS w (stage_id, trial_id, name, step, value)
            JOIN trials AS t ON t.trial_id = w.trial_id AND t.status NOT IN ('done', 'diverged')
            JOIN trial_stages AS g
                ON g.trial_id = w.trial_id AND g.first_step <= w.step AND g.end_step > w.step
                AND g.stage_id = w.stage_id
            ON CONFLICT (trial_id, name, step) DO UPDATE SET value = excluded.value";
        let query = sqlx::query(sql).bind(stages).bind(trials).bind(names).bind(steps).bind(values);
        query.execute(&mut self.connection).await?;
        Ok(())
    }
}
