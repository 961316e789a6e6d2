//! What makes two runs the same run: hashes of everything that determines a result, and nothing else.

use schedule::tree::{Tree, Value};
use schedule::{Feedback, Schedule};

use crate::trial::Task;

/// Hashed first; to be raised when the same input no longer means the same training.
const VERSION: &str = "sweep trial 3";

/// Hash of a config: task, and the lr sequence that the updates will use. The schedule's name and way of
/// writing don't count for an open-loop schedule: only its numbers do. A closed-loop one has no numbers
/// yet, so its parameters count.
pub(crate) fn config(task: &Task, base_lr: f64, schedule: &Schedule, node: &Tree) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(VERSION.as_bytes());
    // A struct of plain numbers and names: its JSON can't fail, and has one fixed order.
    part(serde_json::to_string(&task.identity()).unwrap_or_default().as_bytes());
    match schedule.feedback() {
        Feedback::OpenLoop => {
            let state = schedule.start();
            let sequence: Vec<u8> =
                (0..task.steps).flat_map(|t| (schedule.lr(t, &state) as f32).to_le_bytes()).collect();
            part(&sequence);
        }
        Feedback::ClosedLoop => {
            part(&base_lr.to_le_bytes());
            part(canonical(node).to_string().as_bytes());
        }
    }
    let momentum: Vec<u8> =
        (0..task.steps).filter_map(|t| schedule.momentum(t)).flat_map(f64::to_le_bytes).collect();
    part(&momentum);
    hasher.finalize()
}

/// Hash of a trial: its config and its seed, as 32 hex digits.
pub(crate) fn trial(config: &blake3::Hash, seed: u64) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(config.as_bytes());
    hasher.update(&seed.to_le_bytes());
    short(&hasher.finalize(), 32)
}

/// The first hex digits of a hash.
pub(crate) fn short(hash: &blake3::Hash, digits: usize) -> String {
    hash.to_hex().chars().take(digits).collect()
}

/// The same tree with keys in alphabetical order and whole numbers as numbers, so that the way of
/// writing doesn't count, and without the lints that it silences.
pub(crate) fn canonical(tree: &Tree) -> Tree {
    Tree::new(match &tree.value {
        Value::Int(i) => Value::Float(*i as f64),
        Value::List(items) => Value::List(items.iter().map(canonical).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries
                .iter()
                .filter(|(key, _)| key.name != "allow")
                .map(|(key, child)| (key.clone(), canonical(child)))
                .collect();
            entries.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
            Value::Map(entries)
        }
        other => other.clone(),
    })
}
