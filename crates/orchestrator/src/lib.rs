//! Plan -> workers -> events -> store. Decides which trials are trained, by how many threads, and sees to
//! it that what they tell reaches the store in order. Knows no SQL, no tensors and no signals: the caller
//! hands in a [`Stop`] and asks for it.

mod environment;
mod estimate;
mod memory;
mod pool;
mod worker;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use spec::Plan;
use spec::event::{Event, Outcome};
use spec::trial::{Data, Dataset, Trial};
use store::{Store, StoreError};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use trainer::data::{DataError, Images};
use trainer::device::{Device, DeviceError};
use trainer::{Branch, Census, Shared};

pub use trainer::Stop;

pub use environment::environment;
pub use estimate::estimate;

/// Events on their way to the store, at most; a worker that finds the queue full waits.
const QUEUE: usize = 256;

/// Events are written at least this often, and when there are [`QUEUE`] of them.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// How to run a sweep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that train.
    pub workers: NonZeroUsize,
    /// Lanes that each trains in lock-step, at most.
    pub lanes: NonZeroUsize,
    /// Whether trials share the steps in which they are the same run.
    pub share: bool,
    /// Bytes that training may take; `None` is a safe share of what the machine has.
    pub memory: Option<u64>,
    /// Where to train.
    pub device: Device,
    /// Wall time between the checkpoints of a trial.
    pub checkpoint_every: Duration,
    /// Folder of the checkpoints.
    pub checkpoints: PathBuf,
}

/// How a sweep went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Trials trained to their end now.
    pub done: usize,
    /// Trials that diverged now.
    pub diverged: usize,
    /// Trials that failed now.
    pub failed: usize,
    /// Trials left over because of a stop.
    pub stopped: usize,
}

/// Why a sweep could not go on. What the store had taken by then stays.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A data set is missing or not what it should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder can't be made.
    #[error("can't make the folder {}: {error}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Less memory than the smallest way of training takes.
    #[error(
        "too little memory: training with {workers} worker{} takes at least {}, and {} may be used \
         (`--memory` says how much, `--workers` takes fewer)",
        if *.workers == 1 { "" } else { "s" }, memory::size(*.needed), memory::size(*.given)
    )]
    Memory {
        /// Threads that train.
        workers: usize,
        /// Bytes that they need at least.
        needed: u64,
        /// Bytes that may be used.
        given: u64,
    },
    /// A probe failed.
    #[error(transparent)]
    Probe(trainer::TrainError),
    /// A thread can't be started.
    #[error("can't start a worker: {0}")]
    Thread(std::io::Error),
}

/// Data sets in memory.
#[derive(Debug)]
pub struct Loaded(HashMap<(Dataset, Option<usize>), Images>);

impl Loaded {
    /// The images of a data set, if it was loaded.
    pub(crate) fn of(&self, data: &Data) -> Option<&Images> {
        self.0.get(&(data.dataset, data.limit))
    }
}

/// What is about to be trained: the trials that the store lacks, and where each goes on.
#[derive(Debug, Clone)]
pub struct Missing {
    /// The trial.
    pub trial: Trial,
    /// File name of its newest checkpoint and the step at which that goes on.
    pub checkpoint: Option<(String, u64)>,
}

/// Writes the sweep into the store and says what it lacks, in the plan's order.
///
/// # Errors
/// The store can't be written.
pub async fn register(plan: &Plan, store: &mut Store) -> Result<Vec<Missing>, SweepError> {
    store.register(plan).await?;
    let unfinished = store.unfinished(&plan.name).await?;
    let mut unfinished: HashMap<String, Option<(String, u64)>> =
        unfinished.into_iter().map(|trial| (trial.trial_id, trial.checkpoint)).collect();
    let missing = plan.trials.iter().filter_map(|trial| {
        let checkpoint = unfinished.remove(&trial.id)?;
        Some(Missing { trial: trial.clone(), checkpoint })
    });
    Ok(missing.collect())
}

/// Reads the data sets that these trials need, each once.
///
/// # Errors
/// A data set is missing or not what it should be.
pub fn load<'a>(
    trials: impl Iterator<Item = &'a Trial>,
    data_dir: Option<&Path>,
) -> Result<Loaded, SweepError> {
    let mut loaded = HashMap::new();
    for data in trials.map(|trial| &trial.config.task.data) {
        if let Entry::Vacant(entry) = loaded.entry((data.dataset, data.limit)) {
            let dirs = trainer::data::search_dirs(data.dataset, data_dir);
            entry.insert(trainer::data::load(data.dataset, data.limit, &dirs)?);
        }
    }
    Ok(Loaded(loaded))
}

/// Trains `missing` on the data that [`load`] read for it, and stores what comes of it. Returns when all are over or, after a stop, when all
/// workers have put down theirs.
///
/// # Errors
/// See [`SweepError`]. A trial that fails is no error: it is stored as failed and counted.
pub async fn train(
    missing: Vec<Missing>,
    images: Loaded,
    store: &mut Store,
    options: &Options,
    stop: &Stop,
    mut observe: impl FnMut(&Event),
) -> Result<Summary, SweepError> {
    let mut summary = Summary::default();
    if missing.is_empty() {
        return Ok(summary);
    }
    let environment = store.environment(&environment(options)).await?;
    std::fs::create_dir_all(&options.checkpoints)
        .map_err(|error| SweepError::Folder { path: options.checkpoints.clone(), error })?;
    trainer::checkpoint::remove_others(&options.checkpoints, &store.checkpoint_files().await?);
    let total = missing.len();
    let most_states = memory::most_states(&missing, options)?;
    let shared = Shared {
        device: options.device,
        width: options.lanes.get(),
        block: trainer::BLOCK,
        census: Census::default(),
        most_states,
        parking: Some(options.checkpoints.clone()),
        next_stage: Arc::new(AtomicU64::new(store.next_stage().await?)),
    };
    let (sender, mut events) = mpsc::channel(QUEUE);
    let branches = branches(missing, options);
    let workers = worker::start(branches, images, shared, options, stop, &sender)?;
    drop(sender);

    let (mut batch, mut observed) = (Vec::new(), 0);
    let mut outcome = Ok(());
    let mut due = Instant::now() + WRITE_EVERY;
    let mut open = true;
    while open {
        // A transaction has its price, whatever is in it.
        if let Ok(0) = timeout_at(due, events.recv_many(&mut batch, QUEUE)).await {
            open = false;
        }
        batch.iter().skip(observed).for_each(&mut observe);
        observed = batch.len();
        if open && batch.len() < QUEUE && Instant::now() < due {
            continue;
        }
        // After an error the queue is still emptied, so that no worker waits for ever.
        if outcome.is_ok() && !batch.is_empty() {
            outcome = store_batch(&batch, environment, store, options, &mut summary).await;
            if outcome.is_err() {
                stop.request();
            }
        }
        batch.clear();
        (observed, due) = (0, Instant::now() + WRITE_EVERY);
    }
    for worker in workers {
        // A worker catches its trials' panics; one that still died has told no end of its trial, which
        // stays `running` in the store and is trained anew by the next run.
        if worker.join().is_err() {
            summary.failed += 1;
        }
    }
    outcome?;
    summary.stopped = total.saturating_sub(summary.done + summary.diverged + summary.failed);
    Ok(summary)
}

/// What is trained together: trials that stopped at the same checkpoint, and all that begin.
fn branches(missing: Vec<Missing>, options: &Options) -> Vec<Branch> {
    let mut starts = Vec::new();
    let mut stopped: BTreeMap<(String, u64), Vec<Trial>> = BTreeMap::new();
    for Missing { trial, checkpoint } in missing {
        match checkpoint {
            None => starts.push(trial),
            Some(at) => stopped.entry(at).or_default().push(trial),
        }
    }
    let mut all = Branch::starts(starts, options.share);
    for ((file, step), trials) in stopped {
        let dir = options.checkpoints.clone();
        all.extend(Branch::resumed(trials, options.share, step, dir, file));
    }
    all
}

/// One transaction; then the files that it made superfluous go.
async fn store_batch(
    batch: &[Event],
    environment: i64,
    store: &mut Store,
    options: &Options,
    summary: &mut Summary,
) -> Result<(), SweepError> {
    let superseded = store.write(batch, environment).await?;
    for file in superseded {
        trainer::checkpoint::remove(&options.checkpoints, &file);
    }
    for event in batch {
        if let Event::Ended { outcome, .. } = event {
            match outcome {
                Outcome::Done(_) => summary.done += 1,
                Outcome::Diverged { .. } => summary.diverged += 1,
                Outcome::Failed { .. } => summary.failed += 1,
                Outcome::Stopped { .. } => {}
            }
        }
    }
    Ok(())
}
