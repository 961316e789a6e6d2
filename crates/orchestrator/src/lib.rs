//! Plan -> workers -> events -> store. Decides which trials are trained by which threads, and writes their events to
//! the store in order. Contains no SQL, no tensors and no signal handling: the caller requests a stop through
//! [`Stop`].

mod claims;
mod dispatcher;
mod environment;
mod estimate;
mod losses;
mod memory;
mod pool;
mod sharing;
mod single;
mod starts;
mod train;
mod verify;
mod worker;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schedule::problem::counted;
use spec::Plan;
use spec::event::Event;
use spec::trial::{Data, Model, Network, Trial};
use store::{Store, StoreError};
use trainer::checkpoint;
use trainer::custom::Tasks;
use trainer::data::{DataError, Examples};
use trainer::device::{Device, DeviceError};

pub use trainer::Stop;

pub use environment::environment;
pub use estimate::estimate;
pub use losses::Difference;
pub use memory::available as available_memory;
pub use sharing::{SharingChecked, trial_to_check};
pub use single::train_single;
pub use train::train;
pub use verify::{Verified, verify};
pub use worker::STACK_BYTES;

/// How to run a sweep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that train. A process with 0 only coordinates others.
    pub workers: usize,
    /// Maximum number of lanes that each thread trains in lock-step.
    pub lanes: NonZeroUsize,
    /// Whether trials share the steps in which they are identical.
    pub share: bool,
    /// Bytes of memory that training may use. `None` is a safe share of what is available.
    pub memory: Option<u64>,
    /// The device to train on.
    pub device: Device,
    /// Wall time between the checkpoints of a trial.
    pub checkpoint_every: Duration,
    /// Folder of the checkpoints.
    pub checkpoints: PathBuf,
    /// Folder of the files that custom programs write, with a folder for each trial.
    pub trials: PathBuf,
    /// If this process does not renew its lease for this long, others take it for dead and take over its trials.
    pub lease: Duration,
    /// How often a failed trial is retried before the sweep ends without it.
    pub retries: u32,
    /// A trial whose training takes longer than this fails.
    pub time_limit: Option<Duration>,
    /// Whether to retry trials that failed in earlier runs.
    pub with_failed: bool,
    /// The share of finished trials, 0 to 1, that is trained again on another machine.
    pub verify_fraction: f64,
}

/// Numbers of trials of a sweep or of one round, by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Trials trained to the end by this call.
    pub done: usize,
    /// Trials that diverged.
    pub diverged: usize,
    /// Trials that failed.
    pub failed: usize,
    /// Trials that did not end because of a stop.
    pub stopped: usize,
    /// Trials that other processes ended meanwhile.
    pub elsewhere: usize,
    /// Trials that were not started because their program failed at its first starts, before it reported a step.
    pub not_started: usize,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.done += more.done;
        self.diverged += more.diverged;
        self.failed += more.failed;
        self.stopped += more.stopped;
        self.elsewhere += more.elsewhere;
        self.not_started += more.not_started;
    }
}

/// An event for the observer of a sweep.
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// An event of a trial in this process.
    Event(&'a Event),
    /// Number of trials of the sweep that other processes have ended since this one began.
    EndedElsewhere(usize),
    /// A trial that shares steps was also trained separately.
    SharingChecked(&'a SharingChecked),
}

/// Why training a sweep failed. Results that were stored before are kept.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A data set is missing or invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device can't be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The store can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder can't be created.
    #[error("can't create the folder {}: {error}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// There is less memory than training needs at least.
    #[error(
        "not enough memory: training with {} needs at least {}, and {} may be used; allow more with `--memory`, or use fewer \
         `--workers`",
        counted(*.workers, "worker"), memory::size(*.needed), memory::size(*.given)
    )]
    Memory {
        /// Threads that train.
        workers: usize,
        /// Bytes that training needs at least.
        needed: u64,
        /// Bytes that may be used.
        given: u64,
    },
    /// A probe failed.
    #[error(transparent)]
    Probe(trainer::TrainError),
    /// Sharing steps changes the results of a program.
    #[error(
        "trial {} has other results when it shares steps than when it is trained separately: its losses differ {}; the results of trials that shared steps \
         were removed. Save and restore all that the program's results depend on, such as the state of random generators (in Python: \
         `trial.state()` and `trial.restore()`), or remove `share: true`",
        .0.trial_id, .0.words()
    )]
    Sharing(Box<SharingChecked>),
    /// The result of a check can't be written.
    #[error("can't write {}: {error}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// A thread can't be started.
    #[error("can't start a worker: {0}")]
    Thread(std::io::Error),
}

/// The training data of networks, in memory.
#[derive(Debug)]
pub struct Loaded(Vec<(ExamplesKey, Examples)>);

/// The key of loaded examples: everything on which they depend.
#[derive(Debug, Clone, PartialEq)]
struct ExamplesKey {
    /// The data set, with the batch size set to 1, because examples do not depend on it.
    data: Option<Data>,
    /// Context length of the model, in characters.
    context: usize,
    /// The model, if it is a task that makes its own examples.
    task: Option<Model>,
}

impl ExamplesKey {
    fn new(network: &Network) -> Self {
        let data = network.data.as_ref().map(|data| Data { batch_size: 1, ..data.clone() });
        let task = network.data.is_none().then(|| network.model.clone());
        Self { data, context: network.model.context(), task }
    }
}

impl Loaded {
    /// The training data of a network, if it was loaded.
    pub(crate) fn examples(&self, network: &Network) -> Option<&Examples> {
        let wanted = ExamplesKey::new(network);
        self.0.iter().find(|(known, _)| *known == wanted).map(|(_, examples)| examples)
    }
}

/// Where the training data of networks comes from.
#[derive(Debug, Clone, Copy)]
pub struct DataSources<'a> {
    /// The folder of the data sets. `None` for the default folders.
    pub data_dir: Option<&'a Path>,
    /// The custom tasks of this program.
    pub tasks: &'a Tasks,
}

/// A trial without a result in the store, and where it resumes.
#[derive(Debug, Clone)]
pub struct Missing {
    /// The trial.
    pub trial: Trial,
    /// File name of its newest checkpoint, and the first step that is not in the checkpoint.
    pub checkpoint: Option<(String, u64)>,
}

/// The work of a process in one round.
#[derive(Debug)]
pub struct Work {
    /// The trials without a result.
    pub missing: Vec<Missing>,
    /// The training data of those that this process may train.
    pub loaded: Loaded,
    /// A trial that shares steps and is also to be trained separately, and the first step that it does not share.
    pub check: Option<(Trial, u64)>,
}

/// Writes the plan into the store. Returns the trials without a result, in the plan's order. `keep_recency`: not a
/// user's request, so the sweep does not become the one that was run last.
///
/// # Errors
/// The store can't be written.
pub async fn register(
    plan: &Plan,
    store: &mut Store,
    keep_recency: bool,
) -> Result<Vec<Missing>, SweepError> {
    store.register(plan, keep_recency).await?;
    let unfinished = store.unfinished(&plan.name).await?;
    let mut unfinished: HashMap<String, Option<(String, u64)>> =
        unfinished.into_iter().map(|trial| (trial.trial_id, trial.checkpoint)).collect();
    let missing = plan.trials.iter().filter_map(|trial| {
        let checkpoint = unfinished.remove(&trial.id)?;
        Some(Missing { trial: trial.clone(), checkpoint })
    });
    Ok(missing.collect())
}

/// Removes files in a folder of checkpoints that no unfinished trial resumes from and that no process is writing:
/// leftovers of killed processes. `all`: also removes files that were set aside. Returns the number of removed files
/// and of freed bytes.
///
/// # Errors
/// The store can't be read.
pub async fn remove_stale(store: &mut Store, dir: &Path, all: bool) -> Result<(usize, u64), SweepError> {
    let (known, others) = (store.checkpoint_files().await?, store.other_runners().await?);
    Ok(checkpoint::remove_others(dir, &known, &others, all))
}

/// Removes the checkpoints of programs from which no trial of the store resumes. Removes nothing while other
/// processes train. Returns the number of removed files and of freed bytes.
///
/// # Errors
/// The store can't be read.
pub async fn remove_program_checkpoints(
    store: &mut Store,
    trials: &Path,
) -> Result<(usize, u64), SweepError> {
    let Ok(entries) = std::fs::read_dir(trials) else { return Ok((0, 0)) };
    if !store.other_runners().await?.is_empty() {
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
        let (files, bytes) = checkpoint::size(&dir);
        // A file that can't be removed only wastes space.
        if std::fs::remove_dir_all(&dir).is_ok() {
            removed = (removed.0 + files, removed.1 + bytes);
        }
    }
    Ok(removed)
}

/// Number of files in the folders of these trials, and their size in bytes.
pub fn trial_files(trials: &Path, ids: &[String]) -> (usize, u64) {
    let sizes = ids.iter().map(|id| checkpoint::size(&trials.join(id)));
    sizes.fold((0, 0), |(files, bytes), (more, within)| (files + more, bytes + within))
}

/// Removes the folders of these trials: output and checkpoints of programs, and weights that are kept for other
/// trials. Returns the number of removed files and of freed bytes.
pub fn remove_trials(trials: &Path, ids: &[String]) -> (usize, u64) {
    let mut removed = (0, 0);
    for id in ids {
        let dir = trials.join(id);
        let (files, bytes) = checkpoint::size(&dir);
        // A file that can't be removed only wastes space.
        if std::fs::remove_dir_all(&dir).is_ok() {
            removed = (removed.0 + files, removed.1 + bytes);
        }
    }
    removed
}

/// Removes the folders of trials that are not in the store, which a killed removal leaves behind. Removes nothing
/// while other processes train. Returns the number of removed files and of freed bytes.
///
/// # Errors
/// The store can't be read.
pub async fn remove_unknown_trials(store: &mut Store, trials: &Path) -> Result<(usize, u64), SweepError> {
    let is_id = |name: &String| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let entries = std::fs::read_dir(trials).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ids: Vec<String> = names.filter(is_id).collect();
    if ids.is_empty() || !store.other_runners().await?.is_empty() {
        return Ok((0, 0));
    }
    Ok(remove_trials(trials, &store.unknown_trials(&ids).await?))
}

/// Loads the data sets of these trials, each once.
///
/// # Errors
/// A data set is missing or invalid.
pub fn load<'a>(
    trials: impl Iterator<Item = &'a Trial>,
    sources: DataSources<'_>,
) -> Result<Loaded, SweepError> {
    let mut loaded = Loaded(Vec::new());
    let mut checked: Vec<&Network> = Vec::new();
    for network in trials.filter_map(|trial| trial.config.task.network()) {
        if checked.contains(&network) {
            continue;
        }
        checked.push(network);
        if loaded.examples(network).is_none() {
            let examples = trainer::data::load(network, sources.data_dir, sources.tasks)?;
            loaded.0.push((ExamplesKey::new(network), examples));
        }
    }
    Ok(loaded)
}
