//! `sweep completions`: a completion script for a shell.

use clap::CommandFactory;

use super::Cli;
use crate::exit::{Outcome, print};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Your shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args, _: &Global) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sweep", &mut script);
    print(&String::from_utf8_lossy(&script))
}
