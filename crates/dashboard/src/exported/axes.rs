//! The axes of a sweep as columns. An axis whose values are all numbers becomes a column of numbers.

use report::Cell;
use serde_json::Value as Json;
use store::TrialRecord;

use super::column::Kind;

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its path in the sweep file, as in `schedule.body.to`.
    pub path: String,
    /// The kind of all its values.
    pub kind: Kind,
}

/// All axes, in the order of the runs.
pub fn of(runs: &[TrialRecord]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    for (path, text) in runs.iter().flat_map(|run| &run.axes.0) {
        let kind = match value(text) {
            Json::Number(number) if number.is_i64() => Kind::Integer,
            Json::Number(_) => Kind::Real,
            _ => Kind::Text,
        };
        match axes.iter_mut().find(|axis| axis.path == *path) {
            Some(axis) => axis.kind = axis.kind.max(kind),
            None => axes.push(Axis { path: path.clone(), kind }),
        }
    }
    axes
}

impl Axis {
    /// The value of one run; null if it does not have this axis.
    pub fn cell(&self, run: &TrialRecord) -> Cell {
        let Some((_, text)) = run.axes.0.iter().find(|(path, _)| *path == self.path) else {
            return Cell::Null;
        };
        match (self.kind, value(text)) {
            (Kind::Integer, value) => value.as_i64().into(),
            (Kind::Real, value) => value.as_f64().into(),
            (Kind::Text, Json::String(text)) => text.into(),
            (Kind::Text, other) => other.to_string().into(),
        }
    }
}

/// Parses a stored value: the JSON of the sweep file's value, or else text.
fn value(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
}
