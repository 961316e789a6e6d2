//! Which warnings a file silences, by a key `allow` or a comment `# sweep: allow(...)`, and where.

use schedule::fields::{Field, join};
use schedule::lint::{self, LINTS, UNKNOWN_LINT, UNUSED_ALLOW};
use schedule::problem::{Problem, listed, nearest};
use schedule::tree::{Place, Tree, Value};

use crate::axes::is_axis;
use crate::yaml::{Comment, comments};

/// One lint that is silenced.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Allow {
    name: String,
    place: Place,
    scope: Scope,
}

#[derive(Debug, Clone, PartialEq)]
enum Scope {
    /// The whole file.
    File,
    /// The node at a path.
    Path(String),
    /// From one line to another, both included.
    Lines(usize, usize),
}

impl Allow {
    fn silences(&self, warning: &Problem) -> bool {
        let here = match &self.scope {
            Scope::File => true,
            Scope::Path(path) => {
                let rest = warning.path.strip_prefix(path.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            }
            Scope::Lines(first, last) => (*first..=*last).contains(&warning.place.line),
        };
        here && warning.lint == Some(self.name.as_str())
    }
}

/// What a sweep file silences.
pub(crate) fn find(tree: &Tree, text: &str) -> Vec<Allow> {
    let mut allows = Vec::new();
    if let Some(names) = tree.get("allow") {
        add(names, &Scope::File, &mut allows);
    }
    if let Some(schedules) = tree.get("schedules") {
        keys(schedules, "schedules", true, &mut allows);
    }
    // Reading a text twice is for those who ask for it.
    if text.contains("sweep:") {
        for comment in comments(text) {
            let names = names_in(&comment);
            let scope = if names.is_empty() { Scope::File } else { scope(&comment, tree, text) };
            allows.extend(names.into_iter().map(|(name, place)| Allow { name, place, scope: scope.clone() }));
        }
    }
    allows
}

fn add(names: &Tree, scope: &Scope, allows: &mut Vec<Allow>) {
    let field = Field { tree: names, path: String::new() };
    // What is no list of names the readers have refused.
    let names = lint::allow_list(&field).unwrap_or_default();
    allows.extend(names.into_iter().map(|(name, place)| Allow { name, place, scope: scope.clone() }));
}

/// The keys `allow` in the schedules below `tree`; `names` says that its own keys are names.
fn keys(tree: &Tree, path: &str, names: bool, allows: &mut Vec<Allow>) {
    match &tree.value {
        // The values of an axis stand where it stands.
        Value::Map(entries) if is_axis(tree) => {
            for item in entries.iter().filter_map(|(_, values)| match &values.value {
                Value::List(items) => Some(items),
                _ => None,
            }) {
                item.iter().for_each(|value| keys(value, path, false, allows));
            }
        }
        Value::Map(entries) => {
            for (key, child) in entries {
                if key.name == "allow" && !names {
                    add(child, &Scope::Path(path.to_owned()), allows);
                } else {
                    keys(child, &join(path, &key.name), false, allows);
                }
            }
        }
        Value::List(items) => {
            items.iter().enumerate().for_each(|(i, item)| keys(item, &format!("{path}[{i}]"), false, allows));
        }
        _ => {}
    }
}

/// The names in `# sweep: allow(one, two)`, each with its place; none in any other comment. One that was
/// meant to be such a comment has an empty name.
fn names_in(comment: &Comment<'_>) -> Vec<(String, Place)> {
    let Some(rest) = comment.text.trim_start_matches('#').trim_start().strip_prefix("sweep:") else {
        return Vec::new();
    };
    let rest = rest.trim_start();
    let inside = rest.strip_prefix("allow").map(str::trim_start).and_then(|rest| rest.strip_prefix('('));
    let Some((inside, _)) = inside.and_then(|rest| rest.split_once(')')) else {
        let word = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let meant = nearest(word, ["allow"]).is_some();
        return meant.then(|| (String::new(), comment.place)).into_iter().collect();
    };
    let begin = comment.text.find('(').map_or(0, |at| at + 1);
    let mut start = begin;
    let mut names = Vec::new();
    for part in inside.split(',') {
        let (name, before) = (part.trim(), part.len() - part.trim_start().len());
        let at = start + before;
        let column = comment.text.get(..at).unwrap_or_default().chars().count();
        let place = Place {
            line: comment.place.line,
            column: comment.place.column + column,
            start: comment.place.start + at,
            end: comment.place.start + at + name.len(),
        };
        names.push((name.to_owned(), place));
        start += part.len() + 1;
    }
    names
}

/// A comment at the head of the file is about all of it, one at the end of a line about what begins on that
/// line, any other about what begins on the next line that is no comment.
fn scope(comment: &Comment<'_>, tree: &Tree, text: &str) -> Scope {
    if comment.alone && comment.place.line < tree.place.line {
        return Scope::File;
    }
    let silent = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let skipped = text.lines().skip(comment.place.line).take_while(silent).count();
    let line = comment.place.line + if comment.alone { skipped + 1 } else { 0 };
    Scope::Lines(line, last_line_from(tree, line).max(line))
}

/// The last line of what begins on a line: of values there, or behind keys there.
fn last_line_from(tree: &Tree, line: usize) -> usize {
    match &tree.value {
        Value::Map(entries) => {
            let last = |place: Place, child| {
                if place.line == line { last_line(child) } else { last_line_from(child, line) }
            };
            entries.iter().map(|(key, child)| last(key.place, child)).max().unwrap_or(0)
        }
        Value::List(items) => {
            let last = |item: &Tree| {
                if item.place.line == line { last_line(item) } else { last_line_from(item, line) }
            };
            items.iter().map(last).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn last_line(tree: &Tree) -> usize {
    let below = match &tree.value {
        Value::Map(entries) => entries.iter().map(|(_, child)| last_line(child)).max(),
        Value::List(items) => items.iter().map(last_line).max(),
        _ => None,
    };
    below.unwrap_or(0).max(tree.place.line)
}

/// The warnings that are left, with those about what silences nothing.
pub(crate) fn apply(allows: &[Allow], warnings: Vec<Problem>) -> Vec<Problem> {
    let mut used = vec![false; allows.len()];
    let mut loud = |warnings: Vec<Problem>| -> Vec<Problem> {
        let mut keep = |warning: &Problem| {
            let mut silenced = false;
            for (allow, used) in allows.iter().zip(&mut used) {
                if allow.silences(warning) {
                    (silenced, *used) = (true, true);
                }
            }
            !silenced
        };
        warnings.into_iter().filter(|warning| keep(warning)).collect()
    };
    let mut left = loud(warnings);
    let unknown = allows.iter().filter(|allow| lint::find(&allow.name).is_none()).map(unknown).collect();
    left.extend(loud(unknown));
    let about_allows = [UNUSED_ALLOW, UNKNOWN_LINT];
    let unused: Vec<Problem> = allows
        .iter()
        .zip(&used)
        .filter(|(allow, used)| !**used && lint::find(&allow.name).is_some())
        .filter(|(allow, _)| !about_allows.contains(&allow.name.as_str()))
        .map(|(allow, _)| unused(allow))
        .collect();
    left.extend(unused.into_iter().filter(|warning| !allows.iter().any(|allow| allow.silences(warning))));
    left
}

fn unknown(allow: &Allow) -> Problem {
    let names = || LINTS.iter().map(|lint| lint.name);
    if allow.name.is_empty() {
        let problem =
            Problem::new(allow.place, "", "expected `# sweep: allow(NAME)` with the name of a lint");
        return problem.with_lint(UNKNOWN_LINT).with_hint(format!("known: {}", listed(names())));
    }
    let hint = match nearest(&allow.name, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known: {}", listed(names())),
    };
    let message = format!("there is no lint `{}`", allow.name);
    Problem::new(allow.place, "", message).with_lint(UNKNOWN_LINT).with_hint(hint)
}

fn unused(allow: &Allow) -> Problem {
    let message = format!("`{}` warns of nothing here, so there is nothing to allow", allow.name);
    Problem::new(allow.place, "", message).with_lint(UNUSED_ALLOW).with_hint("leave it out")
}
