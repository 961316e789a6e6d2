//! What is stored of the runs of one sweep, for those that carry it elsewhere.

use std::fmt;

use crate::rows::Status;

/// One run that a sweep asks for, with all that is stored of it apart from its steps. Times are UTC,
/// milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
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
    #[sqlx(try_from = "String")]
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
    #[sqlx(try_from = "String")]
    pub axes: Axes,
}

/// Path and value of each axis of a config.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Axes(pub Vec<(String, String)>);

impl Axes {
    /// Path and value of each axis for people: values are stored as JSON, and a text reads better without its quotes.
    pub fn plain(&self) -> impl Iterator<Item = (&str, String)> {
        let plain = |value: &String| serde_json::from_str(value).unwrap_or_else(|_| value.clone());
        self.0.iter().map(move |(path, value)| (path.as_str(), plain(value)))
    }
}

impl fmt::Display for Axes {
    /// As in `schedule.cooldown.over: 10%, data.batch_size: 64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> = self.plain().map(|(path, value)| format!("{path}: {value}")).collect();
        f.write_str(&each.join(", "))
    }
}

impl TryFrom<String> for Axes {
    type Error = serde_json::Error;

    /// From a JSON object.
    fn try_from(text: String) -> Result<Self, serde_json::Error> {
        let axes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text)?;
        let value = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        Ok(Self(axes.into_iter().map(|(path, found)| (path, value(found))).collect()))
    }
}

/// Those of a sweep, in its order: a run that one schedule asks for twice stands here once.
pub(crate) const SQL: &str = "
    SELECT
        r.schedule, r.config_id, r.base_lr, r.seed, r.purpose, r.status, r.steps, r.steps_done, r.final_train_loss,
        r.final_valid_loss, r.valid_accuracy, r.test_loss, r.test_accuracy, r.diverged_at, t.started_at,
        t.finished_at, r.trial_id, t.digest, t.weights_hash, t.axes
    FROM runs AS r JOIN trials AS t ON t.trial_id = r.trial_id
    WHERE r.sweep = $1
    ORDER BY r.position";
