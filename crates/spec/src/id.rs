//! Ids of configs and trials: hashes of everything that determines a result, and of nothing else.

use schedule::tree::{Tree, Value};
use schedule::{Feedback, Schedule};

use crate::trial::Task;

/// Hashed first. Raise it when the same input no longer gives the same training.
const VERSION: &str = "sweep trial 3";

/// Hash of a config: its task and the lr sequence of its updates. An open-loop schedule counts by its numbers
/// only, not by its name or how it is written. A closed-loop schedule has no numbers yet, so its parameters count.
pub(crate) fn config(task: &Task, base_lr: f64, schedule: &Schedule, node: &Tree) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(VERSION.as_bytes());
    // A struct of plain numbers and names: serializing it can't fail, and the order of its fields is fixed.
    add(serde_json::to_string(&task.identity_under(schedule)).unwrap_or_default().as_bytes());
    match schedule.feedback() {
        Feedback::OpenLoop => {
            let state = schedule.start();
            let sequence: Vec<u8> =
                (0..task.steps).flat_map(|t| (schedule.lr(t, &state) as f32).to_le_bytes()).collect();
            add(&sequence);
        }
        Feedback::ClosedLoop => {
            add(&base_lr.to_le_bytes());
            add(canonical(node).to_string().as_bytes());
        }
    }
    let momentum: Vec<u8> =
        (0..task.steps).filter_map(|t| schedule.momentum(t)).flat_map(f64::to_le_bytes).collect();
    add(&momentum);
    for group in groups(task, schedule) {
        add(group.as_bytes());
    }
    for sequence in sequences(task, schedule) {
        add(&sequence);
    }
    hasher.finalize()
}

/// The identity of each parameter group in addition to its numbers: its name, and whether a program keeps the ratio of its lrs.
fn groups<'a>(task: &Task, schedule: &'a Schedule) -> impl Iterator<Item = String> + use<'a> {
    let is_program = task.program().is_some();
    schedule.groups().map(move |group| {
        let keeps_ratio = is_program && group.keeps_ratio;
        format!("{}{}", if keeps_ratio { "ratio " } else { "lr " }, group.name)
    })
}

/// The numbers of each parameter group: the lrs of an open-loop schedule, and the momenta.
fn sequences(task: &Task, schedule: &Schedule) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(); schedule.groups().len()];
    if all.is_empty() {
        return all;
    }
    let state = schedule.start();
    for t in 0..task.steps {
        if schedule.feedback() == Feedback::OpenLoop {
            for (bytes, lr) in all.iter_mut().zip(schedule.group_lrs(t, &state)) {
                bytes.extend((lr as f32).to_le_bytes());
            }
        }
        for (bytes, momentum) in all.iter_mut().zip(schedule.group_momenta(t)) {
            bytes.extend(momentum.into_iter().flat_map(f64::to_le_bytes));
        }
    }
    all
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

/// The tree with sorted keys, integers as floats and without `allow`: two trees that mean the same schedule
/// are equal, however they are written.
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
