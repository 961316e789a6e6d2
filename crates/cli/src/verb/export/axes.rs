//! The axes of a sweep, over all its runs: which there are, and the value of each run as a number where all
//! runs have numbers.

use report::Cell;
use serde_json::Value as Json;
use store::TrialRecord;

use super::column::Kind;

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// Its path in the sweep file, as in `schedule.body.to`.
    pub(crate) path: String,
    /// What all of its values are.
    pub(crate) kind: Kind,
}

/// In the order in which runs have them.
pub(crate) fn of(runs: &[TrialRecord]) -> Vec<Axis> {
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
    /// The value of one run, if it has this axis.
    pub(crate) fn cell(&self, run: &TrialRecord) -> Cell {
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

/// Axes are stored as the sweep file's values in JSON; what is none is text.
fn value(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::String(text.to_owned()))
}
