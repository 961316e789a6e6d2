//! The command line: a table of the verbs. Each verb has a file with its arguments and its code.

mod audit;
mod cancel;
mod check;
mod compare;
mod completions;
mod dashboard;
mod doctor;
mod expect;
mod export;
mod gc;
mod logs;
mod lr;
mod lr_law;
mod merge;
mod new;
mod outputs;
mod plan;
mod plot;
mod predict;
mod query;
mod rank;
mod report;
mod reproduce;
mod rm;
mod run;
mod schedules;
mod schema;
mod search;
mod show;
mod status;
mod submit;
mod untried;
mod worker;

use clap::{Parser, Subcommand};

pub(crate) use self::dashboard::failure as dashboard_failure;
use crate::args::GlobalArgs;
use crate::exit::Outcome;
use crate::global::Global;

const EXAMPLES: &str = "\
Examples:
  sweep new --csv data.csv --label y    write a sweep file for your data
  sweep experiments/mnist.yaml          train what is missing, then rank
  sweep plan experiments/mnist.yaml     count the runs and estimate the time
  sweep dashboard                       watch it in a browser
  sweep compare cosine wsd              is one better than the other?
  sweep query \"select * from ranking\"   query the database

`sweep FILE` is short for `sweep run FILE`.
Exit codes: 0 success, 1 failure, 2 wrong input, 130 interrupted";

/// Finds out which learning-rate schedule trains your model best
#[derive(Debug, Parser)]
#[command(name = "sweep", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Makes each line `Name(module)` a subcommand with the arguments `module::Args`, run by `module::run`. The module has the
/// verb's name, with `_` instead of `-`.
macro_rules! verbs {
    ($($group:ident { $($(#[$about:meta])* $name:ident($module:ident),)* })*) => {
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $($($(#[$about])* $name($module::Args),)*)*
        }

        impl Verb {
            /// Runs the verb.
            pub(crate) fn run(&self, global: &Global) -> Outcome {
                match self {
                    $($(Self::$name(args) => $module::run(args, global),)*)*
                }
            }
        }

        /// The groups of `sweep --help`: the title and the modules of the verbs of each.
        pub(crate) const GROUPS: &[(&str, &[&str])] =
            &[$((stringify!($group), &[$(stringify!($module)),*])),*];
    };
}

verbs! {
    Run {
        /// Write a sweep file to start from
        #[command(visible_alias = "init")]
        New(new),
        /// Check a sweep file for mistakes
        Check(check),
        /// Show what `run` would train and how long it would take
        Plan(plan),
        /// Train the missing runs of a sweep file, then rank
        Run(run),
        /// Search for a better shape of a schedule, then judge it
        Search(search),
        /// Train a stored trial again and compare it bit for bit
        Reproduce(reproduce),
    }
    Analyse {
        /// Rank the schedules of a sweep
        Rank(rank),
        /// Compare two schedules of a sweep
        Compare(compare),
        /// Write a sweep's report (HTML or Markdown)
        Report(report),
        /// Show what early stopping would have saved and lost
        Audit(audit),
        /// Fit the best lr of each schedule to the number of steps
        LrLaw(lr_law),
        /// Compute the expected losses of a task with a closed form
        Expect(expect),
        /// Predict the losses of schedules that were not trained
        Predict(predict),
        /// Export a schedule, results or weights for other programs
        #[command(subcommand)]
        Export(export),
    }
    Inspect {
        /// Show sweeps live in a browser
        Dashboard(dashboard),
        /// Show the progress of each sweep, and what is stuck
        Status(status),
        /// Show one trial
        Show(show),
        /// Show what the program of a trial printed
        Logs(logs),
        /// Print the folder of what the program of a trial kept
        Outputs(outputs),
        /// Run an SQL query on the results
        Query(query),
        /// List all schedules, or describe one of them
        Schedules(schedules),
        /// Print the learning rates of a schedule
        Lr(lr),
        /// Plot the learning rates of schedules
        Plot(plot),
        /// Check machine, data and store, and say what to fix
        Doctor(doctor),
        /// Remove a sweep, or the results of trials
        Rm(rm),
        /// Remove files that no trial needs
        Gc(gc),
        /// Print the JSON Schema of sweep files, or of what a verb prints
        Schema(schema),
        /// Print a completion script for your shell
        Completions(completions),
    }
    Cluster {
        /// Join a sweep and train for it, on any machine
        Worker(worker),
        /// Merge the results of other stores into this one
        Merge(merge),
        /// Submit a sweep to a cluster
        #[command(subcommand)]
        Submit(submit),
        /// Cancel the Slurm jobs of a sweep
        Cancel(cancel),
    }
}
