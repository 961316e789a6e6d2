//! A worker process: it has no sweep file, joins the sweeps of a store and trains for them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use orchestrator::Summary;
use spec::{Plan, Spec};
use store::{Reader, Store, StoreError};

use crate::error::joined_messages;
use crate::event::Observer;
use crate::plan::{self, Aim};
use crate::train::{Training, train_rounds, with_store};
use crate::{Context, Error, lookup};

/// Checks that there is a sweep to join. Returns the name of the requested one, if any.
///
/// # Errors
/// The store or the sweep does not exist.
pub async fn find(name: Option<String>, context: &Context) -> Result<Option<String>, Error> {
    let mut reader = match Reader::open(&context.store).await {
        Ok(reader) => reader,
        // Opening the store for writing reports all other errors.
        Err(error @ StoreError::Missing { .. }) => return Err(error.into()),
        Err(_) => return Ok(name),
    };
    let found = lookup::sweep(&mut reader, name.as_deref(), context).await?;
    Ok(name.map(|_| found))
}

/// Trains for the sweeps of a store, or for the named one, until there has been nothing to train for `wait`.
///
/// # Errors
/// The errors of [`crate::train::run`].
pub async fn run(
    training: &Training<'_>,
    sweep: Option<&str>,
    wait: Duration,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    with_store(training, async |store| Worker::new(training, sweep, wait).work(store, observe).await).await
}

/// A worker and the sweeps that it has visited.
struct Worker<'a> {
    training: &'a Training<'a>,
    sweep: Option<&'a str>,
    wait: Duration,
    /// Sweeps that were visited. Each is visited at least once: the process that trained the last trial of a round
    /// may have died before it made the next decision.
    visited: BTreeSet<String>,
    /// Sweeps that this process could not train and does not visit again. Other processes may train them.
    skipped: BTreeSet<String>,
}

impl<'a> Worker<'a> {
    fn new(training: &'a Training<'a>, sweep: Option<&'a str>, wait: Duration) -> Self {
        Self { training, sweep, wait, visited: BTreeSet::new(), skipped: BTreeSet::new() }
    }

    /// Trains sweep after sweep while there are any.
    async fn work(&mut self, store: &mut Store, observe: &mut Observer<'_>) -> Result<Summary, Error> {
        let mut all = Summary::default();
        let mut since = Instant::now();
        while !self.training.stop.requested() {
            let Some((name, text)) = self.next(store).await? else {
                if since.elapsed() >= self.wait {
                    break;
                }
                self.pause().await;
                store.renew_lease().await?;
                continue;
            };
            let Some((spec, plan)) = self.plan_of(&name, &text, store).await? else {
                self.skipped.insert(name);
                continue;
            };
            let summary = train_rounds(self.training, (&spec, plan), None, store, observe).await?;
            if summary.failed + summary.stopped + summary.not_started > 0 {
                self.skipped.insert(name);
            }
            if summary != Summary::default() {
                since = Instant::now();
            }
            all += summary;
        }
        Ok(all)
    }

    /// The next sweep to train, with the text of its file.
    async fn next(&mut self, store: &mut Store) -> Result<Option<(String, String)>, Error> {
        let wanted =
            |name: &str| self.sweep.is_none_or(|sweep| sweep == name) && !self.skipped.contains(name);
        let sweeps = store.sweeps().await?;
        let next = sweeps
            .into_iter()
            .find(|(name, _, open)| wanted(name) && (*open || !self.visited.contains(name)))
            .map(|(name, text, _)| (name, text));
        self.visited.extend(next.iter().map(|(name, _)| name.clone()));
        Ok(next)
    }

    /// The plan of a sweep. `None` if its file is invalid or gives other trials on this machine than where the sweep
    /// was started.
    async fn plan_of(
        &self,
        name: &str,
        text: &str,
        store: &mut Store,
    ) -> Result<Option<(Spec, Plan)>, Error> {
        let (spec, plan) = match plan::of_text(text, name, Aim::LookUp, self.training.context) {
            Ok(read) => read,
            Err(problems) => {
                tracing::warn!(
                    "skipping the sweep `{name}`: its file is invalid on this machine: {}",
                    joined_messages(&problems)
                );
                return Ok(None);
            }
        };
        if !same_trials(&plan, store).await? {
            tracing::warn!(
                "skipping the sweep `{name}`: files of its program or data, tasks, or weights differ on this machine from those \
                 where it was started"
            );
            return Ok(None);
        }
        Ok(Some((spec, plan)))
    }

    /// Waits for a short time, less than a lease, or until a stop.
    async fn pause(&self) {
        let until = Instant::now() + (self.training.options.lease / 10).min(Duration::from_secs(2));
        while Instant::now() < until && !self.training.stop.requested() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether the store has all trials of a plan. With other files the plan has other trials, which would replace the
/// stored ones.
async fn same_trials(plan: &Plan, store: &mut Store) -> Result<bool, Error> {
    let rows = store.results(&plan.name).await?;
    let stored: BTreeSet<&str> = rows.iter().map(|row| row.trial_id.as_str()).collect();
    Ok(plan.trials.iter().all(|trial| stored.contains(trial.id.as_str())))
}
