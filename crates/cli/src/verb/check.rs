//! `sweep check`: looks for mistakes in sweep files.

use crate::args::{Check, Global};
use crate::exit::{Outcome, say};
use crate::input::sweep_file;

pub(crate) fn run(args: &Check, global: &Global) -> Outcome {
    let mut outcome = Ok(());
    for file in &args.files {
        match sweep_file(file, global.quiet) {
            Ok((_, plan)) if !global.quiet => {
                say(format_args!("{}: no mistake found, {} trials", file.display(), plan.trials.len()));
            }
            Ok(_) => {}
            Err(failure) => outcome = Err(failure),
        }
    }
    outcome
}
