//! `sweep check`: checks sweep files for mistakes.

use std::path::{Path, PathBuf};

use schedule::problem::{Problem, counted};
use sweep::{notes, origins, programs, wait_for};

use crate::args::{Warnings, path};
use crate::diagnostics::{Severity, document, object};
use crate::exit::{Errors, Failure, Outcome, print, report, say};
use crate::global::Global;
use crate::input::{sweep_file, warn_of_stored};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sweep files (`-` reads standard input)
    #[arg(required = true, value_parser = path())]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub warnings: Warnings,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Mistakes and warnings with their lines, on stderr
    Text,
    /// The same, and on stdout an object that lists them
    Json,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (mut outcome, mut problems) = (Ok(()), Vec::new());
    for file in &args.files {
        match check(file, args.warnings, global) {
            Ok(warnings) => {
                let name = file.display().to_string();
                problems.extend(warnings.iter().map(|warning| object(Severity::Warning, warning, &name)));
            }
            // The other files are still checked.
            Err(failure) => {
                problems.extend(failure.objects());
                report(std::mem::replace(&mut outcome, Err(failure)), Errors::Stderr);
            }
        }
    }
    if args.format == Format::Text {
        // The caller prints the last failure.
        return outcome;
    }
    let code = outcome.as_ref().map_or_else(Failure::code, |()| 0);
    print(&document(problems, code))?;
    outcome.map_err(crate::exit::after_output)
}

/// Checks one file, and prints what is not an error. Returns its warnings.
fn check(file: &Path, warnings: Warnings, global: &Global) -> Result<Vec<Problem>, Failure> {
    let (spec, plan) = sweep_file(file, warnings, global)?;
    let stored = wait_for(origins::stored(&spec, &plan, &global.context))?;
    warn_of_stored(&stored, file, warnings, global)?;
    if global.quiet {
        return Ok(plan.warnings);
    }
    // Only a note: the program may exist where the sweep will run.
    for missing in programs::missing(&plan) {
        say(format_args!("note: {}: {missing} here", file.display()));
    }
    for note in notes::scripts_that_do_not_report(&plan) {
        say(format_args!("note: {}: {note}", file.display()));
    }
    let warned = match plan.warnings.len() {
        0 => String::new(),
        n => format!(", {}", counted(n, "warning")),
    };
    let trials = counted(plan.trials.len(), "trial");
    let searched = spec
        .search
        .as_ref()
        .map_or(String::new(), |search| format!(", and a search of at most {}", search.settings.trials));
    say(format_args!("{}: no mistakes found{warned}, {trials}{searched}", file.display()));
    Ok(plan.warnings)
}
