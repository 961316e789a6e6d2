//! The command line of `sweep`, for its own binary and for programs that bring tasks of their own: reads the arguments, runs one
//! verb, says how it went.

mod args;
mod diagnostics;
mod document;
mod exit;
mod input;
mod output;
mod progress;
mod rounds;
mod screen;
mod shell;
mod slurm;
mod startup;
mod stored;
mod training;
mod verb;
mod weights;

use std::process::ExitCode;

use trainer::own::Tasks;

/// Reads the command line, runs one verb, says how it went. Sweep files may ask for these tasks.
pub fn main(tasks: Tasks) -> ExitCode {
    startup::one_thread_per_trial();
    let mut args = args::parse();
    args.global.tasks = tasks;
    startup::log(args.global.quiet);
    let outcome = verb::run(args);
    exit::report(outcome)
}
