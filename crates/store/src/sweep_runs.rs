//! What is stored of the runs of one sweep, for those that carry it elsewhere.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::rows::Status;

/// One run that a sweep asks for, with all that is stored of it apart from its steps. Times are UTC,
/// milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRun {
    /// The schedule's name in this sweep.
    pub schedule: String,
    /// The point of the grid without its seed.
    pub config_id: String,
    /// The base lr in this sweep.
    pub base_lr: f64,
    /// The seed.
    pub seed: i64,
    /// What it is for: `all`, `tune` or `decide`.
    pub purpose: String,
    /// How far it is.
    pub status: Status,
    /// Length of the run.
    pub steps: i64,
    /// Steps that are stored.
    pub steps_done: i64,
    /// Loss of the last batch.
    pub final_train_loss: Option<f64>,
    /// Validation loss after the last step.
    pub final_valid_loss: Option<f64>,
    /// Share of validation images named rightly, 0 to 1.
    pub valid_accuracy: Option<f64>,
    /// Test loss after the last step.
    pub test_loss: Option<f64>,
    /// Share of test images named rightly, 0 to 1.
    pub test_accuracy: Option<f64>,
    /// The step whose loss showed that it diverged.
    pub diverged_at: Option<i64>,
    /// When it was taken up first.
    pub started_at: Option<i64>,
    /// When it ended.
    pub finished_at: Option<i64>,
    /// The run.
    pub trial_id: String,
    /// Fingerprint of lr and loss of every step.
    pub digest: Option<String>,
    /// Fingerprint of the final weights.
    pub weights_hash: Option<String>,
    /// Path and value of each axis of its config, as the schedule that asked first has them.
    pub axes: Vec<(String, String)>,
}

/// Those of a sweep, in its order: a run that one schedule asks for twice stands here once.
pub(crate) const SQL: &str = "
    SELECT
        r.schedule, r.config_id, r.base_lr, r.seed, r.purpose, r.status, r.steps, r.steps_done, r.final_train_loss,
        r.final_valid_loss, r.valid_accuracy, r.test_loss, r.test_accuracy, r.diverged_at, t.started_at,
        t.finished_at, r.trial_id, t.digest, t.weights_hash, t.axes
    FROM runs AS r JOIN trials AS t ON t.trial_id = r.trial_id
    WHERE r.sweep = ?
    ORDER BY r.position";

impl FromRow<'_, SqliteRow> for SweepRun {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            schedule: row.try_get("schedule")?,
            config_id: row.try_get("config_id")?,
            base_lr: row.try_get("base_lr")?,
            seed: row.try_get("seed")?,
            purpose: row.try_get("purpose")?,
            status: row.try_get("status")?,
            steps: row.try_get("steps")?,
            steps_done: row.try_get("steps_done")?,
            final_train_loss: row.try_get("final_train_loss")?,
            final_valid_loss: row.try_get("final_valid_loss")?,
            valid_accuracy: row.try_get("valid_accuracy")?,
            test_loss: row.try_get("test_loss")?,
            test_accuracy: row.try_get("test_accuracy")?,
            diverged_at: row.try_get("diverged_at")?,
            started_at: row.try_get("started_at")?,
            finished_at: row.try_get("finished_at")?,
            trial_id: row.try_get("trial_id")?,
            digest: row.try_get("digest")?,
            weights_hash: row.try_get("weights_hash")?,
            axes: axes(row)?,
        })
    }
}

/// Path and value of each axis, from the column of that name.
pub(crate) fn axes(row: &SqliteRow) -> Result<Vec<(String, String)>, sqlx::Error> {
    let axes = json(row, "axes")?;
    let axes = axes.as_object().into_iter().flatten();
    Ok(axes.map(|(path, value)| (path.clone(), value.as_str().unwrap_or_default().to_owned())).collect())
}

/// A column that holds JSON.
pub(crate) fn json(row: &SqliteRow, column: &str) -> Result<serde_json::Value, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| sqlx::Error::ColumnDecode { index: column.to_owned(), source: error.into() })
}
