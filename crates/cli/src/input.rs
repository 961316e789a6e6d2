//! Reads the sweep files and JSON files that users name, with errors that say what to do.

use std::path::Path;

use schedule::problem::{counted, listed, nearest};
use schedule::tree::{Tree, Value};
use spec::protocol::Seeds;
use spec::{Plan, Spec};
use sweep::notes;
use sweep::origins::Stored;
use sweep::plan::{self, Aim};
use sweep::source::{Source, read};
use verdict::warnings::seeds_to_decide;

use crate::args::Warnings;
use crate::diagnostics::Severity;
use crate::exit::{Failure, Outcome, say, show};
use crate::global::Global;

/// Reads and checks a sweep file that will be trained. Prints its warnings on stderr.
pub(crate) fn sweep_file(path: &Path, warnings: Warnings, global: &Global) -> Result<(Spec, Plan), Failure> {
    let source = read(path, "sweep file", spec::yaml::MAX_BYTES)?;
    let (spec, plan) = sweep_text(path, &source, Aim::Train, warnings, global)?;
    if !global.quiet {
        let found = few_seeds(&spec).into_iter().chain(notes::row_numbers(&plan));
        found.for_each(|note| say(format_args!("note: {}: {note}", source.name)));
    }
    Ok((spec, plan))
}

/// A note if the sweep has too few seeds for any significant difference. Better known before training than after.
fn few_seeds(spec: &Spec) -> Option<String> {
    let schedules = spec.schedules.len() + usize::from(spec.search.is_some());
    let seeds = match &spec.seeds {
        Seeds::All(seeds) | Seeds::Split { decide: seeds, .. } => seeds.len() as u64,
        Seeds::Each { seeds, .. } => *seeds,
    };
    let needed = seeds_to_decide() as u64;
    (schedules > 1 && seeds < needed).then(|| {
        format!(
            "no difference between schedules can be significant with {}: the exact test needs at least \
             {needed}",
            counted(seeds, "seed")
        )
    })
}

/// Prints a note, if there is one.
pub(crate) fn show_note(note: Option<&str>, global: &Global) {
    if !global.quiet {
        note.iter().for_each(|note| say(format_args!("note: {note}")));
    }
}

/// Like [`sweep_file`], for a text that has already been read.
pub(crate) fn sweep_text(
    path: &Path,
    source: &Source,
    aim: Aim,
    warnings: Warnings,
    global: &Global,
) -> Result<(Spec, Plan), Failure> {
    let deny = warnings.deny_warnings;
    let (spec, plan) = plan::of_source(path, source, aim, &global.context)?;
    if !global.quiet || deny {
        show(Severity::Warning, &plan.warnings, &source.name, &source.text);
    }
    if deny && !plan.warnings.is_empty() {
        return Err(Failure::Denied { name: source.name.clone(), warnings: plan.warnings });
    }
    Ok((spec, plan))
}

/// Whether a word is a schedule, not a file name.
pub(crate) fn is_schedule(text: &str) -> bool {
    text.contains(['{', '(', '\n']) || text.strip_suffix('x').unwrap_or(text).parse::<f64>().is_ok()
}

/// Whether a text is a sweep file, not a schedule. One that can't be parsed counts as a sweep file: its errors are shown either way.
pub(crate) fn is_sweep(source: &Source) -> bool {
    match spec::yaml::read(&source.text) {
        Ok(tree) => {
            ["schedules", "budget", "data", "model"].iter().any(|key| tree.get(key).is_some())
                || !can_be_schedule(&tree)
        }
        Err(_) => true,
    }
}

/// Whether a document can be a schedule, or `{lr, schedule}`.
fn can_be_schedule(tree: &Tree) -> bool {
    match &tree.value {
        Value::Map(_) => {
            let keys = schedule::combine::COMBINATORS.iter().map(|each| each.key);
            keys.chain(["kind", "schedule", "warmup", "cooldown"]).any(|name| tree.get(name).is_some())
        }
        _ => true,
    }
}

/// Prints what users should know before stored results of a sweep are reused.
pub(crate) fn warn_of_stored(stored: &Stored, file: &Path, warnings: Warnings, global: &Global) -> Outcome {
    let lines = stored.warnings();
    let file = file.display();
    if !global.quiet || warnings.deny_warnings {
        for line in &lines {
            say(format_args!("\u{1b}[1;33mwarning\u{1b}[0m: {file}: {line}"));
        }
    }
    if warnings.deny_warnings && !lines.is_empty() {
        return Err(Failure::usage(format_args!(
            "{file}: the stored results are not what would be trained now (an error with --deny-warnings)"
        )));
    }
    Ok(())
}

/// Reads a JSON file. `NaN` and `Infinity`, which Python's json module writes although JSON does not have them, become
/// null and the texts "Infinity" and "-Infinity".
pub(crate) fn json(path: &Path, what: &str) -> Result<serde_json::Value, Failure> {
    let source = read(path, what, 256 << 20)?;
    let read = serde_json::from_str(&source.text);
    // A second try, only for a text that is not JSON.
    let read = read.or_else(|error| {
        serde_json::from_str(&spec::json::python_numbers(&source.text, "null")).map_err(|_| error)
    });
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::Usage(format!("{}:{line}:{column}: expected {what}: {error}", source.name))
    })
}

/// The error about a schedule that a stored sweep does not have.
pub(crate) fn unknown_schedule<'a>(
    word: &str,
    sweep: &str,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Failure {
    let hint = match nearest(word, names.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known: {}", listed(names)),
    };
    Failure::usage(format_args!("the sweep `{sweep}` has no schedule `{word}` ({hint})"))
}
