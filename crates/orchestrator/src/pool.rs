//! The branches that wait to be trained, shared by the workers. A fork that a worker has no room for comes
//! here, and a worker with nothing to do gets what waits, or half of what another one has.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use spec::event::Event;
use tokio::sync::Notify;
use trainer::checkpoint::Folder;
use trainer::{Branch, Emit, Stack, Stop, now};

/// So often a waiting worker looks whether a stop was requested.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// See the module.
pub(crate) struct Pool {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Workers that wait in vain.
    hungry: AtomicUsize,
    /// Told when nothing is left to train.
    idle: Notify,
}

#[derive(Default)]
struct Queue {
    branches: BTreeMap<Rank, Branch>,
    /// Which of them wait before a step of a seed.
    places: BTreeMap<(u64, u64), BTreeSet<Rank>>,
    /// Seeds in the order in which they are to be trained.
    seeds: HashMap<u64, usize>,
    /// Branches so far.
    count: u64,
    /// Workers that are training, and may bring forks.
    busy: usize,
    /// Nothing will be put in from outside any more.
    closed: bool,
}

/// What is trained first stands first: seed by seed, so that an interrupted sweep holds whole comparisons;
/// then what takes memory while it waits; then the most work, so that all workers end at about the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    seed: usize,
    takes_no_memory: bool,
    work: Reverse<u64>,
    /// What came first.
    count: u64,
}

impl Pool {
    pub(crate) fn new(branches: Vec<Branch>) -> Self {
        let mut queue = Queue::default();
        branches.into_iter().for_each(|branch| queue.put(branch));
        Self {
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            hungry: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The branch to train next, for a worker that has nothing. Waits as long as someone may bring one;
    /// `None` when the pool is closed and all is over, or a stop was requested. After each the worker calls
    /// [`Pool::done`].
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
            self.hungry.fetch_add(1, Ordering::Relaxed);
            let waited = self.changed.wait_timeout(queue, LOOK_EVERY);
            self.hungry.fetch_sub(1, Ordering::Relaxed);
            queue = waited.map_or_else(|poisoned| poisoned.into_inner().0, |(queue, _)| queue);
        }
    }

    /// A branch that can join a stack.
    pub(crate) fn fitting(&self, stack: &Stack<'_>) -> Option<Branch> {
        let mut queue = self.queue();
        let place = queue.places.get(&(stack.step(), stack.seed()))?;
        let takes = |rank: &&Rank| queue.branches.get(rank).is_some_and(|branch| stack.takes(branch));
        let found = place.iter().find(takes).copied()?;
        queue.take(found)
    }

    /// Takes in what a worker gives away.
    pub(crate) fn put(&self, branches: Vec<Branch>) {
        if !branches.is_empty() {
            let mut queue = self.queue();
            branches.into_iter().for_each(|branch| queue.put(branch));
            self.changed.notify_all();
        }
    }

    /// A worker has trained what [`Pool::next`] gave it.
    pub(crate) fn done(&self) {
        let mut queue = self.queue();
        queue.busy = queue.busy.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Waits until it may be that nothing is left to train.
    pub(crate) async fn idle(&self) {
        self.idle.notified().await;
    }

    /// Whether nothing is left to train.
    pub(crate) fn is_idle(&self) -> bool {
        let queue = self.queue();
        queue.branches.is_empty() && queue.busy == 0
    }

    /// Branches that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue().branches.len()
    }

    /// Nothing will be put in from outside any more: workers end when all is over.
    pub(crate) fn close(&self) {
        self.queue().closed = true;
        self.changed.notify_all();
    }

    /// Takes out branches that wait and of which nothing was told yet, those that would come last: at least about half, and
    /// all but `most`. What the workers need next stays.
    pub(crate) fn give_away(&self, workers: usize, most: usize) -> Vec<Branch> {
        let mut queue = self.queue();
        let new = queue.branches.iter().filter(|(_, branch)| !branch.is_begun()).map(|(rank, _)| *rank);
        let new: Vec<Rank> = new.collect();
        let waiting = queue.branches.len();
        let given = (waiting / 2).max(waiting.saturating_sub(most)).min(waiting.saturating_sub(workers));
        new.iter().rev().take(given.min(new.len())).filter_map(|rank| queue.take(*rank)).collect()
    }

    /// Whether a worker waits for something to do.
    pub(crate) fn is_hungry(&self) -> bool {
        self.hungry.load(Ordering::Relaxed) > 0
    }

    /// Writes the branches that are in memory alone to disk, and tells of it.
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
                    tracing::warn!("{} trials wait without a checkpoint: {error}", branch.trial_ids().len());
                }
            }
            queue.put(branch);
        }
    }

    /// After a stop: all branches that are left.
    pub(crate) fn drain(&self) -> Vec<Branch> {
        let mut queue = self.queue();
        queue.places.clear();
        std::mem::take(&mut queue.branches).into_values().collect()
    }
}

impl Queue {
    fn put(&mut self, branch: Branch) {
        let next = self.seeds.len();
        let seed = *self.seeds.entry(branch.seed()).or_insert(next);
        self.count += 1;
        let rank = Rank {
            seed,
            takes_no_memory: !branch.is_in_memory(),
            work: Reverse(branch.steps_left()),
            count: self.count,
        };
        self.places.entry((branch.step(), branch.seed())).or_default().insert(rank);
        self.branches.insert(rank, branch);
    }

    fn take(&mut self, rank: Rank) -> Option<Branch> {
        let branch = self.branches.remove(&rank)?;
        let place = (branch.step(), branch.seed());
        if let Some(ranks) = self.places.get_mut(&place) {
            ranks.remove(&rank);
            if ranks.is_empty() {
                self.places.remove(&place);
            }
        }
        Some(branch)
    }
}
