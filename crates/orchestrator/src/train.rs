//! Trains the missing trials of a sweep: starts the workers, runs the dispatcher, and returns the summary.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use store::{Activity, RemovalTarget, Store};
use tokio::sync::mpsc;
use tokio::time::Instant;
use trainer::checkpoint::Folder;
use trainer::{Shared, StateCounter, Stop};

use crate::claims::{Claims, count_ended};
use crate::dispatcher::{Dispatcher, Pace, QUEUE};
use crate::pool::Pool;
use crate::sharing::SharingCheck;
use crate::worker::{self, WorkerContext};
use crate::{Missing, Observation, Options, Summary, SweepError, Work, environment, memory, remove_trials};

/// Trains the missing trials that no other process has claimed, on the data that [`load`](crate::load) read for
/// them, and stores the results. Takes over trials that other processes release or leave behind, and releases trials
/// that it has not begun to processes that wait. Returns when all trials have ended, whoever trained them, or after a
/// stop, when all workers have released theirs.
///
/// # Errors
/// See [`SweepError`]. A failed trial is not an error: it is retried, and then stored as failed and counted.
pub async fn train(
    sweep: &str,
    work: Work,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    observe: impl FnMut(Observation<'_>),
) -> Result<Summary, SweepError> {
    let Work { missing, loaded, check } = work;
    if missing.is_empty() && check.is_none() {
        return Ok(Summary::default());
    }
    if options.workers == 0 {
        if options.with_failed {
            store.retry(sweep).await?;
        }
        let pace = Pace::new(store, options);
        return coordinate(sweep, &missing, store, pace, stop, observe).await;
    }
    let environment = store.environment(&environment(options)).await?;
    std::fs::create_dir_all(&options.checkpoints)
        .map_err(|error| SweepError::Folder { path: options.checkpoints.clone(), error })?;
    let shared = shared(&missing, store, options).await?;
    let ended_before = ended_before(sweep, &missing, store).await?;
    let mut claims = Claims::new(sweep, missing, options, ended_before);
    let claimed = store.claim(sweep, options.with_failed, claims.portion()).await?;
    let pool = Pool::new(claims.accept(claimed, store).await?, options.workers);
    let mut check = check.map(|(trial, first)| SharingCheck::new(trial, first));
    pool.add(check.iter_mut().map(SharingCheck::branch).collect());
    let folder = folder(store, options);
    let context = Arc::new(WorkerContext {
        pool,
        loaded,
        shared,
        folder,
        options: options.clone(),
        stop: stop.clone(),
        separate: Mutex::default(),
    });
    let (sender, events) = mpsc::channel(QUEUE);
    let workers = worker::start(&context, &sender)?;
    drop(sender);

    let mut dispatcher = Dispatcher::new(claims, &context, store, environment, events, check, observe);
    let result = dispatcher.run().await;
    for worker in workers {
        if worker.join().is_err() {
            tracing::warn!("a worker thread panicked");
        }
    }
    match result {
        Ok(()) => dispatcher.close().await,
        Err(error) => {
            if let SweepError::Sharing(_) = error {
                forget(sweep, store, &options.trials).await?;
            }
            Err(error)
        }
    }
}

/// Removes the results of the trials that shared steps: they are not those of the trials.
async fn forget(sweep: &str, store: &mut Store, trials: &Path) -> Result<(), SweepError> {
    let ids = store.sharing_trials(sweep).await?;
    store.remove(RemovalTarget::Trials(&ids)).await?;
    remove_trials(trials, &ids);
    Ok(())
}

/// The folder that this process writes its checkpoints to.
fn folder(store: &Store, options: &Options) -> Folder {
    Folder { dir: options.checkpoints.clone(), writer: store.runner() }
}

/// The state that the stacks of all workers share.
async fn shared(missing: &[Missing], store: &mut Store, options: &Options) -> Result<Shared, SweepError> {
    Ok(Shared {
        device: options.device,
        width: options.lanes.get(),
        block: trainer::BLOCK,
        state_counter: StateCounter::default(),
        most_states: memory::max_states(missing, options)?,
        parking: Some(folder(store, options)),
        time_limit: options.time_limit,
        next_stage: Arc::new(AtomicU64::new(store.next_stage().await?)),
    })
}

/// Watches other processes train the missing trials, until all have ended or failed, or a stop is requested.
async fn coordinate(
    sweep: &str,
    missing: &[Missing],
    store: &mut Store,
    pace: Pace,
    stop: &Stop,
    mut observe: impl FnMut(Observation<'_>),
) -> Result<Summary, SweepError> {
    let before = ended_before(sweep, missing, store).await?;
    store.set_sweep(sweep).await?;
    let mut due = Instant::now();
    while !stop.requested() {
        if Instant::now() < due {
            // Short sleeps, so that a stop is noticed quickly.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        due = Instant::now() + pace.leases;
        let others = store.heartbeat(sweep, Activity::Watching).await?;
        if let Some(ended) = others.trials_ended {
            // The processes that train may already be in the next round.
            observe(Observation::EndedElsewhere(ended.saturating_sub(before).min(missing.len())));
        }
        if !others.trials_left {
            break;
        }
    }
    let ended = count_ended(sweep, missing.iter().map(|missing| missing.trial.id.as_str()), store).await?;
    observe(Observation::EndedElsewhere(ended));
    let left = missing.len() - ended;
    let (stopped, failed) = if stop.requested() { (left, 0) } else { (0, left) };
    Ok(Summary { elsewhere: ended, stopped, failed, ..Summary::default() })
}

/// Number of trials of the sweep that had ended before `missing` was read.
async fn ended_before(sweep: &str, missing: &[Missing], store: &mut Store) -> Result<usize, SweepError> {
    let since = count_ended(sweep, missing.iter().map(|missing| missing.trial.id.as_str()), store).await?;
    Ok(store.count_ended(sweep).await?.saturating_sub(since))
}
