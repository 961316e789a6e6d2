//! What training told, into the database of a server. The same as `sqlite::event` does, in statements that take many values
//! at once: each costs a way there and back. A trial that is done or has diverged stays as it is, whatever comes after.

use std::collections::BTreeMap;

use spec::event::{Evaluated, Event, Outcome, StepRow};
use sqlx::PgConnection;

use crate::backend::Conn;
use crate::error::Fault;
use crate::event::By;
use crate::register::integer;

/// Writes a batch, within a transaction of the caller's. Gives the checkpoint files that are not needed any more.
pub(crate) async fn write(
    connection: &mut PgConnection,
    batch: &[Event],
    environment: i64,
    host: &str,
) -> Result<Vec<String>, Fault> {
    check(connection, batch).await?;
    let mut given_up = Vec::new();
    let mut pending = Pending::default();
    for event in batch {
        if let Event::Steps { stage, rows, evaluated } = event {
            pending.add(*stage, rows, evaluated);
            continue;
        }
        pending.write(connection).await?;
        match event {
            Event::Started { trial_ids, step, bits, at } => {
                let by = By { bits: *bits, environment, host };
                started(connection, trial_ids, *step, *at, by).await?;
            }
            Event::Stage { stage, first, trial_ids } => begun(connection, *stage, *first, trial_ids).await?,
            Event::Checkpoint { trial_ids, step, file, at } => {
                given_up.extend(checkpoint(connection, trial_ids, *step, file, *at).await?);
                // Of no use where all its trials are over.
                given_up.push(file.clone());
            }
            Event::Loaded { trial_id, files } => {
                crate::event::loaded(Conn::Postgres(connection), trial_id, files).await?
            }
            Event::Ended { trial_id, outcome, at } => {
                given_up.extend(ended(connection, trial_id, outcome, *at).await?);
            }
            Event::Steps { .. } => {}
        }
    }
    pending.write(connection).await?;
    superseded(connection, given_up).await
}

/// Sees to it that all trials of a batch are known.
async fn check(connection: &mut PgConnection, batch: &[Event]) -> Result<(), Fault> {
    let ids = crate::event::trials(batch);
    if ids.is_empty() {
        return Ok(());
    }
    let sql = "
        SELECT w.id FROM unnest($1::text[]) AS w (id)
        WHERE NOT EXISTS (SELECT 1 FROM trials AS t WHERE t.trial_id = w.id) LIMIT 1";
    let unknown: Option<String> = sqlx::query_scalar(sql).bind(&ids).fetch_optional(connection).await?;
    unknown.map_or(Ok(()), |trial_id| Err(Fault::UnknownTrial(trial_id)))
}

/// Of the trials in $1 those that are not over, and what they lose from step $2 on. The two parts touch different rows.
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

/// A worker took trials up: what they have from `step` on is void.
async fn started(
    connection: &mut PgConnection,
    trial_ids: &[String],
    step: u64,
    at: i64,
    by: By<'_>,
) -> Result<(), Fault> {
    let sql = concat!(
        cut!(),
        "UPDATE trials SET
            status = 'running', attempts = attempts + 1, environment_id = $4, host = $5, bits = $6,
            loaded = CASE WHEN $2 = 0 THEN NULL ELSE loaded END,
            started_at = coalesce(started_at, $3), finished_at = NULL, error = NULL, steps_done = $2
        WHERE trial_id IN (SELECT trial_id FROM open)",
    );
    let query = sqlx::query(sql).bind(trial_ids).bind(integer(step)?).bind(at);
    let query = query.bind(by.environment).bind(by.host).bind(by.bits.map(i64::from));
    query.execute(connection).await?;
    Ok(())
}

/// From step `first` on the steps of a new stage are those of these trials.
async fn begun(
    connection: &mut PgConnection,
    stage: u64,
    first: u64,
    trial_ids: &[String],
) -> Result<(), Fault> {
    let (stage, first) = (integer(stage)?, integer(first)?);
    let sql = concat!(
        cut!(),
        "UPDATE trials SET steps_done = $2
        WHERE steps_done > $2 AND trial_id IN (SELECT trial_id FROM open)",
    );
    sqlx::query(sql).bind(trial_ids).bind(first).execute(&mut *connection).await?;
    let sql = "
        WITH stage AS (INSERT INTO stages (stage_id, first_step) VALUES ($3, $2))
        INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)
        SELECT trial_id, $2, steps, $3 FROM trials
        WHERE trial_id = ANY($1) AND status NOT IN ('done', 'diverged') AND steps > $2";
    sqlx::query(sql).bind(trial_ids).bind(first).bind(stage).execute(connection).await?;
    Ok(())
}

/// Gives the files from which the trials would have gone on before.
async fn checkpoint(
    connection: &mut PgConnection,
    trial_ids: &[String],
    step: u64,
    file: &str,
    at: i64,
) -> Result<Vec<String>, Fault> {
    let sql = "DELETE FROM checkpoints WHERE trial_id = ANY($1) RETURNING file";
    let files = sqlx::query_scalar(sql).bind(trial_ids).fetch_all(&mut *connection).await?;
    let sql = "
        INSERT INTO checkpoints (trial_id, step, file, created_at)
        SELECT trial_id, $2, $3, $4 FROM trials
        WHERE trial_id = ANY($1) AND status NOT IN ('done', 'diverged')";
    let query = sqlx::query(sql).bind(trial_ids).bind(integer(step)?).bind(file).bind(at);
    query.execute(connection).await?;
    Ok(files)
}

/// A number, or NULL for a NaN, as SQLite has it: comparisons and means in SQL then mean the same in both.
fn real(x: f64) -> Option<f64> {
    (!x.is_nan()).then_some(x)
}

/// Gives the file from which the trial would have gone on.
async fn ended(
    connection: &mut PgConnection,
    trial_id: &str,
    outcome: &Outcome,
    at: i64,
) -> Result<Vec<String>, Fault> {
    let query = match outcome {
        Outcome::Done(results) => sqlx::query(
            "UPDATE trials SET
                status = 'done', finished_at = $2, steps_done = steps, final_train_loss = $3,
                final_valid_loss = $4, valid_accuracy = $5, test_loss = $6, test_accuracy = $7, digest = $8,
                weights_hash = $9
            WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(at)
        .bind(real(results.train_loss))
        .bind(real(results.valid_loss))
        .bind(results.valid_accuracy.and_then(real))
        .bind(results.test_loss.and_then(real))
        .bind(results.test_accuracy.and_then(real))
        .bind(&results.digest)
        .bind(&results.weights_hash),
        // Trials that share its steps may have gone further by now.
        Outcome::Diverged { at: step, loss, digest } => sqlx::query(
            "UPDATE trials SET
                status = 'diverged', finished_at = $2, diverged_at = $3, diverged_loss = $4, digest = $5,
                steps_done = least(steps_done, $3 + 1)
            WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(at)
        .bind(integer(*step)?)
        .bind(real(*loss))
        .bind(digest),
        Outcome::Failed { .. } | Outcome::GivenUp { .. } => sqlx::query(
            "UPDATE trials SET status = 'failed', finished_at = $2, error = $3
            WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(at)
        // The server takes no NUL in a text.
        .bind(outcome.error().map(|error| error.replace('\0', "\u{fffd}"))),
        Outcome::Stopped { steps } => sqlx::query(
            "UPDATE trials SET status = 'stopped', steps_done = $2
            WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')",
        )
        .bind(trial_id)
        .bind(integer(*steps)?),
    };
    query.execute(&mut *connection).await?;
    // The trial takes no part in what its stage is told from now on, and where it is over it needs no checkpoint.
    let sql = "
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
    Ok(sqlx::query_scalar(sql).bind(trial_id).fetch_all(connection).await?)
}

/// Of files that trials gave up those from which no other goes on, each once.
async fn superseded(connection: &mut PgConnection, given_up: Vec<String>) -> Result<Vec<String>, Fault> {
    if given_up.is_empty() {
        return Ok(given_up);
    }
    let sql = "
        SELECT w.file FROM unnest($1::text[]) WITH ORDINALITY AS w (file, place)
        WHERE NOT EXISTS (SELECT 1 FROM checkpoints AS k WHERE k.file = w.file)
        GROUP BY w.file ORDER BY min(w.place)";
    Ok(sqlx::query_scalar(sql).bind(&given_up).fetch_all(connection).await?)
}

/// Rows of steps that are still to be written, by stage.
#[derive(Debug, Default)]
struct Pending<'a> {
    rows: BTreeMap<u64, Vec<&'a StepRow>>,
    evaluated: Vec<(u64, &'a Evaluated)>,
}

/// What is written of steps, by column.
#[derive(Default)]
struct Columns {
    stages: Vec<i64>,
    steps: Vec<i64>,
    lrs: Vec<Option<f64>>,
    losses: Vec<Option<f64>>,
    norms: Vec<Option<f64>>,
}

impl<'a> Pending<'a> {
    fn add(&mut self, stage: u64, rows: &'a [StepRow], evaluated: &'a [Evaluated]) {
        self.rows.entry(stage).or_default().extend(rows);
        self.evaluated.extend(evaluated.iter().map(|seen| (stage, seen)));
    }

    /// Writes everything and is empty then.
    async fn write(&mut self, connection: &mut PgConnection) -> Result<(), Fault> {
        let told = std::mem::take(&mut self.rows);
        let evaluated = std::mem::take(&mut self.evaluated);
        if told.is_empty() {
            return Ok(());
        }
        let stages = told.keys().map(|stage| integer(*stage)).collect::<Result<Vec<i64>, Fault>>()?;
        let ranges = ranges(connection, &stages).await?;
        let mut columns = Columns::default();
        let (mut numbers, mut firsts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (stage, rows) in told {
            let &(first, end) = ranges.get(&stage).ok_or(Fault::UnknownStage(stage))?;
            // What no trial has is not stored.
            let wanted: Vec<&StepRow> =
                rows.into_iter().filter(|row| (first..end).contains(&row.step)).collect();
            let (Some(from), Some(to)) = (wanted.first(), wanted.last()) else { continue };
            numbers.push(integer(stage)?);
            firsts.push(integer(from.step)?);
            ends.push(integer(to.step + 1)?);
            for row in wanted {
                columns.stages.push(integer(stage)?);
                columns.steps.push(integer(row.step)?);
                columns.lrs.push(real(row.lr));
                columns.losses.push(real(row.train_loss));
                columns.norms.push(real(row.grad_norm));
            }
        }
        if !numbers.is_empty() {
            // A row that is there already stays: a trial that is over may have it.
            let sql = "
                INSERT INTO steps (stage_id, step, lr, train_loss, grad_norm)
                SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::float8[], $5::float8[])
                ON CONFLICT DO NOTHING";
            let Columns { stages, steps, lrs, losses, norms } = columns;
            let query = sqlx::query(sql).bind(stages).bind(steps).bind(lrs).bind(losses).bind(norms);
            query.execute(&mut *connection).await?;
            // How many steps the trials have by now, of which these steps were told.
            let sql = "
                UPDATE trials AS t SET steps_done = n.steps_done
                FROM (
                    SELECT g.trial_id, max(least(w.end_step, g.end_step)) AS steps_done
                    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS w (stage_id, first_step, end_step)
                    JOIN trial_stages AS g ON g.stage_id = w.stage_id AND g.end_step > w.first_step
                    GROUP BY g.trial_id
                ) AS n
                WHERE t.trial_id = n.trial_id AND n.steps_done > t.steps_done";
            let query = sqlx::query(sql).bind(numbers).bind(firsts).bind(ends);
            query.execute(&mut *connection).await?;
        }
        write_evaluated(connection, &evaluated).await
    }
}

/// First step of each stage that is known, and the step before which it ends for the last of its trials.
async fn ranges(connection: &mut PgConnection, stages: &[i64]) -> Result<BTreeMap<u64, (u64, u64)>, Fault> {
    let sql = "
        SELECT
            s.stage_id, s.first_step,
            coalesce((SELECT max(g.end_step) FROM trial_stages AS g WHERE g.stage_id = s.stage_id), 0)
        FROM stages AS s WHERE s.stage_id = ANY($1)";
    let found: Vec<(i64, i64, i64)> = sqlx::query_as(sql).bind(stages).fetch_all(connection).await?;
    let number = i64::unsigned_abs;
    Ok(found.into_iter().map(|(stage, first, end)| (number(stage), (number(first), number(end)))).collect())
}

async fn write_evaluated(
    connection: &mut PgConnection,
    evaluated: &[(u64, &Evaluated)],
) -> Result<(), Fault> {
    if evaluated.is_empty() {
        return Ok(());
    }
    // Of what is told twice the last counts; one statement can't change a row twice.
    let mut last: BTreeMap<(&str, u64), (u64, f64)> = BTreeMap::new();
    for (stage, seen) in evaluated {
        last.insert((&seen.trial_id, seen.step), (*stage, seen.valid_loss));
    }
    let (mut stages, mut trials, mut steps, mut losses) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((trial, step), (stage, loss)) in last {
        stages.push(integer(stage)?);
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
    query.execute(connection).await?;
    Ok(())
}
