//! One run: all columns of its trial, and its curve.

use report::views::RunCurve;
use serde_json::{Map, Value as Json};
use spec::record::{COLUMNS, ENVIRONMENT_COLUMNS, Kind, TrialRecord, Value};
use store::Reader;
use sweep::Error;
use sweep::stored::by_id;

/// Most validation losses of a run.
const MOST_EVALUATIONS: u64 = 20_000;

/// The run of the trial whose id begins with `id`, at about this many points.
///
/// # Errors
/// There is no such trial, or the store can't be read.
pub(crate) async fn run(reader: &mut Reader, id: &str, points: u64) -> Result<RunCurve, Error> {
    let row = by_id(reader, id).await?;
    let done = row.steps_done.max(0);
    let every = done.unsigned_abs().div_ceil(points.max(1)).max(1);
    let means = reader.step_means(&row.trial_id, every).await?;
    let last: Vec<i64> = means.iter().map(|mean| mean.end - 1).collect();
    let lrs: std::collections::HashMap<i64, f64> =
        reader.lrs_at(&row.trial_id, &last).await?.into_iter().collect();
    let evaluations = row.steps.unsigned_abs() / MOST_EVALUATIONS + 1;
    let (valid_x, valid) = reader.evaluated(&row.trial_id, evaluations, row.steps).await?.into_iter().unzip();
    Ok(RunCurve {
        x: means.iter().map(|mean| mean.end).collect(),
        train: means.iter().map(|mean| mean.train_loss).collect(),
        grad_norm: means.iter().map(|mean| mean.grad_norm).collect(),
        lr: last.iter().map(|step| lrs.get(step).copied()).collect(),
        valid_x,
        valid,
        diverged_at: row.diverged_at,
        trial: columns(&row),
    })
}

/// All columns by name; times are milliseconds since 1970.
fn columns(row: &TrialRecord) -> Map<String, Json> {
    let json = |kind: Kind, value: Value| match value {
        Value::Integer(number) => number.into(),
        Value::Real(number) => number.into(),
        Value::Text(None) => Json::Null,
        Value::Text(Some(text)) => match kind {
            Kind::Axes | Kind::Files | Kind::Metrics | Kind::Json => {
                serde_json::from_str(&text).unwrap_or(Json::String(text))
            }
            _ => text.into(),
        },
    };
    let mut all: Map<String, Json> = COLUMNS
        .iter()
        .filter(|column| column.name != "environment_id")
        .map(|column| (column.name.to_owned(), json(column.kind, (column.get)(row))))
        .collect();
    if let Some(environment) = row.environment.as_deref() {
        let own = ENVIRONMENT_COLUMNS.iter();
        all.extend(own.map(|column| (column.name.to_owned(), json(column.kind, (column.get)(environment)))));
    }
    all
}
