//! The worker threads: each takes a branch, trains it in a stack with the branches that fit, puts forks back into the
//! pool, and emits events.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use program::RunSettings;
use spec::event::Event;
use tokio::sync::mpsc::Sender;
use trainer::checkpoint::Folder;
use trainer::{Branch, Emit, Shared, Stack, Stop};

use crate::losses::{self, Losses};
use crate::pool::Pool;
use crate::{Loaded, Options, SweepError};

/// Stack size of a training thread. Candle walks the graph of a step recursively.
pub const STACK_BYTES: usize = 64 << 20;

/// Name of the folder of a run for a check, in the folder of its trial.
const CHECK_FOLDER: &str = "check";

/// The state that all workers share.
pub(crate) struct WorkerContext {
    pub(crate) pool: Pool,
    pub(crate) loaded: Loaded,
    pub(crate) shared: Shared,
    pub(crate) folder: Folder,
    pub(crate) options: Options,
    pub(crate) stop: Stop,
    /// Trials that were trained separately for a check, until the dispatcher takes them.
    pub(crate) separate: Mutex<Vec<Result<Losses, String>>>,
}

/// Starts the workers. They end when the pool is closed and empty, when a stop is requested, or when their events are
/// no longer received.
pub(crate) fn start(
    context: &Arc<WorkerContext>,
    sender: &Sender<Event>,
) -> Result<Vec<JoinHandle<()>>, SweepError> {
    let mut workers = Vec::new();
    for i in 0..context.options.workers {
        let (own, sender) = (Arc::clone(context), sender.clone());
        let thread = std::thread::Builder::new().name(format!("worker-{i}")).stack_size(STACK_BYTES);
        match thread.spawn(move || own.work(i, &sender)) {
            Ok(worker) => workers.push(worker),
            Err(error) => {
                context.stop.request();
                return Err(SweepError::Thread(error));
            }
        }
    }
    Ok(workers)
}

/// Marks a worker as done, even if it panics.
struct Busy<'a>(&'a Pool, usize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.done(self.1);
    }
}

impl WorkerContext {
    fn work(&self, number: usize, sender: &Sender<Event>) {
        let received = Cell::new(true);
        let mut emit = |event| {
            received.set(received.get() && sender.blocking_send(event).is_ok());
            received.get()
        };
        while let Some(branch) = self.pool.next(number, &self.stop) {
            let _busy = Busy(&self.pool, number);
            // A lane contains the failures of its trials. After any other panic the worker continues with the next
            // branch, and the dispatcher fails the trials whose end was not reported.
            let trained = catch_unwind(AssertUnwindSafe(|| self.train(branch, number, &received, &mut emit)));
            if trained.is_err() {
                tracing::warn!("a worker panicked; it continues with the next branch");
            }
        }
        if self.stop.requested() {
            self.pool.save(&self.folder, &mut emit);
            self.pool.drain().into_iter().for_each(|branch| branch.stop(&mut emit));
        }
    }

    /// Trains a branch to its end, together with other branches that fit.
    fn train(&self, branch: Branch, number: usize, received: &Cell<bool>, emit: &mut Emit<'_>) {
        if branch.is_check() {
            return self.train_separately(branch, number);
        }
        if branch.is_program() {
            return self.run_programs(branch, number, emit);
        }
        let Some(examples) = branch.network().and_then(|network| self.loaded.examples(network)) else {
            return branch.fail("the data set was not loaded", emit);
        };
        let Some(mut stack) = Stack::new(branch, examples, &self.shared, emit) else { return };
        let folder = &self.folder;
        let mut saved = Instant::now();
        while !stack.is_empty() {
            while let Some(more) = self.pool.fitting(number, &stack) {
                self.pool.add(stack.add(more, emit).into_iter().collect());
            }
            // Before the next steps, so that idle workers need not wait for them.
            self.pool.add(stack.split(emit));
            let keep = self.pool.lanes_to_keep(number, stack.len());
            self.pool.add(stack.shrink(keep, emit));
            self.pool.add(stack.advance(emit));
            let stopping = self.stop.requested() || !received.get();
            if stopping || saved.elapsed() >= self.options.checkpoint_every {
                stack.checkpoint(folder, emit);
                self.pool.save(folder, emit);
                saved = Instant::now();
            }
            if stopping {
                return stack.stop(emit);
            }
        }
    }

    /// Runs a program for the trials of a branch. The folder is that of the trial that the program is started for.
    fn run_programs(&self, branch: Branch, number: usize, emit: &mut Emit<'_>) {
        let settings = self.settings(self.options.trials.clone(), self.folder.clone(), number);
        let mut fork = |branch: Branch| self.pool.add(vec![branch]);
        program::train(branch, &settings, &self.stop, emit, &mut fork);
    }

    /// Runs a program for one trial separately, in a folder that is removed afterwards, and keeps the losses for a check.
    fn train_separately(&self, branch: Branch, number: usize) {
        let dir = self.options.trials.join(branch.trial_ids().concat()).join(CHECK_FOLDER);
        // An earlier process may have been killed during a check.
        let _ = std::fs::remove_dir_all(&dir);
        let settings = self.settings(dir.clone(), Folder { dir: dir.clone(), writer: 0 }, number);
        let (mut losses, mut outcome) = (Losses::default(), None);
        let mut collect = |event: Event| {
            losses.add(&event);
            if let Event::Ended { outcome: ended, .. } = event {
                outcome = Some(ended);
            }
            true
        };
        program::train(branch, &settings, &self.stop, &mut collect, &mut |_| {});
        let _ = std::fs::remove_dir_all(&dir);
        let ended = losses::result(losses, outcome);
        self.separate.lock().unwrap_or_else(PoisonError::into_inner).extend(ended);
    }

    /// Takes the separate runs that have ended.
    pub(crate) fn separate(&self) -> Vec<Result<Losses, String>> {
        std::mem::take(&mut *self.separate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn settings(&self, trials: PathBuf, side_cars: Folder, worker: usize) -> RunSettings {
        RunSettings {
            trials,
            side_cars,
            refuse_changed_files: true,
            worker,
            next_stage: Arc::clone(&self.shared.next_stage),
            time_limit: self.options.time_limit,
        }
    }
}
