//! Reads a mapping key by key and collects all problems: wrong types, values out of range, missing and
//! unknown keys. Used for schedules and for the rest of the sweep file.

use crate::lookalike;
use crate::misplaced;
use crate::problem::{Problem, ProblemKind, listed, nearest};
use crate::tree::{Key, Place, Tree, Value};

/// The keys of an axis: a mapping with one entry, which has one of these keys.
pub const AXIS_KEYS: [&str; 3] = ["values", "linspace", "logspace"];

/// A mapping that is being read. Each getter marks its key as known; [`Fields::finish`] reports the other
/// keys.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: &'a [(Key, Tree)],
    place: Place,
    path: String,
    known: Vec<&'static str>,
}

/// A value and its path.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// The value.
    pub tree: &'a Tree,
    /// Path of keys.
    pub path: String,
}

impl Field<'_> {
    /// A problem with this value.
    pub fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(self.tree.place, self.path.clone(), message)
    }

    /// A problem "expected X, found Y", with a hint if the intended value can be guessed.
    pub fn expected(&self, what: &str) -> Problem {
        let found = match &self.tree.value {
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => format!("`{}`", self.tree),
            Value::Text(text) if text.chars().count() <= 60 => format!("the text {:?}", text),
            _ => self.tree.describe().to_owned(),
        };
        let problem = self.problem(format!("expected {what}, found {found}"));
        match self.suggestion(what) {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        }
    }

    /// A hint with the value that was probably intended.
    fn suggestion(&self, what: &str) -> Option<String> {
        if let Value::Text(text) = &self.tree.value {
            let is_number = text.trim().parse::<f64>().is_ok_and(f64::is_finite);
            let number = match lookalike::number(text) {
                None if is_number => Some(format!("write {} without quotes", text.trim())),
                meant => meant.map(|meant| format!("write {meant}")),
            };
            let wanted = ["number", "rate", "length"].iter().any(|word| what.contains(word));
            let boolean = lookalike::boolean(text).filter(|_| what.contains("`true` or `false`"));
            return boolean.map(|meant| format!("write {meant}")).or(number.filter(|_| wanted));
        }
        // If a list, a pair or a mapping is expected, an axis was not intended.
        if ["list", "pair", "mapping", "schedule"].iter().any(|word| what.contains(word)) {
            return None;
        }
        match &self.tree.value {
            Value::List(items) if !items.is_empty() => {
                let shown = self.tree.to_string();
                let shown = if shown.chars().count() <= 60 { shown } else { "[...]".to_owned() };
                Some(format!("to try several values, write {{values: {shown}}}"))
            }
            Value::Map(entries) => {
                let hit =
                    entries.iter().find_map(|(key, _)| nearest(&key.name, AXIS_KEYS).zip(Some(&key.name)));
                Some(match hit {
                    Some((axis, _)) if entries.len() > 1 => format!("an axis has only the key `{axis}`"),
                    Some((axis, typed)) => format!("did you mean `{axis}` instead of `{typed}`?"),
                    None => {
                        "write an axis as {values: [...]}, {linspace: [low, high, n]} or {logspace: [low, high, n]}"
                            .to_owned()
                    }
                })
            }
            _ => None,
        }
    }
}

impl<'a> Fields<'a> {
    /// Starts to read `tree`, which must be a mapping.
    pub fn new(tree: &'a Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        match &tree.value {
            Value::Map(entries) => {
                Some(Self { entries, place: tree.place, path: path.to_owned(), known: Vec::new() })
            }
            _ => {
                problems.push(Field { tree, path: path.to_owned() }.expected("a mapping"));
                None
            }
        }
    }

    /// The place of the mapping.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The path of the mapping.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of a key in this mapping.
    pub fn path_of(&self, name: &str) -> String {
        join(&self.path, name)
    }

    /// Whether the mapping has this key. Does not mark it as known.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key.name == name)
    }

    /// All keys of the mapping.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.name.as_str())
    }

    /// Marks a key as known, so that it is not reported and can be suggested in a hint.
    pub fn mark_known(&mut self, name: &'static str) {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
    }

    /// The value of an optional key.
    pub fn optional(&mut self, name: &'static str) -> Option<Field<'a>> {
        self.mark_known(name);
        let (_, tree) = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(Field { tree, path: self.path_of(name) })
    }

    /// The value of a required key.
    pub fn required(&mut self, name: &'static str, problems: &mut Vec<Problem>) -> Option<Field<'a>> {
        let field = self.optional(name);
        if field.is_none() {
            let problem = Problem::new(self.place, self.path.clone(), format!("missing key `{name}`"));
            problems.push(Problem { kind: ProblemKind::MissingKey(name), ..problem });
        }
        field
    }

    /// Reads an optional key with `read`; `default` if it is missing. `None` after a problem.
    pub fn read_or<T, E: Into<Vec<Problem>>>(
        &mut self,
        name: &'static str,
        default: T,
        problems: &mut Vec<Problem>,
        read: impl FnOnce(&Field<'a>) -> Result<T, E>,
    ) -> Option<T> {
        match self.optional(name) {
            None => Some(default),
            Some(field) => read(&field).map_err(|found| problems.extend(found.into())).ok(),
        }
    }

    /// Reads a required key with `read`. `None` after a problem.
    pub fn read<T, E: Into<Vec<Problem>>>(
        &mut self,
        name: &'static str,
        problems: &mut Vec<Problem>,
        read: impl FnOnce(&Field<'a>) -> Result<T, E>,
    ) -> Option<T> {
        let field = self.required(name, problems)?;
        read(&field).map_err(|found| problems.extend(found.into())).ok()
    }

    /// Reports every key that no getter has read.
    pub fn finish(self, problems: &mut Vec<Problem>) {
        for (i, (key, value)) in self.entries.iter().enumerate() {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            let before = i.checked_sub(1).and_then(|i| self.entries.get(i));
            problems.push(match before.and_then(|before| self.split_number(before, key, value)) {
                Some(problem) => problem,
                None => self.unknown(key),
            });
        }
    }

    fn unknown(&self, key: &Key) -> Problem {
        let problem =
            Problem::new(key.place, join(&self.path, &key.name), format!("unknown key `{}`", key.name));
        if let Some(advice) = misplaced::advice(&key.name, &self.path) {
            return problem.with_hint(advice);
        }
        match nearest(&key.name, self.known.iter().copied()) {
            Some(name) => problem.with_hint(format!("did you mean `{name}`?")),
            None => {
                let list = format!("known keys: {}", listed(self.known.iter().copied()));
                Problem { kind: ProblemKind::UnknownKey, ..problem.with_hint(list) }
            }
        }
    }

    /// In `{to: 0,1x}` the comma ends the value, and the rest becomes a key without a value.
    fn split_number(&self, (before, whole): &(Key, Tree), key: &Key, value: &Tree) -> Option<Problem> {
        let Value::Int(number) = whole.value else { return None };
        let rest = &key.name;
        if value.value != Value::Null || !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let message = format!("a comma ends the value: `{}: {number},{rest}` is two keys", before.name);
        let problem = Problem::new(whole.place, join(&self.path, &before.name), message);
        Some(problem.with_hint(format!("write decimal numbers with a point: {number}.{rest}")))
    }
}

/// `a.b`, or `b` where `a` is empty.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Any finite number.
pub fn number(field: &Field<'_>) -> Result<f64, Problem> {
    match field.tree.value {
        Value::Int(i) => Ok(i as f64),
        Value::Float(x) => Ok(x),
        _ => Err(field.expected("a number")),
    }
}

/// A number for which `accepts` is true; `range` describes it in words, as in "a number above 0".
pub fn number_where(
    range: &'static str,
    accepts: impl Fn(f64) -> bool,
) -> impl Fn(&Field<'_>) -> Result<f64, Problem> {
    move |field| match number(field) {
        Ok(x) if accepts(x) => Ok(x),
        _ => Err(field.expected(range)),
    }
}

/// A whole number of at least `least`.
pub fn whole(least: u64) -> impl Fn(&Field<'_>) -> Result<u64, Problem> {
    move |field| match field.tree.integer() {
        Some(i) if u64::try_from(i).is_ok_and(|i| i >= least) => Ok(i.unsigned_abs()),
        _ => Err(field.expected(&format!("a whole number of at least {least}"))),
    }
}

/// `true` or `false`.
pub fn boolean(field: &Field<'_>) -> Result<bool, Problem> {
    match field.tree.value {
        Value::Bool(b) => Ok(b),
        _ => Err(field.expected("`true` or `false`")),
    }
}

/// Text.
pub fn text(field: &Field<'_>) -> Result<String, Problem> {
    match &field.tree.value {
        Value::Text(text) => Ok(text.clone()),
        _ => Err(field.expected("text")),
    }
}

/// One of several words, each with its value.
pub fn choice<T: Clone>(options: &[(&'static str, T)]) -> impl Fn(&Field<'_>) -> Result<T, Problem> {
    move |field| {
        let names = || options.iter().map(|(name, _)| *name);
        let Value::Text(typed) = &field.tree.value else {
            return Err(field.expected(&format!("one of {}", listed(names()))));
        };
        match options.iter().find(|(name, _)| name == typed) {
            Some((_, value)) => Ok(value.clone()),
            None => {
                let problem = field.expected(&format!("one of {}", listed(names())));
                Err(match nearest(typed, names()) {
                    Some(name) => problem.with_hint(format!("did you mean `{name}`?")),
                    None => problem,
                })
            }
        }
    }
}
