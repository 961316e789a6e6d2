//! Writes the events of training into the database. A trial that is done or has diverged is never changed by later
//! events. The statements that differ between the databases are the methods of [`Events`](crate::backend::Events).

use std::collections::BTreeMap;

use spec::event::{Evaluated, Event, Measured, Outcome, StepRow};
use spec::record::Value;

use crate::backend::{Backend, Checkpoint, End, Reported, Start, on};
use crate::error::Fault;
use crate::register::integer;

/// Writes a batch, within a transaction of the caller. Returns the checkpoint files that are no longer needed.
pub(crate) async fn write(
    backend: &mut dyn Backend,
    batch: &[Event],
    environment: i64,
    host: &str,
) -> Result<Vec<String>, Fault> {
    let ids = trials(batch);
    if !ids.is_empty()
        && let Some(unknown) = backend.unknown_trial(&ids).await?
    {
        return Err(Fault::UnknownTrial(unknown));
    }
    let mut dropped = Vec::new();
    let mut pending = Pending::default();
    for event in batch {
        if let Event::Steps { stage, rows, evaluated } = event {
            pending.add(*stage, rows, evaluated);
            continue;
        }
        if let Event::Measured { stage, values } = event {
            pending.measured.extend(values.iter().map(|value| (*stage, value)));
            continue;
        }
        pending.write(backend).await?;
        match event {
            Event::Started { trial_ids, step, bits, at } => {
                let by = [
                    ("environment_id", environment.into()),
                    ("host", host.into()),
                    ("bits", bits.map(i64::from).into()),
                ];
                backend.start(start(trial_ids, integer(*step)?, *at, by.into())).await?;
            }
            Event::Stage { stage, first, trial_ids } => {
                backend.begin_stage(trial_ids, integer(*stage)?, integer(*first)?).await?;
            }
            Event::Checkpoint { trial_ids, step, file, at } => {
                let step = integer(*step)?;
                dropped.extend(backend.checkpoint(Checkpoint { trial_ids, step, file, at: *at }).await?);
                // Not needed if all its trials have ended.
                dropped.push(file.clone());
            }
            Event::Loaded { trial_id, files } => loaded(backend, trial_id, files).await?,
            Event::Ended { trial_id, outcome, at } => {
                dropped.extend(backend.end(end(trial_id, outcome, *at)?).await?);
            }
            Event::Steps { .. } | Event::Measured { .. } => {}
        }
    }
    pending.write(backend).await?;
    if dropped.is_empty() { Ok(dropped) } else { backend.unused_files(dropped).await }
}

/// Writes which files a program loaded.
async fn loaded(
    backend: &mut dyn Backend,
    trial_id: &str,
    files: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let Value::Text(files) = Some(files.clone()).into() else { return Ok(()) };
    let sql = "UPDATE trials SET loaded = $2 WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')";
    on!(backend.conn(), c => sqlx::query(sql).bind(trial_id).bind(files).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// The assignments of a start. `by` are columns that describe the worker.
fn start<'a>(trial_ids: &'a [String], step: i64, at: i64, by: Vec<(&str, Value)>) -> Start<'a> {
    let set = format!(
        "status = 'running', attempts = attempts + 1, started_at = coalesce(started_at, $3), finished_at = NULL,
        error = NULL, steps_done = $2, loaded = CASE WHEN $2 = 0 THEN NULL ELSE loaded END{}",
        assignments(&by, 4)
    );
    Start { trial_ids, step, at, set, values: by.into_iter().map(|(_, value)| value).collect() }
}

/// `, COLUMN = $4, COLUMN = $5 …`.
fn assignments(values: &[(&str, Value)], first: usize) -> String {
    (first..).zip(values).map(|(number, (column, _))| format!(", {column} = ${number}")).collect()
}

/// The update for the end of a trial.
fn end<'a>(trial_id: &'a str, outcome: &Outcome, at: i64) -> Result<End<'a>, Fault> {
    let (set, values) = match outcome {
        Outcome::Done(results) => (
            "status = 'done', steps_done = steps",
            vec![
                ("finished_at", at.into()),
                ("final_train_loss", results.train_loss.into()),
                ("final_valid_loss", results.valid_loss.into()),
                ("valid_accuracy", results.valid_accuracy.into()),
                ("test_loss", results.test_loss.into()),
                ("test_accuracy", results.test_accuracy.into()),
                ("metrics", results.metrics.clone().into()),
                ("digest", results.digest.clone().into()),
                ("weights_hash", results.weights_hash.clone().into()),
            ],
        ),
        // Trials that share its steps may already have later ones.
        Outcome::Diverged { at: step, loss, digest } => (
            "status = 'diverged', steps_done = CASE WHEN steps_done > $2 THEN $2 + 1 ELSE steps_done END",
            vec![
                ("diverged_at", integer(*step)?.into()),
                ("finished_at", at.into()),
                ("diverged_loss", (*loss).into()),
                ("digest", digest.clone().into()),
            ],
        ),
        Outcome::Failed { .. } | Outcome::GivenUp { .. } => {
            ("status = 'failed'", vec![("finished_at", at.into()), ("error", outcome.error().into())])
        }
        Outcome::Stopped { steps } => ("status = 'stopped'", vec![("steps_done", integer(*steps)?.into())]),
    };
    let sql = format!(
        "UPDATE trials SET {set}{} WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')",
        assignments(&values, 2)
    );
    Ok(End { trial_id, sql, values: values.into_iter().map(|(_, value)| value).collect() })
}

/// Ids of all trials in a batch, without duplicates.
fn trials(batch: &[Event]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for event in batch {
        match event {
            Event::Started { trial_ids, .. }
            | Event::Stage { trial_ids, .. }
            | Event::Checkpoint { trial_ids, .. } => ids.extend(trial_ids.iter().map(String::as_str)),
            Event::Steps { evaluated, .. } => ids.extend(evaluated.iter().map(|row| row.trial_id.as_str())),
            Event::Measured { values, .. } => ids.extend(values.iter().map(|value| value.trial_id.as_str())),
            Event::Loaded { trial_id, .. } | Event::Ended { trial_id, .. } => ids.push(trial_id),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Steps that are not written yet, by stage. Most of what is written are steps, so they are collected and written
/// many at a time.
#[derive(Debug, Default)]
struct Pending<'a> {
    rows: BTreeMap<u64, Vec<&'a StepRow>>,
    evaluated: Vec<(u64, &'a Evaluated)>,
    measured: Vec<(u64, &'a Measured)>,
}

impl<'a> Pending<'a> {
    fn add(&mut self, stage: u64, rows: &'a [StepRow], evaluated: &'a [Evaluated]) {
        self.rows.entry(stage).or_default().extend(rows);
        self.evaluated.extend(evaluated.iter().map(|row| (stage, row)));
    }

    /// Writes everything, and leaves nothing pending.
    async fn write(&mut self, backend: &mut dyn Backend) -> Result<(), Fault> {
        let Self { rows, evaluated, measured } = std::mem::take(self);
        write_steps(backend, rows).await?;
        if !evaluated.is_empty() {
            let evaluated = evaluated.into_iter().map(|(stage, row)| Ok((integer(stage)?, row)));
            backend.write_evaluations(&evaluated.collect::<Result<Vec<_>, Fault>>()?).await?;
        }
        if !measured.is_empty() {
            let measured = measured.into_iter().map(|(stage, row)| Ok((integer(stage)?, row)));
            backend.write_measured(&measured.collect::<Result<Vec<_>, Fault>>()?).await?;
        }
        Ok(())
    }
}

/// Writes steps, by stage.
async fn write_steps(backend: &mut dyn Backend, by_stage: BTreeMap<u64, Vec<&StepRow>>) -> Result<(), Fault> {
    if by_stage.is_empty() {
        return Ok(());
    }
    let stages = by_stage.keys().map(|stage| integer(*stage)).collect::<Result<Vec<i64>, Fault>>()?;
    let known = backend.stage_steps(&stages).await?;
    let (mut rows, mut reported) = (Vec::new(), Vec::new());
    for (stage, of_stage) in by_stage {
        let number = integer(stage)?;
        let steps = known.get(&number).ok_or(Fault::UnknownStage(stage))?;
        // Steps that do not belong to any trial are not stored.
        let wanted: Vec<&StepRow> = of_stage.into_iter().filter(|row| steps.contains(&row.step)).collect();
        if let (Some(first), Some(last)) = (wanted.first(), wanted.last()) {
            let (first, end) = (integer(first.step)?, integer(last.step + 1)?);
            reported.push(Reported { stage: number, first, end });
        }
        rows.extend(wanted.into_iter().map(|row| (number, row)));
    }
    if !rows.is_empty() {
        backend.write_steps(&rows).await?;
        backend.count_steps(&reported).await?;
    }
    Ok(())
}
