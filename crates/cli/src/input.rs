//! Reads what the user names: sweep files and JSON files, with errors that say what to do.

use std::io::Read;
use std::path::Path;

use schedule::problem::Problem;
use spec::protocol::Seeds;
use spec::{Plan, Spec};
use verdict::warnings::seeds_to_decide;

use crate::args::{Global, Warnings};
use crate::diagnostics::{Severity, show};
use crate::exit::{Failure, say};
use crate::world::Here;

/// A text and the name to show for it.
#[derive(Debug)]
pub(crate) struct Source {
    pub name: String,
    pub text: String,
}

/// Reads a text file of at most `most` bytes; `-` is standard input.
pub(crate) fn read(path: &Path, what: &str, most: usize) -> Result<Source, Failure> {
    let name = if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
    let usage = |message: String| Failure::Usage(message);
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too long from one that just fits.
    let limit = most as u64 + 1;
    let result = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else if path.is_dir() {
        return Err(usage(format!("{name} is a directory; {what} was expected")));
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(usage(format!(
                "there is no file {name}; {what} was expected{}",
                nearest_verb(&name)
            )));
        }
        Err(error) => return Err(usage(format!("can't read {name}: {error}"))),
        Ok(_) if bytes.len() > most => {
            return Err(usage(format!("{name} has more than {most} bytes; {what} is never that long")));
        }
        Ok(_) => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            Ok(Source { name, text: text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text) })
        }
        Err(error) => {
            let good = String::from_utf8_lossy(
                error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or(&[]),
            )
            .into_owned();
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Err(usage(format!("{name}:{line}:{column}: this is not UTF-8 text; {what} was expected")))
        }
    }
}

/// A word that is no file may be a misspelt verb.
fn nearest_verb(name: &str) -> String {
    let verbs = crate::args::verbs();
    match schedule::problem::nearest(name, verbs.iter().map(String::as_str)) {
        Some(verb) if !name.contains(['.', '/']) => format!(" (did you mean `sweep {verb}`?)"),
        _ => String::new(),
    }
}

/// Reads and checks a sweep file whose trials are to be trained; problems and warnings are shown on stderr.
pub(crate) fn sweep_file(
    path: &Path,
    warnings: Warnings,
    quiet: bool,
    global: &Global,
) -> Result<(Spec, Plan), Failure> {
    let source = read(path, "a sweep file", spec::yaml::MOST_BYTES)?;
    let (spec, plan) = sweep_text(path, &source, warnings, quiet, &Here::new(global, true))?;
    if !quiet {
        few_seeds(&spec).iter().for_each(|note| say(format_args!("note: {}: {note}", source.name)));
    }
    Ok((spec, plan))
}

/// The same of a sweep file that says what is looked up: no step of its tasks is tried, and no warning shown.
pub(crate) fn known_sweep_file(path: &Path, global: &Global) -> Result<(Spec, Plan), Failure> {
    let source = read(path, "a sweep file", spec::yaml::MOST_BYTES)?;
    sweep_text(path, &source, Warnings::default(), true, &Here::new(global, false))
}

/// That no result of a sweep can be significant, which is better known before it is trained.
fn few_seeds(spec: &Spec) -> Option<String> {
    let schedules = spec.schedules.len();
    let seeds = match &spec.seeds {
        Seeds::All(seeds) | Seeds::Split { decide: seeds, .. } => seeds.len() as u64,
        Seeds::Each(seeds) => *seeds,
    };
    let needed = seeds_to_decide() as u64;
    let plural = if seeds == 1 { "" } else { "s" };
    (schedules > 1 && seeds < needed).then(|| {
        format!(
            "no difference between schedules can be significant with {seeds} seed{plural}: the exact test needs at least \
             {needed}"
        )
    })
}

/// The same of a text that has been read.
pub(crate) fn sweep_text(
    path: &Path,
    source: &Source,
    warnings: Warnings,
    quiet: bool,
    world: &Here<'_>,
) -> Result<(Spec, Plan), Failure> {
    let deny = warnings.deny_warnings;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-").unwrap_or("sweep");
    match planned(&source.text, stem, world) {
        Ok((spec, plan)) => {
            if !quiet || deny {
                show(Severity::Warning, &plan.warnings, &source.name, &source.text);
            }
            match plan.warnings.len() {
                n if deny && n > 0 => {
                    let s = if n == 1 { "" } else { "s" };
                    Err(Failure::usage(format_args!(
                        "{}: {n} warning{s}, and --deny-warnings was given",
                        source.name
                    )))
                }
                _ => Ok((spec, plan)),
            }
        }
        Err(problems) => {
            show(Severity::Error, &problems, &source.name, &source.text);
            Err(Failure::Shown)
        }
    }
}

/// The plan of a sweep file's text, with the files and tasks that it names as they are here.
pub(crate) fn planned(
    text: &str,
    default_name: &str,
    world: &Here<'_>,
) -> Result<(Spec, Plan), Vec<Problem>> {
    let spec = spec::read_with(text, default_name, world)?;
    let plan = spec::plan(&spec)?;
    Ok((spec, plan))
}

/// Reads a JSON file. `NaN` and `Infinity`, which are no JSON but what Python's json module writes, become
/// null and the texts "Infinity" and "-Infinity".
pub(crate) fn json(path: &Path, what: &str) -> Result<serde_json::Value, Failure> {
    let source = read(path, what, 256 << 20)?;
    let read = serde_json::from_str(&source.text);
    // Only what is no JSON is looked at a second time.
    let read = read.or_else(|error| {
        serde_json::from_str(&spec::json::python_numbers(&source.text, "null")).map_err(|_| error)
    });
    read.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Failure::Usage(format!("{}:{line}:{column}: {what} was expected: {error}", source.name))
    })
}
