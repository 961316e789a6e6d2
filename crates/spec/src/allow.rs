//! The warnings that a file silences by a key `allow` or a comment `# sweep: allow(...)`, and where they apply.

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
    /// The complete file.
    File,
    /// The node at a path.
    Path(String),
    /// From the first to the second line, both included.
    Lines(usize, usize),
}

impl Allow {
    fn silences(&self, warning: &Problem) -> bool {
        let is_in_scope = match &self.scope {
            Scope::File => true,
            Scope::Path(path) => {
                let rest = warning.path.strip_prefix(path.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            }
            Scope::Lines(first, last) => (*first..=*last).contains(&warning.place.line),
        };
        is_in_scope && warning.lint == Some(self.name.as_str())
    }
}

/// The lints that a sweep file silences.
pub(crate) fn find(tree: &Tree, text: &str) -> Vec<Allow> {
    let mut allows = Vec::new();
    if let Some(names) = tree.get("allow") {
        add(names, &Scope::File, &mut allows);
    }
    if let Some(schedules) = tree.get("schedules") {
        keys(schedules, "schedules", true, &mut allows);
    }
    // Comments need a second pass over the text: most files need none.
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
    // The readers have already reported anything that is not a list of names.
    let names = lint::allow_list(&field).unwrap_or_default();
    allows.extend(names.into_iter().map(|(name, place)| Allow { name, place, scope: scope.clone() }));
}

/// Finds the keys `allow` in the schedules below `tree`. `is_named`: the keys of `tree` are names of schedules, not keywords.
fn keys(tree: &Tree, path: &str, is_named: bool, allows: &mut Vec<Allow>) {
    match &tree.value {
        // The values of an axis have the path of the axis.
        Value::Map(entries) if is_axis(tree) => {
            for items in entries.iter().filter_map(|(_, values)| match &values.value {
                Value::List(items) => Some(items),
                _ => None,
            }) {
                items.iter().for_each(|value| keys(value, path, false, allows));
            }
        }
        Value::Map(entries) => {
            for (key, child) in entries {
                if key.name == "allow" && !is_named {
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

/// The names in `# sweep: allow(one, two)`, each with its position; empty for any other comment. A comment with a
/// syntax error that was probably meant as `allow` gives one empty name.
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

/// A comment at the top of the file applies to the file, a comment at the end of a line to the values that begin on
/// that line, and any other comment to the values that begin on the next line with content.
fn scope(comment: &Comment<'_>, tree: &Tree, text: &str) -> Scope {
    if comment.is_own_line && comment.place.line < tree.place.line {
        return Scope::File;
    }
    let is_skipped = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let skipped = text.lines().skip(comment.place.line).take_while(is_skipped).count();
    let line = comment.place.line + if comment.is_own_line { skipped + 1 } else { 0 };
    Scope::Lines(line, last_line_from(tree, line).max(line))
}

/// The last line of the values that begin on a line, or whose keys do.
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

/// The warnings that are not silenced, and warnings about an `allow` that silences nothing or names no lint.
pub(crate) fn apply(allows: &[Allow], warnings: Vec<Problem>) -> Vec<Problem> {
    let mut used = vec![false; allows.len()];
    let mut not_silenced = |warnings: Vec<Problem>| -> Vec<Problem> {
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
    let mut left = not_silenced(warnings);
    let unknown = allows.iter().filter(|allow| lint::find(&allow.name).is_none()).map(unknown).collect();
    left.extend(not_silenced(unknown));
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
        return problem.with_lint(UNKNOWN_LINT).with_hint(format!("the lints are {}", listed(names())));
    }
    let hint = match nearest(&allow.name, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the lints are {}", listed(names())),
    };
    let message = format!("unknown lint `{}`", allow.name);
    Problem::new(allow.place, "", message).with_lint(UNKNOWN_LINT).with_hint(hint)
}

fn unused(allow: &Allow) -> Problem {
    let message = format!("unused: `{}` has no warning here", allow.name);
    Problem::new(allow.place, "", message).with_lint(UNUSED_ALLOW).with_hint("remove it")
}
