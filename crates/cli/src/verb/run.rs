//! `sweep run FILE`: trains what is missing, stores it, ranks.

use std::num::NonZeroUsize;
use std::time::Duration;

use orchestrator::{Missing, Options, Seen, Stop, Summary, SweepError};
use report::{Format, Ranking};
use spec::{Plan, Spec};
use store::{Reader, Store};

use crate::args::{Device, Global, Metric, RankBy, Run};
use crate::exit::{Failure, Outcome, print, say};
use crate::input::sweep_file;
use crate::progress::Progress;
use crate::rounds;
use crate::shell::{quoted, store_option};
use crate::stored::{Ranked, ranked, wait_for};
use crate::verb::rank;

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Store(error) => error.into(),
            SweepError::Data(error) => Failure::usage(error),
            SweepError::Device(error) => error.into(),
            error @ SweepError::Memory { .. } => Failure::usage(error),
            other => Failure::failed(other),
        }
    }
}

impl From<trainer::device::DeviceError> for Failure {
    fn from(error: trainer::device::DeviceError) -> Self {
        if error.is_users_mistake() { Failure::usage(error) } else { Failure::failed(error) }
    }
}

impl From<Device> for trainer::device::Device {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu => Self::Cpu,
            Device::Cuda => Self::Cuda,
        }
    }
}

pub(crate) fn run(args: &Run, global: &Global) -> Outcome {
    let (spec, plan) = sweep_file(&args.file, args.warnings, global.quiet)?;
    let device = trainer::device::Device::from(args.device);
    device.open()?;
    let options = Options {
        workers: workers(args.workers),
        lanes: args.lanes,
        share: !args.no_share,
        memory: args.memory.map(|size| size.as_u64()),
        device,
        checkpoint_every: Duration::from_secs(args.checkpoint_every),
        checkpoints: global.store.join("checkpoints"),
        lease: Duration::from_secs(args.lease),
        retries: args.retries,
        time_limit: args.time_limit.map(Into::into),
    };
    let name = plan.name.clone();
    let (summary, ranked) = wait_for(sweep(&spec, plan, &options, global))?;
    let format = Format::from(&args.format);
    rank::show(&name, &ranked, format, global.quiet)?;
    if format == Format::Table {
        print(&next(&ranked.ranking, global))?;
    }
    ended(&summary, global)
}

/// Trains what the store lacks, round after round until nothing more follows from the results, and ranks them.
async fn sweep(
    spec: &Spec,
    mut plan: Plan,
    options: &Options,
    global: &Global,
) -> Result<(Summary, Ranked), Failure> {
    let mut store = Store::open(&global.store).await?;
    let stop = Stop::default();
    let on_signals = tokio::spawn(stop_on_signals(stop.clone()));
    let mut all = Summary::default();
    loop {
        // What earlier runs of this command have decided is decided again from what they stored.
        let rows = Reader::open(&global.store).await?.results(&plan.name).await?;
        if let Some(decided) = rounds::next(spec, &plan, &rows) {
            fault::point("promotion.before").map_err(Failure::failed)?;
            if !global.quiet {
                decided.words.iter().for_each(say);
            }
            plan = spec::plan_on(spec, decided.decisions).map_err(|problems| {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Failure::usage(format_args!(
                    "what follows from the results can't be trained: {}",
                    problems.join("; ")
                ))
            })?;
            continue;
        }
        let missing = orchestrator::register(&plan, &mut store).await?;
        fault::point("promotion.after").map_err(Failure::failed)?;
        if missing.is_empty() && rounds::is_complete(&plan, &rows) {
            if all == Summary::default() && !global.quiet {
                say(opening(&plan, &missing, options));
            }
            break;
        }
        let asked = missing.len();
        let summary = train(&plan, missing, &mut store, options, &stop, global).await?;
        all.done += summary.done;
        all.diverged += summary.diverged;
        all.failed += summary.failed;
        all.stopped += summary.stopped;
        all.elsewhere += summary.elsewhere;
        // Anything but an end of all of them: what follows can't be told.
        if summary.done + summary.diverged + summary.elsewhere < asked {
            break;
        }
    }
    on_signals.abort();
    store.close().await?;
    let mut reader = Reader::open(&global.store).await?;
    let how = RankBy { metric: Metric::Final, budget: None, rope: None };
    Ok((all, ranked(&mut reader, &plan.name, &how).await?))
}

/// One round.
async fn train(
    plan: &Plan,
    missing: Vec<Missing>,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    global: &Global,
) -> Result<Summary, Failure> {
    let images =
        orchestrator::load(missing.iter().map(|missing| &missing.trial), global.data_dir.as_deref())?;
    if !global.quiet {
        say(opening(plan, &missing, options));
    }
    let firsts: Vec<(String, u64)> = missing
        .iter()
        .map(|missing| (missing.trial.id.clone(), missing.checkpoint.as_ref().map_or(0, |(_, step)| *step)))
        .collect();
    let mut progress = Progress::new(plan, &firsts, global.quiet);
    let observe = |seen: Seen<'_>| match seen {
        Seen::Event(event) => progress.on(event),
        Seen::Elsewhere(ended) => progress.elsewhere(ended),
    };
    let trained = orchestrator::train(&plan.name, missing, images, store, options, stop, observe).await;
    if !firsts.is_empty() {
        progress.finish();
    }
    Ok(trained?)
}

/// What is about to happen.
fn opening(plan: &Plan, missing: &[Missing], options: &Options) -> String {
    let (all, left) = (plan.trials.len(), missing.len());
    let name = &plan.name;
    if left == 0 {
        return format!("{name}: all {all} trials are stored, nothing to train");
    }
    let merged = match plan.merged() {
        0 => String::new(),
        n => format!(", {n} runs are the same as another"),
    };
    let stored = match all - left {
        0 => String::new(),
        n => format!(", {n} of them stored already"),
    };
    let workers = options.workers.get();
    let plural = if workers == 1 { "" } else { "s" };
    format!(
        "{name}: {all} trials{stored}{merged}; training {left} on {workers} worker{plural} ({}){}",
        options.device,
        sharing(missing, options)
    )
}

/// What shared steps save, where none of the trials has begun.
fn sharing(missing: &[Missing], options: &Options) -> String {
    if !options.share || missing.iter().any(|missing| missing.checkpoint.is_some()) {
        return String::new();
    }
    let trials: Vec<_> = missing.iter().map(|missing| &missing.trial).collect();
    let asked: u64 = trials.iter().map(|trial| trial.config.task.steps).sum();
    match spec::share::steps(&trials) {
        steps if steps == asked => String::new(),
        steps => format!(", {steps} steps for {asked} asked for ({})", fewer(asked, steps)),
    }
}

/// As in `9.3 times fewer`.
pub(super) fn fewer(asked: u64, steps: u64) -> String {
    format!("{:.1} times fewer", asked as f64 / steps.max(1) as f64)
}

/// So many threads as were asked for, or one for each core.
pub(super) fn workers(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// The first Ctrl-C (or SIGTERM, or a closed terminal) asks the workers to stop, the second ends the program at once.
async fn stop_on_signals(stop: Stop) {
    signal().await;
    stop.request();
    say("stopping: each worker writes a checkpoint (Ctrl-C again quits at once)");
    signal().await;
    std::process::exit(130);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup())) {
        (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        }
        // Without handlers the system's own ones end the program, which loses nothing that is stored.
        _ => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// The commands that make sense now, ready to be pasted: the program as it was called, and the options
/// that say where things are.
fn next(ranking: &Ranking, global: &Global) -> String {
    let program = std::env::args_os().next().unwrap_or_else(|| "sweep".into());
    let sweep = format!("{}{}", quoted(&program.to_string_lossy()), store_option(global));
    let query = format!("{sweep} query \"select * from ranking\"");
    let mut lines = vec![(query, "ask the database")];
    if ranking.lines.iter().any(|line| line.mean.is_some()) {
        lines.push((format!("{sweep} show best"), "the best run"));
        let data = global.data_dir.as_ref();
        let data = data.map(|dir| format!(" --data-dir {}", quoted(&dir.display().to_string())));
        lines.push((
            format!("{sweep} reproduce best{}", data.unwrap_or_default()),
            "train it again, compare every bit",
        ));
    }
    let width = lines.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    let lines: String =
        lines.iter().map(|(command, what)| format!("  {command:<width$}   {what}\n")).collect();
    format!("\nnext:\n{lines}")
}

/// The exit code, and what to do where not all is done.
fn ended(summary: &Summary, global: &Global) -> Outcome {
    if summary.stopped > 0 {
        if !global.quiet {
            say(format_args!(
                "{} trials are left; the same command goes on where this one stopped",
                summary.stopped
            ));
        }
        return Err(Failure::Interrupted);
    }
    match summary.failed {
        0 => Ok(()),
        n => Err(Failure::failed(format_args!(
            "{n} trials failed (select trial_id, error from trials where status = 'failed'); the same command tries them \
             again"
        ))),
    }
}
