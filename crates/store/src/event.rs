//! What a batch of events is about; how it is written is each database's own.

use spec::event::Event;

/// Ids of all trials in a batch, each once.
pub(crate) fn trials(batch: &[Event]) -> Vec<&str> {
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
    ids
}
