//! The names of metrics that a program reports besides the known ones. Their direction is not known here: the sweep file states it.

use crate::problem::misspelt;

/// The keys of a program's reports that are not its own metrics.
pub const REPORT_KEYS: [&str; 10] = [
    "step",
    "lr",
    "train_loss",
    "grad_norm",
    "valid_loss",
    "valid_accuracy",
    "test_loss",
    "test_accuracy",
    "weights_hash",
    "checkpoint",
];

/// Names that would be ambiguous, each with what to write instead.
const AMBIGUOUS: [(&str, &str); 11] = [
    ("loss", "`train_loss` or `valid_loss`"),
    ("train", "`train_loss`"),
    ("valid", "`valid_loss` or `valid_accuracy`"),
    ("accuracy", "`valid_accuracy` or `test_accuracy`"),
    ("acc", "`valid_accuracy` or `test_accuracy`"),
    ("final", "another name"),
    ("best", "another name"),
    ("tail", "another name"),
    ("steps_to", "another name"),
    ("ask", "another name"),
    ("loaded", "another name"),
];

/// The most characters of a name.
const LONGEST: usize = 64;

/// Checks the name of a metric of a program's own.
///
/// # Errors
/// Why it can't be one, as part of a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic())
        || !name.chars().all(is_plain)
        || name.len() > LONGEST
    {
        return Err(format!(
            "`{name}` can't be the name of a metric: names have at most {LONGEST} letters, digits and _ - . /, and begin with a letter"
        ));
    }
    if let Some((_, instead)) = AMBIGUOUS.iter().find(|(known, _)| *known == name) {
        return Err(format!("`{name}` is ambiguous: write {instead}"));
    }
    match misspelt(name, REPORT_KEYS) {
        Some(near) => Err(format!("unknown metric `{name}` (did you mean `{near}`?)")),
        None => Ok(()),
    }
}
