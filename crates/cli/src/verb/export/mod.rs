//! `sweep export`: what other programs take from here, one file for each subject.

mod axes;
mod column;
mod pages;
#[cfg(feature = "parquet")]
mod parquet;
mod results;
mod schedule;
mod table;
mod tensorboard;
mod weights;

use crate::exit::Outcome;
use crate::global::Global;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Print a program that gives the same learning rates, or the rates themselves
    #[command(after_help = schedule::EXAMPLES)]
    Schedule(schedule::Args),
    /// Write the results of a sweep for pandas, DuckDB, a spreadsheet, or TensorBoard
    #[command(after_help = results::EXAMPLES)]
    Results(results::Args),
    /// Train a stored trial again and write its final weights, as PyTorch names and shapes them
    Weights(weights::Args),
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    match args {
        Args::Schedule(args) => schedule::run(args, global),
        Args::Results(args) => results::run(args, global),
        Args::Weights(args) => weights::run(args, global),
    }
}
