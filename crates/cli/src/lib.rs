//! The command line of `sweep`, for its own binary and for programs that bring tasks of their own: reads the arguments, runs one
//! verb, says how it went.

mod args;
mod column;
mod diagnostics;
mod document;
mod exit;
mod input;
mod origins;
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
mod world;

use std::process::ExitCode;
use std::thread::JoinHandle;

use trainer::own::Tasks;

/// Reads the command line, runs one verb, says how it went. Sweep files may ask for these tasks. To be called before anything else
/// in `main`: it sets variables of the environment, which no other thread may read meanwhile.
pub fn main(tasks: Tasks) -> ExitCode {
    startup::environment();
    // A verb may train, and the graph of a step may be deep.
    let thread = std::thread::Builder::new().name("main".to_owned()).stack_size(orchestrator::STACK_BYTES);
    match thread.spawn(move || run(tasks)).map(JoinHandle::join) {
        Ok(Ok(code)) => code,
        // It was told when it came.
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => exit::report(Err(exit::Failure::failed(format_args!("can't start a thread: {error}")))),
    }
}

fn run(tasks: Tasks) -> ExitCode {
    let mut args = args::parse();
    args.global.tasks = tasks;
    startup::log(args.global.quiet);
    let outcome = verb::run(args);
    exit::report(outcome)
}
