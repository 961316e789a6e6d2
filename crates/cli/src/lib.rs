//! The command line of `sweep`, for its own binary and for programs that bring tasks of their own: reads the arguments, runs one
//! verb, says how it went.

mod args;
mod column;
mod command;
mod diagnostics;
mod document;
mod exit;
mod global;
mod input;
mod observer;
mod output;
mod progress;
mod screen;
mod shell;
mod signals;
mod slurm;
mod startup;
mod training;
mod verb;
mod words;

use std::process::ExitCode;
use std::thread::JoinHandle;

use sweep::Context;
use trainer::custom::Tasks;

use crate::args::GlobalArgs;
use crate::global::Global;

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
    let cli = command::parse();
    let GlobalArgs { store, data_dir, quiet } = cli.global;
    startup::log(quiet);
    let context = Context { store, data_dir, tasks, job: slurm::job() };
    let global = Global { context, quiet, verbs: command::verbs() };
    exit::report(cli.verb.run(&global))
}
