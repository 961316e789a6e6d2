//! The worker threads: each takes a branch, trains it in a stack with the branches that fit, puts forks back into the
//! pool, and emits events.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use program::RunSettings;
use spec::event::Event;
use tokio::sync::mpsc::Sender;
use trainer::checkpoint::Folder;
use trainer::{Branch, Emit, Shared, Stack, Stop};

use crate::pool::Pool;
use crate::{Loaded, Options, SweepError};

/// Stack size of a training thread. Candle walks the graph of a step recursively.
pub const STACK_BYTES: usize = 64 << 20;

/// The state that all workers share.
pub(crate) struct WorkerContext {
    pub(crate) pool: Pool,
    pub(crate) loaded: Loaded,
    pub(crate) shared: Shared,
    pub(crate) folder: Folder,
    pub(crate) options: Options,
    pub(crate) stop: Stop,
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
        if let Some((trial, stored)) = branch.program_trial() {
            let settings = RunSettings {
                dir: self.options.trials.join(&trial.id),
                side_cars: self.folder.clone(),
                refuse_changed_files: true,
                worker: number,
                next_stage: Arc::clone(&self.shared.next_stage),
                time_limit: self.options.time_limit,
            };
            return program::train(&trial, stored, &settings, &self.stop, emit);
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
}
