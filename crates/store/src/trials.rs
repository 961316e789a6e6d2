//! Which trials events are about.

use std::sync::Arc;

use spec::event::Event;
use sqlx::SqliteConnection;

use crate::error::Fault;

/// Ids as one value that SQL can take apart with `json_each`: one statement for all of them.
pub(crate) fn json<T: Clone + Into<serde_json::Value>>(ids: &[T]) -> Arc<str> {
    serde_json::Value::from(ids).to_string().into()
}

/// Sees to it that all trials of a batch are known.
///
/// # Errors
/// One is not in the database.
pub(crate) async fn check(connection: &mut SqliteConnection, batch: &[Event]) -> Result<(), Fault> {
    let mut ids: Vec<&str> = Vec::new();
    for event in batch {
        match event {
            Event::Started { trial_ids, .. }
            | Event::Stage { trial_ids, .. }
            | Event::Checkpoint { trial_ids, .. } => ids.extend(trial_ids.iter().map(String::as_str)),
            Event::Steps { evaluated, .. } => ids.extend(evaluated.iter().map(|seen| seen.trial_id.as_str())),
            Event::Ended { trial_id, .. } => ids.push(trial_id),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(());
    }
    let sql = "
        SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM trials WHERE trial_id = value) LIMIT 1";
    let unknown: Option<String> = sqlx::query_scalar(sql).bind(json(&ids)).fetch_optional(connection).await?;
    unknown.map_or(Ok(()), |trial_id| Err(Fault::UnknownTrial(trial_id)))
}
