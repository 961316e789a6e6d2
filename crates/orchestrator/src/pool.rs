//! The branches that wait to be trained, shared by the workers. A fork that a worker has no room for waits here. A worker
//! without work takes a branch from here. If none waits, another worker puts some of its lanes here for it, and no stack
//! takes them back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    /// Number of lanes that each worker trains. A worker with 0 is idle: it will call [`Pool::next`].
    lanes: Vec<usize>,
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
    pub(crate) fn new(branches: Vec<Branch>, workers: usize) -> Self {
        let mut queue = Queue { lanes: vec![0; workers], ..Queue::default() };
        branches.into_iter().for_each(|branch| queue.add(branch));
        Self { queue: Mutex::new(queue), changed: Condvar::new(), idle: Notify::new() }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next branch, for a worker without work. Waits while one may still be added; `None` when the pool is closed and
    /// nothing is left, or a stop is requested. The worker calls [`Pool::done`] after each.
    pub(crate) fn next(&self, worker: usize, stop: &Stop) -> Option<Branch> {
        let mut queue = self.queue();
        loop {
            if stop.requested() {
                return None;
            }
            if let Some(first) = queue.branches.keys().next().copied() {
                queue.set_lanes(worker, 1);
                return queue.take(first);
            }
            if queue.is_idle() {
                if queue.closed {
                    return None;
                }
                self.idle.notify_one();
            }
            let waited = self.changed.wait_timeout(queue, CHECK_STOP_EVERY);
            queue = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
        }
    }

    /// A branch that can join a worker's stack: the one with the most work. A stack takes no more than its share of all lanes,
    /// and leaves a branch for each idle worker.
    pub(crate) fn fitting(&self, worker: usize, stack: &Stack<'_>) -> Option<Branch> {
        let mut queue = self.queue();
        queue.set_lanes(worker, stack.len());
        if queue.branches.len() <= queue.idle_workers() || stack.len() >= queue.share() {
            return None;
        }
        let position = queue.by_position.get(&(stack.step(), stack.seed()))?;
        let takes = |rank: &&Rank| queue.branches.get(rank).is_some_and(|branch| stack.accepts(branch));
        let found = position.iter().find(takes).copied()?;
        queue.set_lanes(worker, stack.len() + 1);
        queue.take(found)
    }

    /// The number of lanes that a worker's stack of `lanes` keeps: fewer if idle workers have no branch to take.
    pub(crate) fn lanes_to_keep(&self, worker: usize, lanes: usize) -> usize {
        let mut queue = self.queue();
        queue.set_lanes(worker, lanes);
        if queue.idle_workers() <= queue.branches.len() {
            return lanes;
        }
        // A stack that is smaller than others gives half, so that the idle worker needs not wait for those.
        let share = queue.share();
        if lanes > share { share } else { lanes.div_ceil(2) }
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
    pub(crate) fn done(&self, worker: usize) {
        self.queue().set_lanes(worker, 0);
        self.changed.notify_all();
    }

    /// Waits until a worker finds nothing left to train, which may change before the caller looks.
    pub(crate) async fn idle(&self) {
        self.idle.notified().await;
    }

    /// Whether nothing is left to train.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue().is_idle()
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
        let new = queue
            .branches
            .iter()
            .filter(|(_, branch)| !branch.is_started() && !branch.is_check())
            .map(|(rank, _)| *rank);
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

    /// Writes checkpoints of the branches that are only in memory.
    pub(crate) fn save(&self, folder: &Folder, emit: &mut Emit<'_>) {
        let mut branches = self.queue().take_unsaved();
        // Without the lock: `emit` may wait for the dispatcher, which uses this pool.
        for branch in &mut branches {
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
        }
        self.add(branches);
    }

    /// Takes all remaining branches, after a stop.
    pub(crate) fn drain(&self) -> Vec<Branch> {
        let mut queue = self.queue();
        queue.by_position.clear();
        std::mem::take(&mut queue.branches).into_values().collect()
    }
}

impl Queue {
    /// Whether nothing waits and no worker trains.
    fn is_idle(&self) -> bool {
        self.branches.is_empty() && self.idle_workers() == self.lanes.len()
    }

    fn idle_workers(&self) -> usize {
        self.lanes.iter().filter(|lanes| **lanes == 0).count()
    }

    /// The number of lanes of each worker if all had the same number, rounded up.
    fn share(&self) -> usize {
        let all = self.lanes.iter().sum::<usize>() + self.branches.len();
        all.div_ceil(self.lanes.len().max(1)).max(1)
    }

    fn set_lanes(&mut self, worker: usize, lanes: usize) {
        if let Some(slot) = self.lanes.get_mut(worker) {
            *slot = lanes;
        }
    }

    fn take_unsaved(&mut self) -> Vec<Branch> {
        let ranks: Vec<Rank> = self.branches.keys().filter(|rank| !rank.takes_no_memory).copied().collect();
        ranks.into_iter().filter_map(|rank| self.take(rank)).collect()
    }

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
