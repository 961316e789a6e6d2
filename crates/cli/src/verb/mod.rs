//! The verbs, one file each.

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

use crate::args::{Cli, Verb};
use crate::exit::Outcome;

/// Runs the verb that the user asked for.
pub(crate) fn run(cli: Cli) -> Outcome {
    let global = &cli.global;
    match &cli.verb {
        Verb::Run(args) => run::run(args, global),
        Verb::Worker(args) => worker::run(args, global),
        Verb::Merge(args) => merge::run(args, global),
        Verb::Submit(args) => submit::run(args, global),
        Verb::Cancel(args) => cancel::run(args, global),
        Verb::Plan(args) => plan::run(args, global),
        Verb::Check(args) => check::run(args, global),
        Verb::Rank(args) => rank::run(args, global),
        Verb::Compare(args) => compare::run(args, global),
        Verb::Audit(args) => audit::run(args, global),
        Verb::Expect(args) => expect::run(args, global),
        Verb::Report(args) => report::run(args, global),
        Verb::Show(args) => show::run(args, global),
        Verb::Logs(args) => logs::run(args, global),
        Verb::Status(args) => status::run(args, global),
        Verb::Rm(args) => rm::run(args, global),
        Verb::Gc(args) => gc::run(args, global),
        Verb::Doctor(args) => doctor::run(args, global),
        Verb::Query(args) => query::run(args, global),
        Verb::Reproduce(args) => reproduce::run(args, global),
        Verb::Lr(args) => lr::run(args),
        Verb::Schedules(args) => schedules::run(args),
        Verb::Plot(args) => plot::run(args, global),
        Verb::Export(args) => export::run(args, global),
        Verb::Schema => schema::run(),
        Verb::Completions { shell } => completions::run(*shell),
    }
}
