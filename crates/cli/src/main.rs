//! The binary `sweep`: reads the command line, runs one verb, says how it went.

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

use std::process::ExitCode;

/// Returns no pages to the system between steps: training allocates the same buffers again and again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    startup::one_thread_per_trial();
    let args = args::parse();
    startup::log(args.global.quiet);
    let outcome = verb::run(args);
    exit::report(outcome)
}
