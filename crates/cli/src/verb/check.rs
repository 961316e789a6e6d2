//! `sweep check`: looks for mistakes in sweep files.

use crate::args::{Check, Global};
use crate::exit::{Outcome, report, say};
use crate::input::sweep_file;
use crate::origins;
use crate::training::programs_missing;

pub(crate) fn run(args: &Check, global: &Global) -> Outcome {
    let mut outcome = Ok(());
    for file in &args.files {
        match sweep_file(file, args.warnings, global.quiet, global) {
            Ok((spec, plan)) => {
                let name = file.display().to_string();
                let looked = origins::look(&spec, &plan, global);
                let looked = looked.and_then(|stored| stored.warn(&name, args.warnings, global));
                if let Err(failure) = looked {
                    report(std::mem::replace(&mut outcome, Err(failure)));
                    continue;
                }
                if global.quiet {
                    continue;
                }
                // It may be there where the sweep will run.
                for missing in programs_missing(&plan) {
                    say(format_args!("note: {}: {missing} here", file.display()));
                }
                let warnings = match plan.warnings.len() {
                    0 => String::new(),
                    1 => ", 1 warning".to_owned(),
                    n => format!(", {n} warnings"),
                };
                let trials = plan.trials.len();
                say(format_args!("{}: no mistake found{warnings}, {trials} trials", file.display()));
            }
            // The other files are looked at all the same. The last failure is told by the caller.
            Err(failure) => {
                report(std::mem::replace(&mut outcome, Err(failure)));
            }
        }
    }
    outcome
}
