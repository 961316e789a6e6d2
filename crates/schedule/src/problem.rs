//! Problems of a document: what is wrong, where, and how to fix it. Data only: `cli` prints it.

use crate::tree::Place;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place in the document.
    pub place: Place,
    /// The path of keys that leads there, as in `schedules.cosine.warmup.over`; may be empty.
    pub path: String,
    /// The error and the expected value. One sentence without a full stop.
    pub message: String,
    /// How to fix it, if known.
    pub hint: Option<String>,
    /// The lint of a warning, a name in [`crate::lint::LINTS`]; `None` for an error.
    pub lint: Option<&'static str>,
    /// The kind of problem. Several problems of a kind can be merged.
    pub kind: ProblemKind,
}

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub enum ProblemKind {
    /// A problem with a value.
    #[default]
    Value,
    /// A required key is missing from the mapping at the problem's path.
    MissingKey(&'static str),
    /// An unknown key. The hint lists the known keys.
    UnknownKey,
}

impl From<Problem> for Vec<Problem> {
    fn from(problem: Problem) -> Self {
        vec![problem]
    }
}

/// Collects all values, or all problems.
///
/// # Errors
/// Every problem among the items.
pub fn all<T>(items: impl IntoIterator<Item = Result<T, Problem>>) -> Result<Vec<T>, Vec<Problem>> {
    let (mut values, mut problems) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Ok(value) => values.push(value),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

/// Sorts problems by place and removes duplicates. Merges the missing keys of a mapping into one problem and
/// keeps each list of known keys only once.
pub fn sort_problems(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| {
        let place = |p: &Problem| (p.place.line, p.place.column, p.place.start, p.place.end);
        // Compares all fields that can differ, so that equal problems are adjacent.
        place(a)
            .cmp(&place(b))
            .then_with(|| a.path.cmp(&b.path))
            .then_with(|| {
                matches!(a.kind, ProblemKind::MissingKey(_))
                    .cmp(&matches!(b.kind, ProblemKind::MissingKey(_)))
            })
            .then_with(|| a.message.cmp(&b.message))
            .then_with(|| a.hint.cmp(&b.hint))
    });
    problems.dedup();
    join_missing(problems);
    let mut lists: Vec<String> = Vec::new();
    for problem in problems.iter_mut().filter(|problem| problem.kind == ProblemKind::UnknownKey) {
        match problem.hint.take() {
            Some(list) if !lists.contains(&list) => {
                lists.push(list.clone());
                problem.hint = Some(list);
            }
            _ => {}
        }
    }
}

/// Merges adjacent problems about missing keys of one mapping.
fn join_missing(problems: &mut Vec<Problem>) {
    let mut joined: Vec<Problem> = Vec::with_capacity(problems.len());
    let mut names: Vec<&'static str> = Vec::new();
    for problem in problems.drain(..) {
        let ProblemKind::MissingKey(name) = problem.kind else {
            joined.push(problem);
            continue;
        };
        match joined.last_mut() {
            Some(last)
                if matches!(last.kind, ProblemKind::MissingKey(_))
                    && (last.place, &last.path) == (problem.place, &problem.path) =>
            {
                names.push(name);
                last.message = format!("missing keys {}", listed(names.iter().copied()));
            }
            _ => {
                names = vec![name];
                joined.push(problem);
            }
        }
    }
    *problems = joined;
}

impl Problem {
    /// A problem without a hint.
    pub fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place,
            path: path.into(),
            message: message.into(),
            hint: None,
            lint: None,
            kind: ProblemKind::Value,
        }
    }

    /// The same problem with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem, as a warning of this lint.
    pub fn with_lint(mut self, lint: &'static str) -> Self {
        self.lint = Some(lint);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.place.line > 0 {
            write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        match self.lint {
            Some(lint) => write!(f, " [{lint}]"),
            None => Ok(()),
        }
    }
}

/// The name in `known` that was probably intended by `typed`: the most similar one, or the only one with this
/// prefix.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_lowercase();
    let known: Vec<&str> = known.into_iter().collect();
    let mut begin = known.iter().copied().filter(|name| name.to_lowercase().starts_with(&lower));
    let beginning = if lower.chars().count() >= 3 { begin.next() } else { None };
    if let (Some(name), None) = (beginning, begin.next()) {
        return Some(name);
    }
    let letters = typed.chars().count();
    let near = |name: &'a str| {
        let other = name.chars().count();
        let short = other.min(letters);
        // The names must share some letters: q is not a misspelt t, and foo is not a misspelt cos.
        let most = if short < 4 { 1 } else { 1 + short / 3 };
        // Names whose lengths differ by more can't be near; this skips the expensive comparison.
        if other.abs_diff(letters) > most {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
        (distance <= most && distance < other.max(letters)).then_some((distance, name))
    };
    known.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The known name that is almost certainly meant: it begins with the typed one, or differs in at most two letters and a third of
/// the typed ones. For places where other names are valid too: `f1` is not a misspelt `lr`.
pub fn misspelt<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = typed.to_lowercase();
    let letters = lower.chars().count();
    let most = 2.min(letters / 3);
    let is_meant = |name: &&str| {
        let begins = letters >= 4 && name.starts_with(&lower);
        *name != typed && (begins || strsim::damerau_levenshtein(&lower, name) <= most)
    };
    known.into_iter().find(is_meant)
}

/// A number with its noun, as in `1 step` and `2 steps`.
pub fn counted(n: impl std::fmt::Display, noun: &str) -> String {
    let n = n.to_string();
    let plural = if n == "1" { "" } else { "s" };
    format!("{n} {noun}{plural}")
}

/// Names as prose: "`cosine`, `linear` and `step`".
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
