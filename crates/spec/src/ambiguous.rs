//! Values that reach a program as something else than people mean: `no` and `0x10` are text here, `012` is twelve.

use schedule::lint::AMBIGUOUS_VALUE;
use schedule::lookalike;
use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};

use crate::world::World;

/// The warnings of a file: of text in what a program or a task of the user's own gets, of numbers everywhere.
pub(crate) fn warnings(tree: &Tree, source: &str, world: &dyn World) -> Vec<Problem> {
    let mut found = Found { source, warnings: Vec::new() };
    found.look(tree, "", false);
    if let Some(params) = tree.get("trainer").and_then(|trainer| trainer.get("params")) {
        found.look(params, "trainer.params", true);
    }
    if let Some(task) = tree.get("task")
        && matches!(task.get("kind").map(|kind| &kind.value), Some(Value::Text(kind)) if world.tasks().contains(&kind.as_str()))
    {
        found.look(task, "task", true);
    }
    found.warnings
}

struct Found<'a> {
    source: &'a str,
    warnings: Vec<Problem>,
}

impl Found<'_> {
    /// `any`: what is read as it is, whatever it is. Else only numbers can be misread without a word.
    fn look(&mut self, tree: &Tree, path: &str, any: bool) {
        match &tree.value {
            Value::Map(entries) => {
                for (i, (key, child)) in entries.iter().enumerate() {
                    let before = i.checked_sub(1).and_then(|i| entries.get(i));
                    if any && let Some(before) = before {
                        self.split_number(before, key, child, path);
                    }
                    self.look(child, &schedule::fields::join(path, &key.name), any);
                }
            }
            Value::List(items) => {
                items.iter().enumerate().for_each(|(i, item)| self.look(item, &format!("{path}[{i}]"), any));
            }
            Value::Text(text) if any && self.is_plain(tree.place) => {
                if let Some((message, hint)) = misread(text) {
                    self.add(tree.place, path, message, hint);
                }
            }
            Value::Int(number) if !any && self.has_leading_zeros(tree.place) => {
                let written = self.written(tree.place).to_owned();
                let octal = i64::from_str_radix(written.trim_start_matches(['-', '+']), 8).ok();
                let elsewhere = octal.map_or(String::new(), |octal| format!(", and {octal} in YAML 1.1"));
                let message = format!("`{written}` is the number {number} here{elsewhere}");
                self.add(tree.place, path, message, format!("write {number}, or \"{written}\" for text"));
            }
            _ => {}
        }
    }

    /// `{dropout: 0,1}` has a key `1` without a value.
    fn split_number(&mut self, (before, whole): &(Key, Tree), key: &Key, value: &Tree, path: &str) {
        let Value::Int(number) = whole.value else { return };
        let rest = &key.name;
        if value.value == Value::Null && rest.bytes().all(|b| b.is_ascii_digit()) && !rest.is_empty() {
            let message = format!("a comma ends the value: `{}: {number},{rest}` is two keys", before.name);
            let hint = format!("a decimal number is written with a point: {number}.{rest}");
            self.add(whole.place, &schedule::fields::join(path, &before.name), message, hint);
        }
    }

    fn add(&mut self, place: Place, path: &str, message: String, hint: String) {
        let problem = Problem::new(place, path, message).with_lint(AMBIGUOUS_VALUE);
        self.warnings.push(problem.with_hint(hint));
    }

    fn written(&self, place: Place) -> &str {
        self.source.get(place.start..place.end).unwrap_or_default().trim()
    }

    /// Text without quotes, written where it is used.
    fn is_plain(&self, place: Place) -> bool {
        !self.written(place).is_empty() && !self.written(place).starts_with(['"', '\'', '|', '>', '*'])
    }

    fn has_leading_zeros(&self, place: Place) -> bool {
        let digits = self.written(place).trim_start_matches(['-', '+']);
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
    }
}

/// What a text is taken for elsewhere, and what to write.
fn misread(text: &str) -> Option<(String, String)> {
    let quoted = format!("\"{text}\" for the text");
    let is_text = format!("`{text}` is text here");
    if let Some(meant) = lookalike::boolean(text) {
        return Some((
            format!("{is_text}, which Python takes for true"),
            format!("write {meant}, or {quoted}"),
        ));
    }
    if let Some(meant) = lookalike::number(text) {
        return Some((format!("{is_text}, no number"), format!("write {meant}, or {quoted}")));
    }
    if lookalike::is_nothing(text) {
        return Some((is_text, format!("write null for nothing, or {quoted}")));
    }
    if lookalike::is_not_finite(text) {
        let hint = format!("write {quoted}, and let the program make a number of it");
        return Some((format!("{is_text}: there are no numbers without a value"), hint));
    }
    None
}
