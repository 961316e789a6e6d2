//! `sweep completions`: a completion script for a shell.

use clap::CommandFactory;

use crate::args::Cli;
use crate::exit::{Outcome, print};

pub(crate) fn run(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sweep", &mut script);
    print(&String::from_utf8_lossy(&script))
}
