//! The command line: a table of the verbs, each of which has a file with its arguments and what it does.

mod audit;
mod cancel;
mod check;
mod compare;
mod completions;
mod doctor;
mod expect;
mod export;
mod gc;
mod logs;
mod lr;
mod merge;
mod plan;
mod plot;
mod query;
mod rank;
mod report;
mod reproduce;
mod rm;
mod run;
mod schedules;
mod schema;
mod show;
mod status;
mod submit;
mod worker;

use clap::{Parser, Subcommand};

use crate::args::GlobalArgs;
use crate::exit::Outcome;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  sweep experiments/mnist.yaml          train what is missing, then rank
  sweep plan experiments/mnist.yaml     what would be trained
  sweep query \"select * from ranking\"   ask the database
  sweep reproduce best                  train the best run again, compare its bits
  sweep lr --lr 0.1 --total 100 '{kind: cosine}'

Exit codes: 0 done, 1 something failed, 2 a mistake in the input, 130 interrupted";

/// Finds out which learning-rate schedule trains a model best.
///
/// `sweep FILE` is short for `sweep run FILE`.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Makes of each line `Name(module)` a subcommand with the arguments `module::Args` that is run by `module::run`.
macro_rules! verbs {
    ($($(#[$about:meta])* $name:ident($module:ident),)*) => {
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $($(#[$about])* $name($module::Args),)*
        }

        impl Verb {
            /// Runs the verb that the user asked for.
            pub(crate) fn run(&self, global: &Global) -> Outcome {
                match self {
                    $(Self::$name(args) => $module::run(args, global),)*
                }
            }
        }
    };
}

verbs! {
    /// Train what a sweep file asks for and is not stored yet, then rank
    Run(run),
    /// Join the sweeps of a store and train for them, from any machine that reaches it
    Worker(worker),
    /// Put the results of other stores into this one
    Merge(merge),
    /// Hand a sweep to a cluster
    #[command(subcommand)]
    Submit(submit),
    /// Cancel the Slurm jobs of a sweep
    Cancel(cancel),
    /// Say what would be trained, and train nothing
    Plan(plan),
    /// Look for mistakes in a sweep file
    Check(check),
    /// Rank the schedules of a sweep
    Rank(rank),
    /// Compare two schedules of a sweep
    Compare(compare),
    /// Say what early-stopping rules would have saved and lost
    Audit(audit),
    /// Work out the losses that a task with a closed form is expected to have
    Expect(expect),
    /// Write a sweep's report: verdict, ranking, curves, warnings, as one page
    Report(report),
    /// Show one trial
    Show(show),
    /// Say how far each sweep is, what runs where, and what is stuck
    Status(status),
    /// Remove a sweep or the results of trials from the store
    Rm(rm),
    /// Remove files that no run needs any more
    Gc(gc),
    /// Check machine, data, store and settings, and say what to mend
    Doctor(doctor),
    /// Ask the database in SQL
    Query(query),
    /// Show what the program of a trial has printed
    Logs(logs),
    /// Train a stored trial again and compare every bit
    Reproduce(reproduce),
    /// Print the learning rates of one schedule
    Lr(lr),
    /// List the schedules, or show one with its formula, parameters and a plot
    Schedules(schedules),
    /// Draw the learning rates of a sweep file or of one schedule
    Plot(plot),
    /// Hand a schedule, results or trained weights to other programs
    #[command(subcommand)]
    Export(export),
    /// Print the JSON Schema of the sweep file
    Schema(schema),
    /// Print a completion script for a shell
    Completions(completions),
}
