//! The branches that wait to be trained, shared by the workers. A fork that a worker has no room for waits here. A worker
//! without work takes a branch from here, or half of another worker's stack.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schedule::problem::counted;
use spec::event::Event;
use tokio::sync::Notify;
use trainer::checkpoint::Folder;
use trainer::{Branch, Emit, Stack, Stop, now};

/// How often a waiting worker checks whether a stop was requested.
const CHECK_STOP_EVERY: Duration = Duration::from_millis(50);

/// The waiting branches.
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Workers without work.
    waiting_workers: AtomicUsize,
    /// Notified when nothing is left to train.
    idle: Notify,
}

#[derive(Default)]
struct Queue {
    branches: BTreeMap<Rank, Branch>,
    /// The branches by their step and seed.
    by_position: BTreeMap<(u64, u64), BTreeSet<Rank>>,
    /// The order in which seeds are trained.
    seeds: HashMap<u64, usize>,
    /// Number of branches added so far.
    count: u64,
    /// Number of workers that train and may add forks.
    busy: usize,
    /// Only workers add branches from now on.
    closed: bool,
}

/// The order of training: seed by seed, so that an interrupted sweep has complete comparisons; then branches that use
/// memory while they wait; then those with the most work, so that all workers end at about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    seed: usize,
    takes_no_memory: bool,
    work: Reverse<u64>,
    /// Earlier branches first.
    count: u64,
}

impl Pool {
    pub(crate) fn new(branches: Vec<Branch>) -> Self {
        let mut queue = Queue::default();
        branches.into_iter().for_each(|branch| queue.add(branch));
        Self {
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            waiting_workers: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next branch, for a worker without work. Waits while one may still be added; `None` when the pool is closed and
    /// nothing is left, or a stop is requested. The worker calls [`Pool::done`] after each.
    pub(crate) fn next(&self, stop: &Stop) -> Option<Branch> {
        let mut queue = self.queue();
        loop {
            if stop.requested() {
                return None;
            }
            if let Some(first) = queue.branches.keys().next().copied() {
                queue.busy += 1;
                return queue.take(first);
            }
            if queue.busy == 0 {
                if queue.closed {
                    return None;
                }
                self.idle.notify_one();
            }
            self.waiting_workers.fetch_add(1, Ordering::Relaxed);
            let waited = self.changed.wait_timeout(queue, CHECK_STOP_EVERY);
            self.waiting_workers.fetch_sub(1, Ordering::Relaxed);
            queue = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
        }
    }

    /// A branch that can join a stack.
    pub(crate) fn fitting(&self, stack: &Stack<'_>) -> Option<Branch> {
        let mut queue = self.queue();
        let position = queue.by_position.get(&(stack.step(), stack.seed()))?;
        let takes = |rank: &&Rank| queue.branches.get(rank).is_some_and(|branch| stack.accepts(branch));
        let found = position.iter().find(takes).copied()?;
        queue.take(found)
    }

    /// Adds branches.
    pub(crate) fn add(&self, branches: Vec<Branch>) {
        if !branches.is_empty() {
            let mut queue = self.queue();
            branches.into_iter().for_each(|branch| queue.add(branch));
            self.changed.notify_all();
        }
    }

    /// A worker has trained the branch from [`Pool::next`].
    pub(crate) fn done(&self) {
        let mut queue = self.queue();
        queue.busy = queue.busy.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Waits until a worker finds nothing left to train, which may change before the caller looks.
    pub(crate) async fn idle(&self) {
        self.idle.notified().await;
    }

    /// Whether nothing is left to train.
    pub(crate) fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.branches.is_empty() && queue.busy == 0
    }

    /// Number of waiting branches.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().branches.len()
    }

    /// Only workers add branches from now on: they end when nothing is left.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.changed.notify_all();
    }

    /// Removes and returns branches that have not begun, the last in order: about half of all, or all except `most`
    /// if that is more. One branch stays for each worker.
    pub(crate) fn give_away(&self, workers: usize, keep: usize) -> Vec<Branch> {
        let mut queue = self.queue();
        let new = queue.branches.iter().filter(|(_, branch)| !branch.is_started()).map(|(rank, _)| *rank);
        let new: Vec<Rank> = new.collect();
        let waiting = queue.branches.len();
        let given = (waiting / 2).max(waiting.saturating_sub(keep)).min(waiting.saturating_sub(workers));
        new.iter().rev().take(given.min(new.len())).filter_map(|rank| queue.take(*rank)).collect()
    }

    /// Removes and returns the branches with this property.
    pub(crate) fn take_all(&self, is_wanted: impl Fn(&Branch) -> bool) -> Vec<Branch> {
        let mut queue = self.queue();
        let all = queue.branches.iter().filter(|(_, branch)| is_wanted(branch)).map(|(rank, _)| *rank);
        let all: Vec<Rank> = all.collect();
        all.into_iter().filter_map(|rank| queue.take(rank)).collect()
    }

    /// Whether a worker waits for work.
    pub(crate) fn has_waiting_worker(&self) -> bool {
        self.waiting_workers.load(Ordering::Relaxed) > 0
    }

    /// Writes checkpoints of the branches that are only in memory.
    pub(crate) fn save(&self, folder: &Folder, emit: &mut Emit<'_>) {
        let mut queue = self.queue();
        let all: Vec<Rank> = queue.branches.keys().filter(|rank| !rank.takes_no_memory).copied().collect();
        for rank in all {
            let Some(mut branch) = queue.take(rank) else { continue };
            match branch.save(folder) {
                Ok(None) => {}
                Ok(Some(file)) => {
                    let (trial_ids, step) = (branch.trial_ids(), branch.step());
                    emit(Event::Checkpoint { trial_ids, step, file, at: now() });
                }
                Err(error) => {
                    tracing::warn!(
                        "can't write a checkpoint of {}: {error}",
                        counted(branch.trial_ids().len(), "waiting trial")
                    );
                }
            }
            queue.add(branch);
        }
    }

    /// Takes all remaining branches, after a stop.
    pub(crate) fn drain(&self) -> Vec<Branch> {
        let mut queue = self.queue();
        queue.by_position.clear();
        std::mem::take(&mut queue.branches).into_values().collect()
    }
}

impl Queue {
    fn add(&mut self, branch: Branch) {
        let next = self.seeds.len();
        let seed = *self.seeds.entry(branch.seed()).or_insert(next);
        self.count += 1;
        let rank = Rank {
            seed,
            takes_no_memory: !branch.is_in_memory(),
            work: Reverse(branch.steps_left()),
            count: self.count,
        };
        self.by_position.entry((branch.step(), branch.seed())).or_default().insert(rank);
        self.branches.insert(rank, branch);
    }

    fn take(&mut self, rank: Rank) -> Option<Branch> {
        let branch = self.branches.remove(&rank)?;
        let position = (branch.step(), branch.seed());
        if let Some(ranks) = self.by_position.get_mut(&position) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.by_position.remove(&position);
            }
        }
        Some(branch)
    }
}
