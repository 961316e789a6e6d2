//! The loop between the workers and the store: takes trials from the store, writes down what the workers tell, and shares
//! the work with the other processes that train for the same store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use spec::event::{Event, Outcome};
use spec::trial::Trial;
use store::{Attention, Store, Unfinished};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use trainer::checkpoint::Folder;
use trainer::{Branch, Census, Shared, Stop};

use crate::pool::Pool;
use crate::worker::{self, Site};
use crate::{Loaded, Missing, Options, Seen, Summary, SweepError, environment, memory};

/// Events on their way to the store, at most; a worker that finds the queue full waits.
const QUEUE: usize = 256;

/// Events are written at least this often, and when there are [`QUEUE`] of them.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// How often the store is spoken to.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Events are written at least this often.
    write: Duration,
    /// So often it is seen to the other processes, and said that this one lives.
    tend: Duration,
}

impl Pace {
    /// Thirty signs of life in a lease. A server that thousands write to is spared what a file is not.
    fn of(store: &Store, options: &Options) -> Self {
        let tend = (options.lease / 30).max(Duration::from_secs(1)).min(options.lease / 4);
        Self { write: if store.is_remote() { tend } else { WRITE_EVERY }, tend }
    }

    /// When one that has waited for so long looks again: what others have is often at its end soon, and otherwise late.
    fn looks_again(&self, waited: Duration) -> Duration {
        waited.max(WRITE_EVERY).min(self.write)
    }
}

/// Trains those trials of a sweep that `missing` names and no other process has, on the data that [`load`](crate::load)
/// read for them, and stores what comes of them. Trials that other processes give back or leave behind are taken over;
/// to those that wait this one gives trials that it has not begun. Returns when all are over, whoever trained them, or
/// after a stop, when all workers have put down theirs.
///
/// # Errors
/// See [`SweepError`]. A trial that fails is no error: it is tried again, and then stored as failed and counted.
pub async fn train(
    sweep: &str,
    missing: Vec<Missing>,
    loaded: Loaded,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    mut observe: impl FnMut(Seen<'_>),
) -> Result<Summary, SweepError> {
    if missing.is_empty() {
        return Ok(Summary::default());
    }
    let pace = Pace::of(store, options);
    if options.workers == 0 {
        if options.with_failed {
            store.retry(sweep).await?;
        }
        return coordinate(sweep, &missing, store, pace, stop, observe).await;
    }
    let environment = store.environment(&environment(options)).await?;
    std::fs::create_dir_all(&options.checkpoints)
        .map_err(|error| SweepError::Folder { path: options.checkpoints.clone(), error })?;
    let folder = Folder { dir: options.checkpoints.clone(), writer: store.runner() };
    let shared = Shared {
        device: options.device,
        width: options.lanes.get(),
        block: trainer::BLOCK,
        census: Census::default(),
        most_states: memory::most_states(&missing, options)?,
        parking: Some(folder.clone()),
        time_limit: options.time_limit,
        next_stage: Arc::new(AtomicU64::new(store.next_stage().await?)),
    };
    let ended_before = ended_before(sweep, &missing, store).await?;
    let mut desk = Desk::new(sweep, missing, options, ended_before);
    let claimed = store.claim(sweep, options.with_failed, desk.portion()).await?;
    let pool = Pool::new(desk.known(claimed, store).await?);
    let site = Site { pool, loaded, shared, folder, options: options.clone(), stop: stop.clone() };
    let site = Arc::new(site);
    let (sender, mut events) = mpsc::channel(QUEUE);
    let workers = worker::start(&site, &sender)?;
    drop(sender);

    let (mut batch, mut observed, mut again) = (Vec::new(), 0, Vec::new());
    let mut outcome: Result<(), SweepError> = Ok(());
    let mut due = Instant::now() + pace.write;
    let mut tend = Instant::now() + pace.tend;
    let mut more = true;
    let mut standing = Standing::Busy;
    let mut waits_since: Option<Instant> = None;
    let mut open = true;
    while open {
        let wake = if standing == Standing::Waiting { due.min(tend) } else { due };
        // A transaction has its price, whatever is in it.
        tokio::select! {
            biased;
            told = events.recv_many(&mut batch, QUEUE) => open = told > 0,
            () = site.pool.idle() => {}
            () = sleep_until(wake) => {}
        }
        let idle = site.pool.is_idle();
        if idle {
            // What the workers told before they had nothing left.
            while let Ok(event) = events.try_recv() {
                batch.push(event);
            }
        }
        if let Some(new) = batch.get_mut(observed..) {
            again.extend(desk.heard(new, stop));
            new.iter().for_each(|event| observe(Seen::Event(event)));
        }
        observed = batch.len();
        let ends = idle && standing == Standing::Busy;
        // While others take portions too, the next one is fetched before this one is used up.
        let low = more && !idle && site.pool.waiting() < options.workers * options.lanes.get();
        if open && !ends && !low && batch.len() < QUEUE && Instant::now() < wake {
            continue;
        }
        // After an error the queue is still emptied, so that no worker waits for ever.
        if outcome.is_ok() {
            let told = async {
                if !batch.is_empty() {
                    let superseded = store.write(&batch, environment).await?;
                    for file in superseded {
                        trainer::checkpoint::remove(&options.checkpoints, &file);
                    }
                    site.pool.put(std::mem::take(&mut again));
                }
                if low && open && !stop.requested() {
                    let claimed = store.claim(sweep, false, desk.portion()).await?;
                    more = !claimed.is_empty();
                    site.pool.put(desk.known(claimed, store).await?);
                }
                let now = Instant::now();
                if open && !stop.requested() && standing != Standing::Over && (ends || now >= tend) {
                    // Only where all was heard before: a worker may have come to its end since.
                    let mut missed = if idle && site.pool.is_idle() { desk.missed() } else { Vec::new() };
                    if !missed.is_empty() {
                        let again = desk.heard(&mut missed, stop);
                        store.write(&missed, environment).await?;
                        site.pool.put(again);
                    }
                    standing = desk.tend(&site.pool, idle, store, &mut observe).await?;
                    more = true;
                    tend = now
                        + match standing {
                            Standing::Waiting => pace.looks_again(waits_since.get_or_insert(now).elapsed()),
                            _ => {
                                waits_since = None;
                                pace.tend
                            }
                        };
                }
                Ok(())
            };
            outcome = told.await;
            if outcome.is_err() {
                stop.request();
            }
        }
        batch.clear();
        (observed, due) = (0, Instant::now() + pace.write);
    }
    for worker in workers {
        if worker.join().is_err() {
            tracing::warn!("a worker has died");
        }
    }
    outcome?;
    let summary = desk.close(store).await?;
    observe(Seen::Elsewhere(summary.elsewhere));
    Ok(summary)
}

/// Looks on while others train what is missing, until all is over or failed, or a stop.
async fn coordinate(
    sweep: &str,
    missing: &[Missing],
    store: &mut Store,
    pace: Pace,
    stop: &Stop,
    mut observe: impl FnMut(Seen<'_>),
) -> Result<Summary, SweepError> {
    let before = ended_before(sweep, missing, store).await?;
    store.tell(sweep).await?;
    let mut due = Instant::now();
    while !stop.requested() {
        if Instant::now() < due {
            // A stop is seen to at once.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        due = Instant::now() + pace.tend;
        let tended = store.tend(sweep, Attention::Watching).await?;
        if let Some(ended) = tended.ended {
            // Whoever trains may have begun another round by now.
            observe(Seen::Elsewhere(ended.saturating_sub(before).min(missing.len())));
        }
        if !tended.left {
            break;
        }
    }
    let ended = over(sweep, missing.iter().map(|missing| missing.trial.id.as_str()), store).await?;
    observe(Seen::Elsewhere(ended));
    let left = missing.len() - ended;
    let (stopped, failed) = if stop.requested() { (left, 0) } else { (0, left) };
    Ok(Summary { elsewhere: ended, stopped, failed, ..Summary::default() })
}

/// How many of these trials of a sweep are over, whoever trained them.
async fn over<'a>(
    sweep: &str,
    trials: impl Iterator<Item = &'a str>,
    store: &mut Store,
) -> Result<usize, SweepError> {
    let left = store.unfinished(sweep).await?;
    let left: HashSet<&str> = left.iter().map(|trial| trial.trial_id.as_str()).collect();
    Ok(trials.filter(|id| !left.contains(id)).count())
}

/// Trials of a sweep that are over, but for those of `missing` that other processes have ended since it was read.
async fn ended_before(sweep: &str, missing: &[Missing], store: &mut Store) -> Result<usize, SweepError> {
    let since = over(sweep, missing.iter().map(|missing| missing.trial.id.as_str()), store).await?;
    Ok(store.ended(sweep).await?.saturating_sub(since))
}

/// How this process stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has something to train.
    Busy,
    /// It waits for what others have.
    Waiting,
    /// Nothing is left to wait for.
    Over,
}

/// The trials that are still to be ended, and who has them.
struct Desk<'a> {
    sweep: &'a str,
    options: &'a Options,
    /// All that were missing, by id, with their place in the sweep.
    trials: HashMap<String, (usize, Trial)>,
    /// Those that this process has, and how often each has failed here.
    mine: BTreeMap<String, u32>,
    /// Those that it gave up. It keeps them until it is done: else another process would fail on them at once.
    failed: Vec<String>,
    /// Trials of the sweep that were over when `trials` was read.
    ended_before: usize,
    summary: Summary,
}

impl<'a> Desk<'a> {
    fn new(sweep: &'a str, missing: Vec<Missing>, options: &'a Options, ended_before: usize) -> Self {
        let place = |(i, missing): (usize, Missing)| (missing.trial.id.clone(), (i, missing.trial));
        let trials = missing.into_iter().enumerate().map(place).collect();
        let summary = Summary::default();
        Self { sweep, options, trials, mine: BTreeMap::new(), failed: Vec::new(), ended_before, summary }
    }

    /// Stage groups that are claimed at a time where others claim too: enough to fill the lanes of all workers, and as many
    /// to wait.
    fn portion(&self) -> usize {
        2 * self.options.workers * self.options.lanes.get()
    }

    /// Trials that were claimed and that this process knows, as branches. Others are given back: they are from a changed
    /// file of this name, and for the process that runs that to train.
    async fn known(
        &mut self,
        claimed: Vec<Unfinished>,
        store: &mut Store,
    ) -> Result<Vec<Branch>, SweepError> {
        let (known, foreign): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|trial| self.trials.contains_key(&trial.trial_id));
        if !foreign.is_empty() {
            let ids: Vec<String> = foreign.into_iter().map(|trial| trial.trial_id).collect();
            store.release(&ids).await?;
        }
        Ok(self.take(known))
    }

    /// Trials that were claimed, as branches: those together that stopped at the same checkpoint, and all that begin.
    fn take(&mut self, mut claimed: Vec<Unfinished>) -> Vec<Branch> {
        claimed.sort_by_key(|claimed| self.trials.get(&claimed.trial_id).map(|(place, _)| *place));
        let mut starts = Vec::new();
        let mut stopped: BTreeMap<(String, u64), Vec<Trial>> = BTreeMap::new();
        for Unfinished { trial_id, checkpoint } in claimed {
            let Some((_, trial)) = self.trials.get(&trial_id).cloned() else { continue };
            self.mine.insert(trial_id, 0);
            match checkpoint {
                None => starts.push(trial),
                Some(at) => stopped.entry(at).or_default().push(trial),
            }
        }
        let Options { share, checkpoints, .. } = self.options;
        let mut all = Branch::starts(starts, *share);
        for ((file, step), trials) in stopped {
            all.extend(Branch::resumed(trials, *share, step, checkpoints.clone(), file));
        }
        all
    }

    /// Counts what was told, and gives what is to be tried again: that has stopped, and not failed, for others too.
    fn heard(&mut self, batch: &mut [Event], stop: &Stop) -> Vec<Branch> {
        let mut again = Vec::new();
        for event in batch {
            let Event::Ended { trial_id, outcome, .. } = event else { continue };
            match &*outcome {
                Outcome::Done(_) => self.summary.done += 1,
                Outcome::Diverged { .. } => self.summary.diverged += 1,
                Outcome::Failed { .. } => {
                    let tried = self.mine.get_mut(trial_id).filter(|tried| **tried < self.options.retries);
                    if let (Some(tried), Some((_, trial))) = (tried, self.trials.get(trial_id))
                        && !stop.requested()
                    {
                        *tried += 1;
                        // Alone: what it failed on may have been another's.
                        again.extend(Branch::starts(vec![trial.clone()], false));
                        if let Some(reason) = outcome.error() {
                            tracing::warn!("the trial {trial_id} is tried again: {reason}");
                        }
                        *outcome = Outcome::Stopped { steps: 0 };
                        continue;
                    }
                    self.summary.failed += 1;
                    self.failed.push(trial_id.clone());
                }
                Outcome::GivenUp { .. } => {
                    self.summary.failed += 1;
                    self.failed.push(trial_id.clone());
                }
                Outcome::Stopped { .. } => continue,
            }
            self.mine.remove(trial_id);
        }
        again
    }

    /// When nothing is left to train: the ends of trials that were told none, because the worker that had them failed.
    fn missed(&self) -> Vec<Event> {
        let reason = "the worker that trained it has failed";
        let end = |trial_id: &String| Event::Ended {
            trial_id: trial_id.clone(),
            outcome: Outcome::Failed { reason: reason.to_owned() },
            at: trainer::now(),
        };
        self.mine.keys().map(end).collect()
    }

    /// Sees to the other processes: takes what the dead and those that leave have left, gives to those that wait.
    async fn tend(
        &mut self,
        pool: &Pool,
        heard_all: bool,
        store: &mut Store,
        observe: &mut impl FnMut(Seen<'_>),
    ) -> Result<Standing, SweepError> {
        let idle = heard_all && pool.is_idle();
        let attention = if idle { Attention::Waiting } else { Attention::Busy };
        let tended = store.tend(self.sweep, attention).await?;
        if tended.dead > 0 {
            let plural = if tended.dead == 1 { "process" } else { "processes" };
            tracing::warn!("{} {plural} gave no sign of life; trains its trials now", tended.dead);
        }
        if let Some(ended) = tended.ended {
            let ours = self.summary.done + self.summary.diverged;
            let most = self.trials.len().saturating_sub(ours);
            observe(Seen::Elsewhere(ended.saturating_sub(self.ended_before + ours).min(most)));
        }
        if tended.dead > 0 || tended.left {
            let claimed = store.claim(self.sweep, false, self.portion()).await?;
            let any = !claimed.is_empty();
            let more = self.known(claimed, store).await?;
            if !more.is_empty() {
                pool.put(more);
                return Ok(Standing::Busy);
            }
            if idle && tended.left && !any {
                return Ok(Standing::Waiting);
            }
        }
        if idle {
            pool.close();
            return Ok(Standing::Over);
        }
        if tended.waiting {
            self.give(pool, store).await?;
        }
        Ok(Standing::Busy)
    }

    /// Gives trials to a process that waits.
    async fn give(&mut self, pool: &Pool, store: &mut Store) -> Result<(), SweepError> {
        let given = pool.give_away(self.options.workers, self.portion());
        let ids: Vec<String> = given.iter().flat_map(Branch::trial_ids).collect();
        if let Err(error) = store.release(&ids).await {
            pool.put(given);
            return Err(error.into());
        }
        for id in &ids {
            self.mine.remove(id);
        }
        Ok(())
    }

    /// Gives back what is left, and says how it went.
    async fn close(mut self, store: &mut Store) -> Result<Summary, SweepError> {
        self.failed.extend(self.mine.keys().cloned());
        if !self.failed.is_empty() {
            store.release(&self.failed).await?;
        }
        // What is neither ours nor over has failed with another process, or was left by it.
        let ended = over(self.sweep, self.trials.keys().map(String::as_str), store).await?;
        let Summary { done, diverged, failed, .. } = self.summary;
        self.summary.stopped = self.mine.len();
        let ours = done + diverged + failed + self.summary.stopped;
        self.summary.elsewhere =
            ended.saturating_sub(done + diverged).min(self.trials.len().saturating_sub(ours));
        Ok(self.summary)
    }
}
