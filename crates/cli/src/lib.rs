//! The command line of `sweep`, for its own binary and for programs with custom tasks: parses the arguments, runs one verb,
//! reports its outcome.

mod args;
mod command;
mod diagnostics;
mod document;
mod exit;
mod global;
mod input;
mod json_outputs;
mod live;
mod measured;
mod observer;
mod output;
mod progress;
mod screen;
mod shell;
mod signals;
mod slurm;
mod startup;
mod status_line;
mod training;
mod verb;
mod words;

use std::process::ExitCode;
use std::thread::JoinHandle;

use sweep::Context;
use trainer::custom::Tasks;

use crate::args::GlobalArgs;
use crate::global::Global;

/// Parses the command line, runs one verb, and returns the exit code. Sweep files may use the custom tasks in `tasks`. Call it
/// before anything else in `main`: it sets environment variables, which no other thread may read meanwhile.
pub fn main(tasks: Tasks) -> ExitCode {
    startup::environment();
    // Verbs train, and the graph of a step may be deep.
    let thread = std::thread::Builder::new().name("main".to_owned()).stack_size(orchestrator::STACK_BYTES);
    match thread.spawn(move || run(tasks)).map(JoinHandle::join) {
        Ok(Ok(code)) => code,
        // The panic hook has already printed it.
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            let failure = exit::Failure::failed(format_args!("can't start a thread: {error}"));
            exit::report(Err(failure), exit::Errors::Stderr)
        }
    }
}

fn run(tasks: Tasks) -> ExitCode {
    let (cli, errors) = command::parse();
    let GlobalArgs { store, data_dir, quiet } = cli.global;
    startup::log(quiet);
    let context = Context { store, data_dir, tasks, job: slurm::job() };
    let global = Global { context, quiet };
    exit::report(cli.verb.run(&global), errors)
}
