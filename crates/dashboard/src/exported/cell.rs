//! Values of the result columns as table cells.

use std::time::{Duration, UNIX_EPOCH};

use report::Cell;
use spec::record::{Axes, Column, Kind, Value};

/// The value of a column in a record, as a cell.
pub fn cell<R>(column: &Column<R>, record: &R) -> Cell {
    match (column.kind, (column.get)(record)) {
        (Kind::Time, Value::Integer(time)) => time.map(utc).into(),
        (_, Value::Integer(number)) => number.into(),
        (_, Value::Real(number)) => number.into(),
        (kind, Value::Text(text)) => text.and_then(|text| readable(kind, text)).into(),
    }
}

/// A readable text; `None` for a trial without axes.
fn readable(kind: Kind, text: String) -> Option<String> {
    let object = || serde_json::from_str::<serde_json::Value>(&text).ok();
    match kind {
        Kind::Axes => Axes::try_from(text).ok().map(|axes| axes.to_string()).filter(|axes| !axes.is_empty()),
        Kind::Files => Some(object()?.as_object()?.keys().cloned().collect::<Vec<_>>().join(" ")),
        Kind::Json | Kind::Metrics => Some(object().map_or(text.clone(), |object| object.to_string())),
        Kind::Integer | Kind::Real | Kind::Text | Kind::Time => Some(text),
    }
}

/// Milliseconds since 1970 as UTC, as in `2026-01-31T12:00:00.000Z` (RFC 3339).
pub fn utc(milliseconds: i64) -> String {
    let since = Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0));
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}
