//! A schedule in the grammar of this crate, with what the reader needs to know of the text that it was written as. Another
//! crate may have rewritten it from another grammar: problems then name the keys that the user wrote.

use std::collections::HashMap;

use crate::problem::Problem;
use crate::tree::{Key, Place, Tree, Value};

/// A schedule to be read.
#[derive(Debug, Clone)]
pub struct Document {
    /// The schedule, in the grammar of this crate.
    pub tree: Tree,
    /// Where it was written.
    pub place: Place,
    /// The length that the schedule as a whole states.
    pub length: Option<StatedLength>,
    /// The keys that were written.
    pub origins: Origins,
    /// Whether it is of a library whose schedules many programs step once an epoch.
    pub stepped_by_epoch: bool,
    /// The text as it was written, with `clock: epoch`; `None` if it is no mapping.
    pub by_epochs: Option<String>,
    /// Names of other schedules.
    pub names: OtherNames,
}

/// A length that a schedule states: it is over after so many ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatedLength {
    /// Steps or epochs.
    pub ticks: f64,
    /// Whether it counts epochs.
    pub epochs: bool,
}

/// Names of schedules that are not in the tables of this crate, for hints.
#[derive(Debug, Clone, Copy)]
pub struct OtherNames {
    /// The name that was probably meant.
    pub suggest: fn(&str) -> Option<&'static str>,
    /// What a list of known names ends with.
    pub suffix: &'static str,
}

impl OtherNames {
    /// There are no others.
    pub const NONE: Self = Self { suggest: |_| None, suffix: "" };
}

/// Paths of the keys that values were written under, by the place of the value.
#[derive(Debug, Clone, Default)]
pub struct Origins(HashMap<(usize, usize, usize, usize), String>);

impl Document {
    /// A schedule that was written in the grammar of this crate.
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

/// A mapping with `clock: epoch`.
pub fn with_epoch_clock(tree: &Tree) -> Option<Tree> {
    let Value::Map(entries) = &tree.value else { return None };
    let key = Key { place: Place::default(), name: "clock".to_owned() };
    let clock = (key, Tree::new(Value::Text("epoch".to_owned())));
    Some(Tree::new(Value::Map(std::iter::once(clock).chain(entries.iter().cloned()).collect())))
}

impl Origins {
    /// Keeps the path of what was written at a place; the first one counts.
    pub fn remember(&mut self, place: Place, path: &str) {
        if place.line > 0 {
            self.0.entry(span_key(place)).or_insert_with(|| path.to_owned());
        }
    }

    /// Names in each problem the key that the user wrote.
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

/// A hint about `over` as one about the key that the user wrote.
fn hint_with_key(hint: &str, key: &str) -> String {
    if key == "over" {
        return hint.to_owned();
    }
    hint.replace("leave out `over`, or write", "write").replace("`over: ", &format!("`{key}: "))
}
