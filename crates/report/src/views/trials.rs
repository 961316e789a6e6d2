//! The trials of a sweep as columns: a page reads and filters them fast.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use verdict::results::TrialRecord;

/// The names of the states; a trial has an index into them.
const STATUSES: [&str; 6] = ["queued", "running", "done", "diverged", "failed", "stopped"];

/// All trials of a sweep, or some of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Trials {
    /// Grows with each change.
    pub version: u64,
    /// The schedules' names.
    pub schedules: Vec<String>,
    /// The machines' names.
    pub hosts: Vec<String>,
    /// The states' names.
    pub statuses: Vec<&'static str>,
    /// The paths of the axes.
    pub axes: Vec<String>,
    /// One list for each column.
    pub columns: TrialColumns,
    /// The values of each axis; empty where a trial does not have it.
    pub axis_columns: BTreeMap<String, Vec<String>>,
}

/// The columns: value `i` of each belongs to trial `i`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "docs/reference/database.md describes the columns")]
pub struct TrialColumns {
    pub trial_id: Vec<String>,
    pub config_id: Vec<String>,
    pub schedule: Vec<usize>,
    pub base_lr: Vec<f64>,
    pub seed: Vec<i64>,
    pub status: Vec<usize>,
    pub purpose: Vec<&'static str>,
    pub steps: Vec<i64>,
    pub steps_done: Vec<i64>,
    pub final_train_loss: Vec<Option<f64>>,
    pub final_valid_loss: Vec<Option<f64>>,
    pub test_loss: Vec<Option<f64>>,
    pub test_accuracy: Vec<Option<f64>>,
    pub diverged_at: Vec<Option<i64>>,
    pub host: Vec<Option<usize>>,
    pub started_at: Vec<Option<i64>>,
    pub finished_at: Vec<Option<i64>>,
    pub attempts: Vec<i64>,
    pub error: Vec<Option<String>>,
}

/// The index of a name in a list of names, to which it is added if it is new.
fn index(names: &mut Vec<String>, name: &str) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })
}

impl Trials {
    /// The columns of these trials, in their order; a trial that a schedule has in several cells of the grid is contained once.
    /// The lists of names are those of all trials, `all`, so that the indices of a part are the indices of the whole.
    pub fn new<'a>(
        version: u64,
        all: &[TrialRecord],
        part: impl IntoIterator<Item = &'a TrialRecord>,
    ) -> Self {
        let mut trials = Self { version, statuses: STATUSES.to_vec(), ..Self::default() };
        for row in all {
            index(&mut trials.schedules, &row.schedule);
            row.host.iter().for_each(|host| {
                index(&mut trials.hosts, host);
            });
            for (path, _) in &row.axes.0 {
                index(&mut trials.axes, path);
            }
        }
        trials.axis_columns = trials.axes.iter().map(|path| (path.clone(), Vec::new())).collect();
        let mut seen = HashSet::new();
        for row in part {
            if seen.insert((row.schedule.as_str(), row.trial_id.as_str())) {
                trials.push(row);
            }
        }
        trials
    }

    fn push(&mut self, row: &TrialRecord) {
        let schedule = index(&mut self.schedules, &row.schedule);
        let host = row.host.as_deref().map(|host| index(&mut self.hosts, host));
        let columns = &mut self.columns;
        columns.trial_id.push(row.trial_id.clone());
        columns.config_id.push(row.config_id.clone());
        columns.schedule.push(schedule);
        columns.base_lr.push(row.base_lr);
        columns.seed.push(row.seed);
        columns.status.push(STATUSES.iter().position(|name| *name == row.status.name()).unwrap_or(0));
        columns.purpose.push(row.purpose.name());
        columns.steps.push(row.steps);
        columns.steps_done.push(row.steps_done);
        columns.final_train_loss.push(row.final_train_loss);
        columns.final_valid_loss.push(row.final_valid_loss);
        columns.test_loss.push(row.test_loss);
        columns.test_accuracy.push(row.test_accuracy);
        columns.diverged_at.push(row.diverged_at);
        columns.host.push(host);
        columns.started_at.push(row.started_at);
        columns.finished_at.push(row.finished_at);
        columns.attempts.push(row.attempts);
        columns.error.push(row.error.clone());
        let values: BTreeMap<&str, String> = row.axes.plain().collect();
        for (path, column) in &mut self.axis_columns {
            column.push(values.get(path.as_str()).cloned().unwrap_or_default());
        }
    }
}
