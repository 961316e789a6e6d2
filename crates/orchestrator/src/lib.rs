//! Plan -> workers -> events -> store. Decides which trials are trained, by how many threads, and sees to
//! it that what they tell reaches the store in order. Knows no SQL, no tensors and no signals: the caller
//! hands in a [`Stop`] and asks for it.

mod alone;
mod claims;
mod dispatcher;
mod environment;
mod estimate;
mod memory;
mod pool;
mod train;
mod verify;
mod worker;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use spec::Plan;
use spec::event::Event;
use spec::trial::{Data, Model, Network, Trial};
use store::{Store, StoreError};
use trainer::custom::Tasks;
use trainer::data::{DataError, Examples};
use trainer::device::{Device, DeviceError};

pub use trainer::Stop;

pub use alone::train_alone;
pub use environment::environment;
pub use estimate::estimate;
pub use memory::available as available_memory;
pub use train::train;
pub use verify::{Verified, verify};
pub use worker::STACK_BYTES;

/// How to run a sweep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that train; with 0 this process only coordinates others.
    pub workers: usize,
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
    /// Folder of what programs of the user's own leave: a folder for each trial.
    pub trials: PathBuf,
    /// If this process gives no sign of life for so long, others take it for dead and take its trials over.
    pub lease: Duration,
    /// So often a trial that failed is tried again before the sweep ends without it.
    pub retries: u32,
    /// A trial that takes more time than this for its training fails.
    pub time_limit: Option<Duration>,
    /// Whether trials that failed before are tried again.
    pub with_failed: bool,
    /// The share of the finished trials, 0 to 1, that is trained once more on another machine.
    pub verify_fraction: f64,
}

/// How a sweep went, or a round of one.
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
    /// Trials that other processes trained or failed meanwhile.
    pub elsewhere: usize,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.done += more.done;
        self.diverged += more.diverged;
        self.failed += more.failed;
        self.stopped += more.stopped;
        self.elsewhere += more.elsewhere;
    }
}

/// What can be seen while a sweep is trained.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// This process told something of a trial.
    Event(&'a Event),
    /// So many trials of the sweep were ended by other processes since this one began.
    Elsewhere(usize),
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

/// What networks learn from, in memory.
#[derive(Debug)]
pub struct Loaded(Vec<(Learnt, Examples)>);

/// What examples depend on.
#[derive(Debug, Clone, PartialEq)]
struct Learnt {
    /// Batches are cut later.
    data: Option<Data>,
    /// Characters of a window.
    context: usize,
    /// A task that brings its examples along.
    task: Option<Model>,
}

impl Learnt {
    fn of(network: &Network) -> Self {
        let data = network.data.as_ref().map(|data| Data { batch_size: 1, ..data.clone() });
        let task = network.data.is_none().then(|| network.model.clone());
        Self { data, context: network.model.context(), task }
    }
}

impl Loaded {
    /// What a network learns from, if it was loaded.
    pub(crate) fn of(&self, network: &Network) -> Option<&Examples> {
        let wanted = Learnt::of(network);
        self.0.iter().find(|(known, _)| *known == wanted).map(|(_, examples)| examples)
    }
}

/// Where what networks learn from is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The folder of the data sets, if not the usual ones.
    pub data_dir: Option<&'a Path>,
    /// The tasks of the program itself.
    pub tasks: &'a Tasks,
}

/// What is about to be trained: the trials that the store lacks, and where each goes on.
#[derive(Debug, Clone)]
pub struct Missing {
    /// The trial.
    pub trial: Trial,
    /// File name of its newest checkpoint and the step at which that goes on.
    pub checkpoint: Option<(String, u64)>,
}

/// Writes the sweep into the store and says what it lacks, in the plan's order. `again`: nobody has just asked for it.
///
/// # Errors
/// The store can't be written.
pub async fn register(plan: &Plan, store: &mut Store, again: bool) -> Result<Vec<Missing>, SweepError> {
    store.register(plan, again).await?;
    let unfinished = store.unfinished(&plan.name).await?;
    let mut unfinished: HashMap<String, Option<(String, u64)>> =
        unfinished.into_iter().map(|trial| (trial.trial_id, trial.checkpoint)).collect();
    let missing = plan.trials.iter().filter_map(|trial| {
        let checkpoint = unfinished.remove(&trial.id)?;
        Some(Missing { trial: trial.clone(), checkpoint })
    });
    Ok(missing.collect())
}

/// Removes the files in a folder of checkpoints that no unfinished trial goes on from and that nobody is writing: what kills
/// left. `all`: those too that were set aside. Gives how many files and bytes went.
///
/// # Errors
/// The store can't be read.
pub async fn remove_stale(store: &mut Store, dir: &Path, all: bool) -> Result<(usize, u64), SweepError> {
    let (known, others) = (store.checkpoint_files().await?, store.others().await?);
    Ok(trainer::checkpoint::remove_others(dir, &known, &others, all))
}

/// Removes the checkpoints of programs from which no trial of the store goes on; none, while other processes are at work. Gives
/// how many and how many bytes went.
///
/// # Errors
/// The store can't be read.
pub async fn remove_program_checkpoints(
    store: &mut Store,
    trials: &Path,
) -> Result<(usize, u64), SweepError> {
    let Ok(entries) = std::fs::read_dir(trials) else { return Ok((0, 0)) };
    if !store.others().await?.is_empty() {
        return Ok((0, 0));
    }
    let side_cars = store.checkpoint_files().await?;
    let mut removed = (0, 0);
    for entry in entries.flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        let dir = entry.path().join(program::CHECKPOINTS);
        if side_cars.iter().any(|file| file.contains(&id)) || !dir.is_dir() {
            continue;
        }
        let (files, bytes) = size(&dir);
        // What can't be removed only takes space.
        if std::fs::remove_dir_all(&dir).is_ok() {
            removed = (removed.0 + files, removed.1 + bytes);
        }
    }
    Ok(removed)
}

/// How many files the folders of these trials hold, and how many bytes.
pub fn trial_files(trials: &Path, ids: &[String]) -> (usize, u64) {
    let sizes = ids.iter().map(|id| size(&trials.join(id)));
    sizes.fold((0, 0), |(files, bytes), (more, within)| (files + more, bytes + within))
}

/// Removes the folders of these trials: what a program has printed, its checkpoints, and weights that are kept for others.
/// Gives how many files and bytes went.
pub fn remove_trials(trials: &Path, ids: &[String]) -> (usize, u64) {
    let mut removed = (0, 0);
    for id in ids {
        let dir = trials.join(id);
        let (files, bytes) = size(&dir);
        // What can't be removed only takes space.
        if std::fs::remove_dir_all(&dir).is_ok() {
            removed = (removed.0 + files, removed.1 + bytes);
        }
    }
    removed
}

/// Removes the folders of trials that the store does not have, as a removal that was killed leaves them; none, while other
/// processes are at work. Gives how many files and bytes went.
///
/// # Errors
/// The store can't be read.
pub async fn remove_unknown_trials(store: &mut Store, trials: &Path) -> Result<(usize, u64), SweepError> {
    let is_id = |name: &String| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let entries = std::fs::read_dir(trials).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ids: Vec<String> = names.filter(is_id).collect();
    if ids.is_empty() || !store.others().await?.is_empty() {
        return Ok((0, 0));
    }
    Ok(remove_trials(trials, &store.unknown(&ids).await?))
}

/// Files of a folder, and their bytes.
fn size(dir: &Path) -> (usize, u64) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| match entry.metadata() {
        Ok(about) if about.is_dir() => {
            let (more, within) = size(&entry.path());
            (files + more, bytes + within)
        }
        Ok(about) => (files + 1, bytes + about.len()),
        Err(_) => (files, bytes),
    })
}

/// Reads the data sets that these trials need, each once.
///
/// # Errors
/// A data set is missing or not what it should be.
pub fn load<'a>(trials: impl Iterator<Item = &'a Trial>, places: Places<'_>) -> Result<Loaded, SweepError> {
    let mut loaded = Loaded(Vec::new());
    let mut checked: Vec<&Network> = Vec::new();
    for network in trials.filter_map(|trial| trial.config.task.network()) {
        if checked.contains(&network) {
            continue;
        }
        checked.push(network);
        if loaded.of(network).is_none() {
            let examples = trainer::data::load(network, places.data_dir, places.tasks)?;
            loaded.0.push((Learnt::of(network), examples));
        }
    }
    Ok(loaded)
}
