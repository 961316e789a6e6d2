//! What the verbs that train share: options, and a sweep's rounds on an open store.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orchestrator::{Missing, Options, Seen, Stop, Summary, SweepError};
use spec::trial::Trial;
use spec::{Plan, Spec};
use store::{Joining, Store};

use crate::args::{Device, Global, Training};
use crate::exit::{Failure, Outcome, say};
use crate::progress::Progress;
use crate::{rounds, weights};

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Store(error) => error.into(),
            SweepError::Data(error) => Failure::usage(error),
            SweepError::Device(error) => error.into(),
            error @ SweepError::Memory { .. } => Failure::usage(error),
            SweepError::Probe(error) => error.into(),
            other => Failure::failed(other),
        }
    }
}

impl From<trainer::TrainError> for Failure {
    fn from(error: trainer::TrainError) -> Self {
        match error {
            trainer::TrainError::Device(error) => error.into(),
            error => Failure::failed(error),
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

/// How to train. `asked`: by a person, just now.
pub(crate) fn options(
    args: &Training,
    workers: usize,
    asked: bool,
    global: &Global,
) -> Result<Options, Failure> {
    let device = trainer::device::Device::from(args.device);
    if workers > 0 {
        device.open()?;
    }
    Ok(Options {
        workers,
        lanes: args.lanes,
        share: !args.no_share,
        memory: args.memory.map(|size| size.as_u64()),
        device,
        checkpoint_every: Duration::from_secs(args.checkpoint_every),
        checkpoints: global.store.checkpoints(args.checkpoints.as_deref()),
        trials: global.store.trials(args.checkpoints.as_deref()),
        lease: Duration::from_secs(args.lease),
        retries: args.retries,
        time_limit: args.time_limit.map(Into::into),
        with_failed: asked,
        verify_fraction: args.verify_fraction,
    })
}

/// Joins the store as a process that trains so, for some work that a signal stops.
pub(crate) async fn joined<T>(
    options: &Options,
    global: &Global,
    work: impl AsyncFnOnce(&mut Store, &Stop) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let joining = Joining { lease: options.lease, workers: options.workers, job: slurm_job() };
    let mut store = Store::join(&global.store, &joining).await?;
    let worked = stoppable(async |stop| {
        store.heed(stop.flag());
        work(&mut store, stop).await
    });
    let worked = worked.await;
    // Also after an error: else others would wait for this process until its lease is over.
    let closed = store.close().await;
    let worked = worked?;
    closed?;
    Ok(worked)
}

/// The Slurm job that this process is a part of, as `squeue` names it.
fn slurm_job() -> Option<String> {
    let var = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    match (var("SLURM_ARRAY_JOB_ID"), var("SLURM_ARRAY_TASK_ID")) {
        (Some(job), Some(task)) => Some(format!("{job}_{task}")),
        _ => var("SLURM_JOB_ID"),
    }
}

/// A part of a sweep: of so many equal ones the one with this number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub number: usize,
    pub of: usize,
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Its trials: every so manieth stage group, so that each has its part of all seeds; and of the next shard's a sample,
    /// which `sweep merge` then compares.
    fn keep(self, plan: &Plan, verify_fraction: f64, missing: &mut Vec<Missing>) {
        let groups = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>());
        let mut shard_of = HashMap::new();
        for (group, members) in groups.into_iter().enumerate() {
            for trial in members.into_iter().filter_map(|i| plan.trials.get(i)) {
                shard_of.insert(trial.id.as_str(), group % self.of);
            }
        }
        let (own, next) = (self.number - 1, self.number % self.of);
        let sample = store::sample_end(verify_fraction);
        missing.retain(|missing| match shard_of.get(missing.trial.id.as_str()) {
            Some(shard) => *shard == own || (*shard == next && missing.trial.id < sample),
            None => false,
        });
    }
}

/// Trains what the store lacks, round after round until nothing more follows from the results; of one `shard` its part of
/// one round.
pub(crate) async fn rounds(
    spec: &Spec,
    mut plan: Plan,
    shard: Option<Shard>,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    global: &Global,
) -> Result<Summary, Failure> {
    if shard.is_some() && (store.is_remote() || !store.others().await?.is_empty()) {
        return Err(Failure::usage(
            "a shard needs a store of its own, in a folder that no other process has; `sweep merge` puts them together",
        ));
    }
    // Also where nothing is left to train: a kill may have come between the last result and the end of its files.
    orchestrator::remove_stale(store, &options.checkpoints, false).await?;
    let mut all = Summary::default();
    let mut rows = store.results(&plan.name).await?;
    loop {
        // What earlier runs of this command have decided is decided again from what they stored.
        if let Some(decided) = rounds::next(spec, &plan, &rows) {
            fault::point("promotion.before").map_err(Failure::failed)?;
            plan = decided.plan(spec, global.quiet)?;
            continue;
        }
        let mut missing = orchestrator::register(&plan, store, !options.with_failed).await?;
        let stored = plan.trials.len() - missing.len();
        if let Some(shard) = shard {
            shard.keep(&plan, options.verify_fraction, &mut missing);
        }
        fault::point("promotion.after").map_err(Failure::failed)?;
        let opening = (!global.quiet).then(|| {
            let then = if plan.decisions.chosen.is_empty() { rounds::deciding(spec) } else { 0 };
            opening(&plan, &missing, stored, then, shard, options)
        });
        if missing.is_empty() && rounds::is_complete(&plan, &rows) {
            if all == Summary::default() {
                opening.iter().for_each(say);
            }
            break;
        }
        let asked = missing.len();
        let trained = train(&plan, missing, opening, store, options, stop, global).await?;
        let Summary { done, diverged, failed, stopped, elsewhere, .. } = trained;
        if shard.is_some() && done + diverged + failed + stopped + elsewhere < asked {
            return Err(Failure::failed(
                "another process has trials of this shard: the same command goes on when it has ended",
            ));
        }
        all += trained;
        rows = store.results(&plan.name).await?;
        // Anything but an end of all of them, whoever trained them: what follows can't be told.
        if shard.is_some() || stop.requested() || !rounds::is_complete(&plan, &rows) {
            break;
        }
    }
    if options.verify_fraction > 0.0 && shard.is_none() && !stop.requested() {
        verify(&plan, store, options, stop, global).await?;
    }
    Ok(all)
}

/// Trains a sample of what other machines have trained once more.
async fn verify(
    plan: &Plan,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    global: &Global,
) -> Result<(), Failure> {
    if options.workers == 0 {
        return Ok(());
    }
    provide(plan.trials.iter(), store, options, stop, global).await?;
    let loaded = Arc::new(orchestrator::load(plan.trials.iter(), global.places())?);
    let verified = orchestrator::verify(plan, &loaded, store, options, stop).await?;
    if !global.quiet && verified.different.is_empty() {
        match verified.same {
            0 => say("no trial of another machine is left to be checked"),
            n => say(format_args!(
                "{n} trials of other machines were trained once more: every bit is the same"
            )),
        }
    }
    match verified.different.as_slice() {
        [] => Ok(()),
        different => Err(Failure::failed(format_args!(
            "trained once more here, {} of another machine's trials have other bits: {}; don't compare what these machines \
             trained before you know why (`sweep query \"select * from verifications where same = 0\"`)",
            different.len(),
            different.join(", ")
        ))),
    }
}

/// The weights of other trials that these begin with: trained again on a thread of their own where they are not there, while this
/// process gives signs of life.
async fn provide(
    trials: impl Iterator<Item = &Trial> + Clone,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    global: &Global,
) -> Outcome {
    if !weights::are_needed(trials.clone()) {
        return Ok(());
    }
    let trials: Vec<Trial> = trials.cloned().collect();
    let (their, asked) = (global.clone(), stop.clone());
    let thread = std::thread::Builder::new().name("weights".to_owned()).stack_size(orchestrator::STACK_BYTES);
    let thread = thread.spawn(move || weights::provide(&trials, &their, &asked));
    let thread = thread.map_err(|error| Failure::failed(format_args!("can't start a thread: {error}")))?;
    let every = options.lease / 10;
    let mut due = Instant::now() + every;
    while !thread.is_finished() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if Instant::now() >= due {
            store.sign_of_life().await?;
            due = Instant::now() + every;
        }
    }
    thread
        .join()
        .unwrap_or_else(|_| Err(Failure::failed("the weights to begin with could not be trained: a panic")))
}

/// One round.
async fn train(
    plan: &Plan,
    missing: Vec<Missing>,
    opening: Option<String>,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    global: &Global,
) -> Result<Summary, Failure> {
    let needed = missing.iter().map(|missing| &missing.trial).filter(|_| options.workers > 0);
    let programs = needed.clone().filter_map(|trial| trial.config.task.program()?.command.first());
    programs.collect::<BTreeSet<_>>().into_iter().try_for_each(|name| there(name).map_err(Failure::Usage))?;
    provide(needed.clone(), store, options, stop, global).await?;
    let loaded = orchestrator::load(needed, global.places())?;
    opening.iter().for_each(say);
    let firsts: Vec<(String, u64)> = missing
        .iter()
        .map(|missing| (missing.trial.id.clone(), missing.checkpoint.as_ref().map_or(0, |(_, step)| *step)))
        .collect();
    let mut progress = Progress::new(plan, &firsts, global.quiet);
    let observe = |seen: Seen<'_>| match seen {
        Seen::Event(event) => progress.on(event),
        Seen::Elsewhere(ended) => progress.elsewhere(ended),
    };
    let trained = orchestrator::train(&plan.name, missing, loaded, store, options, stop, observe).await;
    if !firsts.is_empty() {
        progress.finish();
    }
    Ok(trained?)
}

/// The programs of a plan that can't be found here, in words.
pub(crate) fn programs_missing(plan: &Plan) -> Vec<String> {
    let programs = plan.trials.iter().filter_map(|trial| trial.config.task.program()?.command.first());
    programs.collect::<BTreeSet<_>>().into_iter().filter_map(|name| there(name).err()).collect()
}

/// Whether a program can be found.
fn there(name: &str) -> Result<(), String> {
    if which::which(name).is_ok() {
        return Ok(());
    }
    let path = Path::new(name);
    if name.contains('/') && path.exists() {
        let what = if path.is_dir() { "is a folder" } else { "is no program that may be run (`chmod +x`?)" };
        return Err(format!("`{name}` of `trainer.command` {what}"));
    }
    let instead = [format!("{name}3"), name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()];
    let instead = instead.iter().find(|other| *other != name && which::which(other).is_ok());
    let hint = instead.map_or(String::new(), |other| format!("; there is `{other}`"));
    Err(format!("the program `{name}` of `trainer.command` is not to be found on PATH{hint}"))
}

/// What is about to happen. `missing`: what this process has to do with; `stored`: trials that are over; `then`: runs that decide
/// after this round.
fn opening(
    plan: &Plan,
    missing: &[Missing],
    stored: usize,
    then: u64,
    shard: Option<Shard>,
    options: &Options,
) -> String {
    let (all, left) = (plan.trials.len(), missing.len());
    let name = &plan.name;
    if stored == all {
        return format!("{name}: all {all} trials are stored, nothing to train");
    }
    let of_shard = shard.map_or(String::new(), |shard| format!(" of shard {shard}"));
    if left == 0 {
        return format!("{name}: {all} trials, and none{of_shard} is left to train");
    }
    let merged = match plan.merged() {
        0 => String::new(),
        n => format!(", {n} runs are the same as another"),
    };
    let stored = match stored {
        0 => String::new(),
        n => format!(", {n} of them stored already"),
    };
    if options.workers == 0 {
        return format!("{name}: {all} trials{stored}{merged}; {left} are left for `sweep worker` processes");
    }
    let workers = options.workers;
    let plural = if workers == 1 { "" } else { "s" };
    let then = if then > 0 { format!("; then {then} decide") } else { String::new() };
    format!(
        "{name}: {all} trials{stored}{merged}; training {left}{of_shard} on {workers} worker{plural} ({}){}{then}",
        trained_by(missing, options),
        sharing(missing, options)
    )
}

/// The device, or the program.
fn trained_by(missing: &[Missing], options: &Options) -> String {
    let programs = missing.iter().map(|missing| missing.trial.config.task.program());
    let commands: Option<BTreeSet<String>> =
        programs.map(|program| program.map(|program| program.command.join(" "))).collect();
    match commands {
        Some(commands) if commands.len() == 1 => commands.into_iter().collect(),
        Some(commands) => format!("{} programs", commands.len()),
        None => options.device.to_string(),
    }
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

/// As in `9.3 times fewer` or `1.2 % fewer`.
pub(crate) fn fewer(asked: u64, steps: u64) -> String {
    match asked as f64 / steps.max(1) as f64 {
        times if times < 1.05 => format!("{:.1} % fewer", 100.0 * (1.0 - 1.0 / times)),
        times => format!("{times:.1} times fewer"),
    }
}

/// One thread for each core.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// As many threads as programs of this plan have slots, or one for each core.
pub(crate) fn workers_for(plan: &Plan) -> usize {
    let programs = plan.trials.iter().filter_map(|trial| trial.config.task.program());
    let slots = programs.flat_map(|program| program.care.slots.values().map(Vec::len));
    slots.min().unwrap_or_else(cores)
}

/// Runs `work` on this thread with a stop that a signal requests; then the verb is interrupted.
pub(crate) fn alone<T>(work: impl FnOnce(&Stop) -> Result<T, SweepError>) -> Result<T, Failure> {
    let stop = Stop::default();
    let (sender, over) = tokio::sync::oneshot::channel::<()>();
    let worked = std::thread::scope(|scope| {
        let asked = stop.clone();
        scope.spawn(move || {
            // Without a runtime the system's own handlers end the program.
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                tokio::select! {
                    () = signal() => asked.request(),
                    _ = over => {}
                }
            });
        });
        let worked = work(&stop);
        drop(sender);
        worked
    });
    if stop.requested() {
        return Err(Failure::Interrupted);
    }
    Ok(worked?)
}

/// Runs `work` with a stop that the first Ctrl-C (or SIGTERM, or a closed terminal) requests. A second Ctrl-C ends the program
/// at once; clusters send SIGTERM more than once.
async fn stoppable<T>(work: impl AsyncFnOnce(&Stop) -> T) -> T {
    let stop = Stop::default();
    let on_signals = tokio::spawn(stop_on_signals(stop.clone()));
    let done = work(&stop).await;
    on_signals.abort();
    done
}

async fn stop_on_signals(stop: Stop) {
    signal().await;
    stop.request();
    say("stopping: each worker writes a checkpoint (Ctrl-C again quits at once)");
    // Of other signals the handlers that are there by now take no notice.
    if tokio::signal::ctrl_c().await.is_ok() {
        std::process::exit(130);
    }
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

/// The exit code, and what to do where not all is done.
pub(crate) fn ended(summary: &Summary, global: &Global) -> Result<(), Failure> {
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
            "{n} trials failed (select trial_id, error from trials where status = 'failed'; `sweep logs TRIAL` shows what a \
             program has printed); the same command tries them again"
        ))),
    }
}
