//! `sweep status`: the progress of each sweep, which trials run where and since when, and what is stuck.

use std::time::Duration;

use dashboard::exported::utc;
use report::{Cell, Format, Rows};
use store::{RunnerStatus, RunningTrial, SweepStatus};
use sweep::lookup::sweep;
use sweep::processes::{advice_on_runners, advice_on_sweep, is_stuck, state};
use sweep::stored::open;
use sweep::wait_for;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;
use crate::slurm;
use crate::words::span;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of a sweep [default: all sweeps]
    pub sweep: Option<String>,
    /// List the training processes instead of the sweeps
    #[arg(long)]
    pub processes: bool,
    /// List the Slurm jobs with their states instead of the sweeps
    #[arg(long, conflicts_with = "processes")]
    pub jobs: bool,
    #[command(flatten)]
    pub format: FormatArg,
}

/// Most running trials to list.
const MOST_RUNNING: i64 = 20;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let format = Format::from(&args.format);
    let jobs = slurm::tasks(&global.context.store);
    if args.jobs {
        return print(&tasks(&jobs.ok_or_else(slurm::unavailable)?).render(format));
    }
    let jobs = jobs.unwrap_or_default();
    match in_store(args, &jobs, global) {
        // The shards of a submitted sweep are merged only when all have ended.
        Err(Failure::Usage(_)) if !jobs.is_empty() && args.sweep.is_none() && format == Format::Table => {
            print(&format!("nothing is merged yet\n\nslurm\n{}", tasks(&jobs).render(format)))
        }
        outcome => outcome,
    }
}

/// The status of the store's sweeps, and of the jobs.
fn in_store(args: &Args, jobs: &[slurm::Task], global: &Global) -> Outcome {
    let (sweeps, runners, running) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let name = match &args.sweep {
            Some(word) => Some(sweep(&mut reader, Some(word), &global.context).await?),
            None => None,
        };
        reader.hold_snapshot().await?;
        let mut sweeps = reader.status().await?;
        sweeps.retain(|status| name.as_ref().is_none_or(|name| *name == status.sweep));
        let running = reader.running(name.as_deref(), MOST_RUNNING).await?;
        Ok::<_, Failure>((sweeps, reader.runners().await?, running))
    })?;
    let now = trainer::now();
    let format = Format::from(&args.format);
    if args.processes {
        return print(&processes(&runners).render(format));
    }
    if format != Format::Table {
        return print(&rows(&sweeps, &runners).render(format));
    }
    let mut text = rows(&sweeps, &runners).render(format);
    if !runners.is_empty() {
        text.push_str("\nprocesses\n");
        text.push_str(&processes(&runners).render(format));
    }
    if !running.is_empty() {
        let more = if running.len() as i64 == MOST_RUNNING { " (the oldest)" } else { "" };
        text.push_str(&format!("\nrunning{more}\n"));
        text.push_str(&trials(&running, now).render(format));
    }
    if !jobs.is_empty() {
        text.push_str("\nslurm\n");
        text.push_str(&tasks(jobs).render(format));
    }
    for advice in advice(&sweeps, &runners) {
        text.push_str(&format!("\n  {advice}"));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    print(&text)
}

fn rows(sweeps: &[SweepStatus], runners: &[RunnerStatus]) -> Rows {
    let mut rows = Rows::new([
        "sweep",
        "trials",
        "done",
        "diverged",
        "running",
        "queued",
        "stopped",
        "left",
        "failed",
        "processes",
        "stuck",
        "updated_at",
    ]);
    for status in sweeps {
        let own = || runners.iter().filter(|runner| runner.sweep.as_deref() == Some(status.sweep.as_str()));
        rows.rows.push(vec![
            status.sweep.as_str().into(),
            status.trials.into(),
            status.done.into(),
            status.diverged.into(),
            status.running.into(),
            status.queued.into(),
            status.stopped.into(),
            status.left_over.into(),
            status.failed.into(),
            own().filter(|runner| !is_stuck(runner)).count().into(),
            own().filter(|runner| is_stuck(runner)).count().into(),
            utc(status.updated_at).into(),
        ]);
    }
    rows
}

fn processes(runners: &[RunnerStatus]) -> Rows {
    let mut rows = Rows::new([
        "runner",
        "host",
        "pid",
        "job",
        "sweep",
        "state",
        "trials",
        "running",
        "since",
        "last_sign",
    ]);
    for runner in runners {
        rows.rows.push(vec![
            runner.runner_id.into(),
            runner.host.as_str().into(),
            runner.pid.into(),
            runner.job.as_deref().into(),
            runner.sweep.as_deref().into(),
            state(runner).into(),
            runner.trials.into(),
            runner.running.into(),
            utc(runner.started_at).into(),
            utc(runner.seen_at).into(),
        ]);
    }
    rows
}

fn tasks(jobs: &[slurm::Task]) -> Rows {
    let mut rows = Rows::new(["job", "name", "state", "node", "reason"]);
    for task in jobs {
        let words = [&task.id, &task.name, &task.state, &task.node, &task.reason];
        rows.rows.push(words.iter().map(|word| word.as_str().into()).collect());
    }
    rows
}

fn trials(running: &[RunningTrial], now: i64) -> Rows {
    let mut rows =
        Rows::new(["trial_id", "schedule", "base_lr", "seed", "steps", "for", "attempt", "runner"]);
    for trial in running {
        let short: String = trial.trial_id.chars().take(12).collect();
        rows.rows.push(vec![
            short.into(),
            trial.schedule.as_str().into(),
            trial.base_lr.into(),
            trial.seed.into(),
            format!("{}/{}", trial.steps_done, trial.steps).into(),
            trial.started_at.map_or(Cell::Null, |at| ago(now, at).into()),
            trial.attempts.into(),
            trial.runner_id.into(),
        ]);
    }
    rows
}

/// The time since `then`; 0 if the clock went backwards.
fn ago(now: i64, then: i64) -> String {
    span(Duration::from_millis(u64::try_from(now - then).unwrap_or(0)))
}

/// Advice on what is stuck.
fn advice(sweeps: &[SweepStatus], runners: &[RunnerStatus]) -> Vec<String> {
    let mut all = advice_on_runners(runners);
    all.extend(sweeps.iter().flat_map(|status| advice_on_sweep(status, runners)));
    all
}
