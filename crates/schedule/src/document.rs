//! A schedule in the grammar of this crate, with information about the original text. Another crate may have
//! rewritten it from another grammar; problems then name the keys that the user wrote.

use std::collections::HashMap;

use crate::problem::Problem;
use crate::tree::{Key, Place, Tree, Value};

/// A schedule to read.
#[derive(Debug, Clone)]
pub struct Document {
    /// The schedule in the grammar of this crate.
    pub tree: Tree,
    /// Its place in the original document.
    pub place: Place,
    /// The length that the schedule itself sets.
    pub length: Option<StatedLength>,
    /// The keys of the original text.
    pub origins: Origins,
    /// Whether it comes from a library whose schedulers are often stepped once per epoch.
    pub stepped_by_epoch: bool,
    /// The original text with `clock: epoch`; `None` if it is not a mapping.
    pub by_epochs: Option<String>,
    /// Names of other schedules.
    pub names: OtherNames,
}

/// A length that a schedule sets itself: it ends after this many ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatedLength {
    /// Steps or epochs.
    pub ticks: f64,
    /// Whether it counts epochs.
    pub epochs: bool,
}

/// Names of schedules outside the tables of this crate, for hints.
#[derive(Debug, Clone, Copy)]
pub struct OtherNames {
    /// The name that was probably intended.
    pub suggest: fn(&str) -> Option<&'static str>,
    /// Text at the end of a list of known names.
    pub suffix: &'static str,
}

impl OtherNames {
    /// No other names.
    pub const NONE: Self = Self { suggest: |_| None, suffix: "" };
}

/// The original path of each value, by its place.
#[derive(Debug, Clone, Default)]
pub struct Origins(HashMap<(usize, usize, usize, usize), String>);

impl Document {
    /// A schedule written in the grammar of this crate.
    pub fn plain(tree: &Tree) -> Self {
        Self {
            tree: tree.clone(),
            place: tree.place,
            length: None,
            origins: Origins::default(),
            stepped_by_epoch: false,
            by_epochs: with_epoch_clock(tree).map(|tree| tree.to_string()),
            names: OtherNames::NONE,
        }
    }
}

/// The mapping with `clock: epoch`.
pub fn with_epoch_clock(tree: &Tree) -> Option<Tree> {
    let Value::Map(entries) = &tree.value else { return None };
    // Each parameter group has its own clock.
    if tree.get("groups").is_some() {
        return None;
    }
    let key = Key { place: Place::default(), name: "clock".to_owned() };
    let clock = (key, Tree::new(Value::Text("epoch".to_owned())));
    Some(Tree::new(Value::Map(std::iter::once(clock).chain(entries.iter().cloned()).collect())))
}

impl Origins {
    /// Stores the path of the value at a place, unless one is stored already.
    pub fn remember(&mut self, place: Place, path: &str) {
        if place.line > 0 {
            self.0.entry(span_key(place)).or_insert_with(|| path.to_owned());
        }
    }

    /// Replaces the path of each problem by the path that the user wrote.
    pub fn relabel(&self, problems: &mut [Problem]) {
        for problem in problems.iter_mut().filter(|problem| problem.place.line > 0) {
            if let Some(path) = self.0.get(&span_key(problem.place)) {
                problem.path.clone_from(path);
                let key = path.rsplit('.').next().unwrap_or(path);
                problem.hint = problem.hint.take().map(|hint| hint_with_key(&hint, key));
            }
        }
    }
}

fn span_key(place: Place) -> (usize, usize, usize, usize) {
    (place.line, place.column, place.start, place.end)
}

/// Replaces `over` in a hint by the key that the user wrote.
fn hint_with_key(hint: &str, key: &str) -> String {
    if key == "over" {
        return hint.to_owned();
    }
    hint.replace("remove `over`, or write", "write").replace("`over: ", &format!("`{key}: "))
}
