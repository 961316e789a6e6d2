//! The branches that wait to be trained, shared by the workers. A fork that a worker has no room for comes
//! here, and a worker with nothing to do gets what waits, or half of what another one has.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spec::event::Event;
use trainer::{Branch, Emit, Stack, Stop, now};

/// So often a waiting worker looks whether a stop was requested.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See the module.
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Workers that wait in vain.
    hungry: AtomicUsize,
}

struct Queue {
    branches: Vec<Branch>,
    /// Seeds in the order in which they are to be trained.
    seeds: Vec<u64>,
    /// Workers that are training, and may bring forks.
    busy: usize,
}

impl Pool {
    pub(crate) fn new(branches: Vec<Branch>) -> Self {
        let mut seeds: Vec<u64> = Vec::new();
        for branch in &branches {
            if !seeds.contains(&branch.seed()) {
                seeds.push(branch.seed());
            }
        }
        let queue = Mutex::new(Queue { branches, seeds, busy: 0 });
        Self { queue, changed: Condvar::new(), hungry: AtomicUsize::new(0) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The branch to train next, for a worker that has nothing. Waits as long as others may bring one;
    /// `None` when all is over or a stop was requested. After each the worker calls [`Pool::done`].
    pub(crate) fn next(&self, stop: &Stop) -> Option<Branch> {
        let mut queue = self.queue();
        loop {
            if stop.requested() {
                return None;
            }
            if let Some(first) = queue.first() {
                queue.busy += 1;
                return Some(queue.branches.swap_remove(first));
            }
            if queue.busy == 0 {
                return None;
            }
            self.hungry.fetch_add(1, Ordering::Relaxed);
            let waited = self.changed.wait_timeout(queue, LOOK_EVERY);
            self.hungry.fetch_sub(1, Ordering::Relaxed);
            queue = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
        }
    }

    /// A branch that can join a stack.
    pub(crate) fn fitting(&self, stack: &Stack<'_>) -> Option<Branch> {
        let mut queue = self.queue();
        let found = queue.branches.iter().position(|branch| stack.takes(branch))?;
        Some(queue.branches.swap_remove(found))
    }

    /// Takes in what a worker gives away.
    pub(crate) fn put(&self, branches: Vec<Branch>) {
        if !branches.is_empty() {
            self.queue().branches.extend(branches);
            self.changed.notify_all();
        }
    }

    /// A worker has trained what [`Pool::next`] gave it.
    pub(crate) fn done(&self) {
        let mut queue = self.queue();
        queue.busy = queue.busy.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Whether a worker waits for something to do.
    pub(crate) fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed) > 0
    }

    /// Writes the branches that are in memory alone to disk, and tells of it.
    pub(crate) fn save(&self, dir: &Path, emit: &mut Emit<'_>) {
        for branch in &mut self.queue().branches {
            match branch.save(dir) {
                Ok(None) => {}
                Ok(Some(file)) => {
                    let (trial_ids, step) = (branch.trial_ids(), branch.step());
                    emit(Event::Checkpoint { trial_ids, step, file, at: now() });
                }
                Err(error) => {
                    tracing::warn!("{} trials wait without a checkpoint: {error}", branch.trial_ids().len())
                }
            }
        }
    }

    /// After a stop: all branches that are left.
    pub(crate) fn drain(&self) -> Vec<Branch> {
        std::mem::take(&mut self.queue().branches)
    }
}

impl Queue {
    /// Seed by seed, so that an interrupted sweep holds whole comparisons; then what takes memory while it
    /// waits; then the most work, so that all workers end at about the same time.
    fn first(&self) -> Option<usize> {
        let key = |branch: &Branch| {
            let seed = self.seeds.iter().position(|seed| *seed == branch.seed());
            (seed, !branch.is_in_memory(), u64::MAX - branch.steps_left())
        };
        (0..self.branches.len()).min_by_key(|i| self.branches.get(*i).map(key))
    }
}
