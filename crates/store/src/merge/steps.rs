//! Copies stages, steps, evaluations and other metrics of the merged trials. Stages get unused numbers; trials that share a stage
//! still share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::shard_fault;
use crate::backend::{from_row, json, listed, on};
use crate::error::Fault;
use crate::reader::Reader;
use crate::records::insert;
use crate::register::integer;
use crate::store::Writer;

/// The steps of a stage that belong to a trial.
struct TrialStage {
    trial_id: String,
    first_step: i64,
    end_step: i64,
    stage_id: i64,
}

from_row!(TrialStage { trial_id, first_step, end_step, stage_id });

/// A step of a stage.
struct Step {
    step: i64,
    lr: Option<f64>,
    train_loss: Option<f64>,
    grad_norm: Option<f64>,
}

from_row!(Step { step, lr, train_loss, grad_norm });

/// A validation loss of a trial.
struct Evaluation {
    trial_id: String,
    step: i64,
    valid_loss: Option<f64>,
}

from_row!(Evaluation { trial_id, step, valid_loss });

/// A value of another metric of a trial.
struct MetricValue {
    trial_id: String,
    name: String,
    step: i64,
    value: Option<f64>,
}

from_row!(MetricValue { trial_id, name, step, value });

/// Copies all steps of these trials.
pub(super) async fn copy(writer: &mut Writer, shard: &mut Reader, ids: &[String]) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids = json(ids);
    let sql = format!(
        "SELECT trial_id, first_step, end_step, stage_id FROM trial_stages WHERE trial_id IN {}
        ORDER BY stage_id, trial_id, first_step",
        listed(&shard.conn())
    );
    let found = on!(shard.conn(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await);
    let trial_stages: Vec<TrialStage> = found.map_err(|error| shard_fault(shard, error))?;
    let numbers = stages(writer, shard, &trial_stages).await?;
    let rows = trial_stages.into_iter().map(|stage| {
        let number = numbers.get(&stage.stage_id).copied();
        vec![stage.trial_id.into(), stage.first_step.into(), stage.end_step.into(), number.into()]
    });
    let head = "INSERT INTO trial_stages (trial_id, first_step, end_step, stage_id)";
    insert(writer.backend.conn(), head, rows, "").await?;
    evaluations(writer, shard, Arc::clone(&ids)).await?;
    metric_values(writer, shard, ids).await
}

/// Copies stages with the steps that belong to these trials. Returns the numbers of the stages in this store.
async fn stages(
    writer: &mut Writer,
    shard: &mut Reader,
    trial_stages: &[TrialStage],
) -> Result<HashMap<i64, i64>, Fault> {
    let mut ends: BTreeMap<i64, i64> = BTreeMap::new();
    for stage in trial_stages {
        let end = ends.entry(stage.stage_id).or_insert(stage.end_step);
        *end = stage.end_step.max(*end);
    }
    let mut next = integer(writer.runner.next_stage(writer.backend.conn()).await?)?;
    let mut numbers = HashMap::new();
    for (stage, end) in ends {
        copy_stage(writer, shard, (stage, end), next).await?;
        numbers.insert(stage, next);
        next += 1;
    }
    Ok(numbers)
}

/// Copies a stage and its steps before `end` under a new number.
async fn copy_stage(
    writer: &mut Writer,
    shard: &mut Reader,
    (stage, end): (i64, i64),
    number: i64,
) -> Result<(), Fault> {
    let sql = "SELECT first_step FROM stages WHERE stage_id = $1";
    let found = on!(shard.conn(), c => sqlx::query_scalar(sql).bind(stage).fetch_one(c).await);
    let first: i64 = found.map_err(|error| shard_fault(shard, error))?;
    let sql = "INSERT INTO stages (stage_id, first_step) VALUES ($1, $2)";
    on!(writer.backend.conn(), c => sqlx::query(sql).bind(number).bind(first).execute(c).await.map(|_| ()))?;
    let sql =
        "SELECT step, lr, train_loss, grad_norm FROM steps WHERE stage_id = $1 AND step < $2 ORDER BY step";
    let found = on!(shard.conn(), c => sqlx::query_as(sql).bind(stage).bind(end).fetch_all(c).await);
    let steps: Vec<Step> = found.map_err(|error| shard_fault(shard, error))?;
    let rows = steps.into_iter().map(|step| {
        vec![number.into(), step.step.into(), step.lr.into(), step.train_loss.into(), step.grad_norm.into()]
    });
    let head = "INSERT INTO steps (stage_id, step, lr, train_loss, grad_norm)";
    insert(writer.backend.conn(), head, rows, "").await
}

async fn evaluations(writer: &mut Writer, shard: &mut Reader, ids: Arc<str>) -> Result<(), Fault> {
    let sql = format!(
        "SELECT trial_id, step, valid_loss FROM evaluations WHERE trial_id IN {}",
        listed(&shard.conn())
    );
    let found = on!(shard.conn(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await);
    let found: Vec<Evaluation> = found.map_err(|error| shard_fault(shard, error))?;
    let rows = found.into_iter().map(|row| vec![row.trial_id.into(), row.step.into(), row.valid_loss.into()]);
    insert(writer.backend.conn(), "INSERT INTO evaluations (trial_id, step, valid_loss)", rows, "").await
}

async fn metric_values(writer: &mut Writer, shard: &mut Reader, ids: Arc<str>) -> Result<(), Fault> {
    let sql = format!(
        "SELECT trial_id, name, step, value FROM metric_values WHERE trial_id IN {}",
        listed(&shard.conn())
    );
    let found = on!(shard.conn(), c => sqlx::query_as(AssertSqlSafe(sql)).bind(&*ids).fetch_all(c).await);
    let found: Vec<MetricValue> = found.map_err(|error| shard_fault(shard, error))?;
    let rows = found
        .into_iter()
        .map(|row| vec![row.trial_id.into(), row.name.into(), row.step.into(), row.value.into()]);
    insert(writer.backend.conn(), "INSERT INTO metric_values (trial_id, name, step, value)", rows, "").await
}
