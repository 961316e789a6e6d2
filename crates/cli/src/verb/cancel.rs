//! `sweep cancel`: cancels the Slurm jobs of a sweep. Each task writes its checkpoints first; stored results stay.

use std::collections::BTreeSet;
use std::path::Path;

use sweep::plan::{self, Aim};

use crate::exit::{Outcome, say};
use crate::global::Global;
use crate::slurm;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep
    pub sweep: String,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let path = Path::new(&args.sweep);
    let sweep = if path.is_file() {
        plan::of_file(path, Aim::LookUp, &global.context)?.1.name
    } else {
        args.sweep.clone()
    };
    let name = slurm::job_name(&sweep, &global.context.store);
    let tasks = slurm::tasks(&global.context.store).ok_or_else(slurm::unavailable)?;
    let of_sweep = |task: &&slurm::Task| task.sweep_name() == name;
    let active: Vec<&slurm::Task> = tasks.iter().filter(of_sweep).filter(|task| task.is_active()).collect();
    // One number for the whole array.
    let job = |task: &&slurm::Task| task.id.split('_').next().unwrap_or_default().to_owned();
    let jobs: BTreeSet<String> = active.iter().map(job).collect();
    let jobs: Vec<String> = jobs.into_iter().collect();
    if jobs.is_empty() {
        if !global.quiet {
            say(format_args!("no Slurm job of the sweep `{sweep}` is queued or running"));
        }
        return Ok(());
    }
    slurm::cancel(&jobs)?;
    if !global.quiet {
        say(format_args!(
            "cancelled {} tasks (jobs {}); stored results stay, and `sweep submit` continues",
            active.len(),
            jobs.join(", ")
        ));
    }
    Ok(())
}
