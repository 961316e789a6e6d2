//! `sweep check`: checks sweep files for mistakes.

use std::path::PathBuf;

use schedule::problem::counted;
use sweep::{notes, origins, programs, wait_for};

use crate::args::{Warnings, path};
use crate::exit::{Failure, Outcome, report, say};
use crate::global::Global;
use crate::input::{sweep_file, warn_of_stored};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sweep files (`-` reads standard input)
    #[arg(required = true, value_parser = path())]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub warnings: Warnings,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let mut outcome = Ok(());
    for file in &args.files {
        match sweep_file(file, args.warnings, global) {
            Ok((spec, plan)) => {
                let looked = wait_for(origins::stored(&spec, &plan, &global.context)).map_err(Failure::from);
                let looked = looked.and_then(|stored| warn_of_stored(&stored, file, args.warnings, global));
                if let Err(failure) = looked {
                    report(std::mem::replace(&mut outcome, Err(failure)));
                    continue;
                }
                if global.quiet {
                    continue;
                }
                // Only a note: the program may exist where the sweep will run.
                for missing in programs::missing(&plan) {
                    say(format_args!("note: {}: {missing} here", file.display()));
                }
                for note in notes::scripts_that_do_not_report(&plan) {
                    say(format_args!("note: {}: {note}", file.display()));
                }
                let warnings = match plan.warnings.len() {
                    0 => String::new(),
                    n => format!(", {}", counted(n, "warning")),
                };
                let trials = counted(plan.trials.len(), "trial");
                say(format_args!("{}: no mistakes found{warnings}, {trials}", file.display()));
            }
            // The other files are still checked. The caller reports the last failure.
            Err(failure) => {
                report(std::mem::replace(&mut outcome, Err(failure)));
            }
        }
    }
    outcome
}
