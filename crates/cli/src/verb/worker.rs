//! `sweep worker`: joins the sweeps of a store and trains their trials.

use std::num::NonZeroUsize;

use sweep::{Summary, Training, programs, wait_for, worker};

use crate::args::TrainingArgs;
use crate::exit::{Outcome, say};
use crate::global::Global;
use crate::observer::printer;
use crate::signals::stoppable;
use crate::training::ended;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Train only for this sweep [default: any sweep with trials left, the most recent first]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// Number of threads that train [default: one per core]
    #[arg(long, short, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// How long to wait for work before exiting, as in 90s, 10m or 2h
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub wait: humantime::Duration,
    #[command(flatten)]
    pub training: TrainingArgs,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let context = &global.context;
    let workers = args.workers.map_or_else(programs::cores, |workers| workers.get());
    let options = args.training.options(workers, false, context)?;
    let mut name = args.sweep.clone();
    if args.wait.is_zero() {
        name = wait_for(worker::find(name, context))?;
    }
    let summary = wait_for(stoppable(async |stop| {
        let training = Training { context, options: &options, stop };
        worker::run(&training, name.as_deref(), args.wait.into(), &mut printer(global.quiet)).await
    }))?;
    if summary == Summary::default() && !global.quiet {
        say("nothing to train");
    }
    ended(&summary, global)
}
