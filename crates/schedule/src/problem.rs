//! What is wrong with a document, where, and how to mend it. Data only: `cli` prints it.

use crate::tree::Place;

/// One mistake in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The path of keys that leads there, as in `schedules.cosine.warmup.over`; may be empty.
    pub path: String,
    /// What is wrong and what was expected. One sentence without a full stop.
    pub message: String,
    /// How to mend it, if that is known.
    pub hint: Option<String>,
    /// The lint that warns of it, a name in [`crate::lint::LINTS`]; none for what is plainly wrong.
    pub lint: Option<&'static str>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place, path: path.into(), message: message.into(), hint: None, lint: None }
    }

    /// The same problem with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem as a warning of this lint.
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

/// The name out of `known` that `typed` was probably meant to be: one that is spelt nearly so, or the only
/// one that begins so.
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
        // Something must be left of it: q is no misspelt t, and foo no cos.
        let most = if short < 4 { 1 } else { 1 + short / 3 };
        // Of other lengths by more than that no two are near: what would take long is not worked out.
        if other.abs_diff(letters) > most {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
        (distance <= most && distance < other.max(letters)).then_some((distance, name))
    };
    known.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// "`cosine`, `linear` and `step`": names as prose.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
