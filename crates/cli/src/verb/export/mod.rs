//! `sweep export`: exports for other programs, one file for each kind.

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
    /// Export a schedule as code for another library, or its learning rates
    #[command(after_help = schedule::EXAMPLES)]
    Schedule(schedule::Args),
    /// Export results for pandas, DuckDB, spreadsheets or TensorBoard
    #[command(after_help = results::EXAMPLES)]
    Results(results::Args),
    /// Train a stored trial again and export its final weights in PyTorch's layout
    Weights(weights::Args),
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    match args {
        Args::Schedule(args) => schedule::run(args, global),
        Args::Results(args) => results::run(args, global),
        Args::Weights(args) => weights::run(args, global),
    }
}
