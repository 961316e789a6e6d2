//! What a batch of events is about; how it is written is each database's own.

use std::collections::BTreeMap;

use spec::event::Event;

use crate::backend::{Conn, on};
use crate::error::Fault;

/// Who takes a trial up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct By<'a> {
    /// The version of the arithmetic.
    pub(crate) bits: Option<u32>,
    /// Number of the environment.
    pub(crate) environment: i64,
    /// The machine.
    pub(crate) host: &'a str,
}

/// Writes which files a program has loaded.
pub(crate) async fn loaded(
    conn: Conn<'_>,
    trial_id: &str,
    files: &BTreeMap<String, String>,
) -> Result<(), Fault> {
    let files: serde_json::Map<String, serde_json::Value> =
        files.iter().map(|(name, hash)| (name.clone(), hash.as_str().into())).collect();
    let files = serde_json::Value::Object(files).to_string();
    let sql = "UPDATE trials SET loaded = $2 WHERE trial_id = $1 AND status NOT IN ('done', 'diverged')";
    on!(conn, c => sqlx::query(sql).bind(trial_id).bind(&files).execute(c).await.map(|_| ()))?;
    Ok(())
}

/// Ids of all trials in a batch, each once.
pub(crate) fn trials(batch: &[Event]) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for event in batch {
        match event {
            Event::Started { trial_ids, .. }
            | Event::Stage { trial_ids, .. }
            | Event::Checkpoint { trial_ids, .. } => ids.extend(trial_ids.iter().map(String::as_str)),
            Event::Steps { evaluated, .. } => ids.extend(evaluated.iter().map(|seen| seen.trial_id.as_str())),
            Event::Loaded { trial_id, .. } | Event::Ended { trial_id, .. } => ids.push(trial_id),
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}
