//! Warns of values that are read differently than they look: `no` and `0x10` are text, `012` is twelve.

use schedule::lint::AMBIGUOUS_VALUE;
use schedule::lookalike;
use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};

use crate::world::World;

/// The warnings of a file: of text in the parameters of a custom program or task, and of numbers everywhere.
pub(crate) fn warnings(tree: &Tree, source: &str, world: &dyn World) -> Vec<Problem> {
    let mut found = Checker { source, warnings: Vec::new() };
    found.check(tree, "", false);
    if let Some(params) = tree.get("trainer").and_then(|trainer| trainer.get("params")) {
        found.check(params, "trainer.params", true);
    }
    if let Some(task) = tree.get("task")
        && matches!(task.get("kind").map(|kind| &kind.value), Some(Value::Text(kind)) if world.tasks().contains(&kind.as_str()))
    {
        found.check(task, "task", true);
    }
    found.warnings
}

struct Checker<'a> {
    source: &'a str,
    warnings: Vec<Problem>,
}

impl Checker<'_> {
    /// `is_unchecked`: values of any type are accepted here, so that no reader reports a text in place of a number. Elsewhere only
    /// numbers can be misread.
    fn check(&mut self, tree: &Tree, path: &str, is_unchecked: bool) {
        match &tree.value {
            Value::Map(entries) => {
                for (i, (key, child)) in entries.iter().enumerate() {
                    let before = i.checked_sub(1).and_then(|i| entries.get(i));
                    if is_unchecked && let Some(before) = before {
                        self.split_number(before, key, child, path);
                    }
                    self.check(child, &schedule::fields::join(path, &key.name), is_unchecked);
                }
            }
            Value::List(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, item)| self.check(item, &format!("{path}[{i}]"), is_unchecked));
            }
            Value::Text(text) if is_unchecked && self.is_plain(tree.place) => {
                if let Some((message, hint)) = misread(text) {
                    self.add(tree.place, path, message, hint);
                }
            }
            Value::Int(number) if !is_unchecked && self.has_leading_zeros(tree.place) => {
                let written = self.written(tree.place).to_owned();
                let octal = i64::from_str_radix(written.trim_start_matches(['-', '+']), 8).ok();
                let elsewhere = octal.map_or(String::new(), |octal| format!(" (YAML 1.1: {octal})"));
                let message = format!("`{written}` is read as the number {number}{elsewhere}");
                self.add(tree.place, path, message, format!("write {number}, or \"{written}\" for text"));
            }
            _ => {}
        }
    }

    /// `{dropout: 0,1}` is read as two keys, `dropout` and `1`.
    fn split_number(&mut self, (before, integer): &(Key, Tree), key: &Key, value: &Tree, path: &str) {
        let Value::Int(number) = integer.value else { return };
        let rest = &key.name;
        if value.value == Value::Null && rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty() {
            let message = format!("a comma ends the value: `{}: {number},{rest}` is two keys", before.name);
            let hint = format!("write decimal numbers with a point: {number}.{rest}");
            self.add(integer.place, &schedule::fields::join(path, &before.name), message, hint);
        }
    }

    fn add(&mut self, place: Place, path: &str, message: String, hint: String) {
        let problem = Problem::new(place, path, message).with_lint(AMBIGUOUS_VALUE);
        self.warnings.push(problem.with_hint(hint));
    }

    fn written(&self, place: Place) -> &str {
        self.source.get(place.start..place.end).unwrap_or_default().trim()
    }

    /// Whether it is a text without quotes, and not an alias.
    fn is_plain(&self, place: Place) -> bool {
        !self.written(place).is_empty() && !self.written(place).starts_with(['"', '\'', '|', '>', '*'])
    }

    fn has_leading_zeros(&self, place: Place) -> bool {
        let digits = self.written(place).trim_start_matches(['-', '+']);
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    }
}

/// For a text that could be meant as another value: a warning, and what to write instead.
fn misread(text: &str) -> Option<(String, String)> {
    let quoted = format!("\"{text}\" for the text");
    let is_text = format!("`{text}` is read as text");
    if let Some(meant) = lookalike::boolean(text) {
        return Some((format!("{is_text}, which is true in Python"), format!("write {meant}, or {quoted}")));
    }
    if let Some(meant) = lookalike::number(text) {
        return Some((format!("{is_text}, not as a number"), format!("write {meant}, or {quoted}")));
    }
    if lookalike::is_nothing(text) {
        return Some((format!("{is_text}, not as null"), format!("write null, or {quoted}")));
    }
    if lookalike::is_not_finite(text) {
        let hint = format!("write {quoted}, and convert it to a number in the program");
        return Some((format!("{is_text}: numbers must be finite"), hint));
    }
    None
}
