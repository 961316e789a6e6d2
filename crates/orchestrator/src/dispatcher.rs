//! The loop between the workers and the store: claims trials for the workers, writes their events, keeps this process's
//! lease, and shares the work with the other processes that train for the same store.

use std::time::Duration;

use spec::event::Event;
use store::{Activity, Store};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use trainer::Branch;

use crate::claims::Claims;
use crate::sharing::SharingCheck;
use crate::worker::WorkerContext;
use crate::{Observation, Options, Summary, SweepError};

/// Maximum number of events on their way to the store. A worker that finds the queue full waits.
pub(crate) const QUEUE: usize = 256;

/// Events are written at least this often, and when there are [`QUEUE`] of them.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// How often the store is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Maximum time between writes of events.
    write: Duration,
    /// Maximum time between renewals of the lease.
    pub(crate) leases: Duration,
}

impl Pace {
    /// A lease is renewed thirty times before it would end. A server, which may have thousands of writers, is written
    /// to less often than a file.
    pub(crate) fn new(store: &Store, options: &Options) -> Self {
        let leases = (options.lease / 30).max(Duration::from_secs(1)).min(options.lease / 4);
        Self { write: if store.is_remote() { leases } else { WRITE_EVERY }, leases }
    }

    /// How long a process that has waited this long sleeps before it checks again. Trials of other processes end soon or much
    /// later, so the pause grows with the wait.
    fn next_check(&self, waited: Duration) -> Duration {
        waited.max(WRITE_EVERY).min(self.write)
    }
}

/// The current activity of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It trains.
    Training,
    /// It has nothing to train and waits for trials of other processes.
    Waiting { since: Instant },
    /// No trials are left in any process: the workers end.
    Done,
}

/// Whether the pool holds work for the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Supply {
    Enough,
    /// The store may hold more trials, and the workers soon need them.
    Low,
    /// Nothing is left to train, and all events of the workers are received.
    Empty,
}

/// The loop between the workers and the store of one round.
pub(crate) struct Dispatcher<'a, F> {
    claims: Claims<'a>,
    context: &'a WorkerContext,
    store: &'a mut Store,
    /// Number of this machine and program in the store.
    environment: i64,
    events: mpsc::Receiver<Event>,
    /// The check of shared steps.
    check: Option<SharingCheck>,
    observe: F,
    pace: Pace,
    phase: Phase,
    /// Events that are not written yet.
    batch: Vec<Event>,
    /// Trials to retry, once the end of their last attempt is written.
    retries: Vec<Branch>,
    /// Whether the store may have more trials to claim.
    may_have_more: bool,
    write_at: Instant,
    renew_at: Instant,
}

impl<'a, F: FnMut(Observation<'_>)> Dispatcher<'a, F> {
    pub(crate) fn new(
        claims: Claims<'a>,
        context: &'a WorkerContext,
        store: &'a mut Store,
        environment: i64,
        events: mpsc::Receiver<Event>,
        check: Option<SharingCheck>,
        observe: F,
    ) -> Self {
        let pace = Pace::new(store, &context.options);
        let now = Instant::now();
        Self {
            claims,
            context,
            store,
            environment,
            events,
            check,
            observe,
            pace,
            phase: Phase::Training,
            batch: Vec::new(),
            retries: Vec::new(),
            may_have_more: true,
            write_at: now + pace.write,
            renew_at: now + pace.leases,
        }
    }

    /// Runs until all workers have ended. After an error it still empties the queue, so that no worker waits forever.
    pub(crate) async fn run(&mut self) -> Result<(), SweepError> {
        let mut result = Ok(());
        let mut open = true;
        while open {
            let wake = self.next_wake();
            let supply;
            (open, supply) = self.receive(wake).await;
            if open && !self.is_due(supply, wake) {
                continue;
            }
            if result.is_ok() {
                result = self.dispatch(open, supply).await;
                if result.is_err() {
                    self.context.stop.request();
                }
            }
            self.batch.clear();
            self.write_at = Instant::now() + self.pace.write;
        }
        result
    }

    /// Releases the remaining trials and returns the summary.
    pub(crate) async fn close(mut self) -> Result<Summary, SweepError> {
        let summary = self.claims.close(self.store).await?;
        (self.observe)(Observation::EndedElsewhere(summary.elsewhere));
        Ok(summary)
    }

    /// The time of the next action if no event arrives.
    fn next_wake(&self) -> Instant {
        match self.phase {
            Phase::Waiting { .. } => self.write_at.min(self.renew_at),
            Phase::Training | Phase::Done => self.write_at,
        }
    }

    /// Waits for events, for the workers to run out of work, or for `wake`. Returns whether any worker still runs, and
    /// the supply.
    async fn receive(&mut self, wake: Instant) -> (bool, Supply) {
        let (pool, recorded) = (&self.context.pool, self.batch.len());
        let mut open = true;
        tokio::select! {
            biased;
            received = self.events.recv_many(&mut self.batch, QUEUE) => open = received > 0,
            () = pool.idle() => {}
            () = sleep_until(wake) => {}
        }
        let idle = pool.is_idle();
        if idle {
            // Events that workers sent before they ran out of work.
            while let Ok(event) = self.events.try_recv() {
                self.batch.push(event);
            }
        }
        if let Some(new) = self.batch.get_mut(recorded..) {
            self.retries.extend(self.claims.record(new, &self.context.stop));
            new.iter().for_each(|event| (self.observe)(Observation::Event(event)));
        }
        // If other processes claim too, the next portion is claimed before this one is used up.
        let options = &self.context.options;
        let low = self.may_have_more && pool.waiting() < options.workers * options.lanes.get();
        let supply = match (idle, low) {
            (true, _) => Supply::Empty,
            (false, true) => Supply::Low,
            (false, false) => Supply::Enough,
        };
        (open, supply)
    }

    /// Whether to use the store now. Every transaction has a fixed cost, so they are not made too often.
    fn is_due(&self, supply: Supply, wake: Instant) -> bool {
        let needs_work = match supply {
            Supply::Empty => self.phase == Phase::Training,
            Supply::Low => true,
            Supply::Enough => false,
        };
        needs_work || self.claims.has_given_up() || self.batch.len() >= QUEUE || Instant::now() >= wake
    }

    /// Writes the events, claims more trials, and renews the lease, each if it is due. `open`: workers still run.
    async fn dispatch(&mut self, open: bool, supply: Supply) -> Result<(), SweepError> {
        self.write().await?;
        if let Some(check) = &mut self.check
            && let Some(checked) = check.advance(self.context, self.store).await?
        {
            (self.observe)(Observation::SharingChecked(&checked));
        }
        if open && supply == Supply::Low && !self.context.stop.requested() {
            self.refill().await?;
        }
        let ran_out = supply == Supply::Empty && self.phase == Phase::Training;
        let due = ran_out || Instant::now() >= self.renew_at;
        if open && due && self.phase != Phase::Done && !self.context.stop.requested() {
            self.renew_and_share(supply).await?;
        }
        Ok(())
    }

    /// Writes the events, and puts the trials to retry into the pool.
    async fn write(&mut self) -> Result<(), SweepError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        for file in self.store.write(&self.batch, self.environment).await? {
            trainer::checkpoint::remove(&self.context.options.checkpoints, &file);
        }
        self.batch.clear();
        self.claims.release_given_up(&self.context.pool, self.store).await?;
        self.context.pool.add(std::mem::take(&mut self.retries));
        Ok(())
    }

    /// Claims the next portion of trials.
    async fn refill(&mut self) -> Result<(), SweepError> {
        let claimed = self.claims.claim(self.store).await?;
        let branches = self.claims.accept(claimed, self.store).await?;
        self.may_have_more = !branches.is_empty();
        self.context.pool.add(branches);
        Ok(())
    }

    /// Renews the lease, takes over and releases trials, and decides what this process does next.
    async fn renew_and_share(&mut self, supply: Supply) -> Result<(), SweepError> {
        let now = Instant::now();
        // Only if all events were received before: a worker may have ended since.
        let ran_out = supply == Supply::Empty;
        if ran_out && self.context.pool.is_idle() {
            self.fail_unreported().await?;
        }
        self.phase = self.share_work(ran_out, now).await?;
        self.may_have_more = true;
        self.renew_at = now
            + match self.phase {
                Phase::Waiting { since } => self.pace.next_check(since.elapsed()),
                Phase::Training | Phase::Done => self.pace.leases,
            };
        Ok(())
    }

    /// Fails or retries the trials whose end no worker reported, because the worker itself failed.
    async fn fail_unreported(&mut self) -> Result<(), SweepError> {
        self.batch = self.claims.unreported();
        self.retries.extend(self.claims.record(&mut self.batch, &self.context.stop));
        self.write().await
    }

    /// Takes over the trials that dead and stopped processes left, and releases trials to processes that wait.
    async fn share_work(&mut self, ran_out: bool, now: Instant) -> Result<Phase, SweepError> {
        let pool = &self.context.pool;
        let idle = ran_out && pool.is_idle();
        let activity = if idle { Activity::Waiting } else { Activity::Training };
        let others = self.store.heartbeat(self.claims.sweep(), activity).await?;
        if others.dead > 0 {
            let (processes, it) = if others.dead == 1 { ("process", "it") } else { ("processes", "them") };
            tracing::warn!(
                "{} {processes} stopped renewing the lease; training the trials of {it} now",
                others.dead
            );
        }
        if let Some(ended) = others.trials_ended {
            (self.observe)(Observation::EndedElsewhere(self.claims.ended_elsewhere(ended)));
        }
        if others.dead > 0 || others.trials_left {
            let claimed = self.claims.claim(self.store).await?;
            let none = claimed.is_empty();
            let branches = self.claims.accept(claimed, self.store).await?;
            if !branches.is_empty() {
                pool.add(branches);
                return Ok(Phase::Training);
            }
            if idle && others.trials_left && none {
                return Ok(match self.phase {
                    Phase::Waiting { since } => Phase::Waiting { since },
                    Phase::Training | Phase::Done => Phase::Waiting { since: now },
                });
            }
        }
        if idle {
            pool.close();
            return Ok(Phase::Done);
        }
        if others.waiting {
            self.claims.release_to_waiting(pool, self.store).await?;
        }
        Ok(Phase::Training)
    }
}
