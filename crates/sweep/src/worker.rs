//! A process without a sweep file: it joins the sweeps of a store and trains for them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use orchestrator::Summary;
use spec::{Plan, Spec};
use store::{Reader, Store, StoreError};

use crate::error::words;
use crate::event::Observer;
use crate::plan::{self, Aim};
use crate::train::{Training, joined, train_rounds};
use crate::{Context, Error, named};

/// The name of the sweep that is meant, if one is; there must be something to join.
///
/// # Errors
/// There is no store, or no such sweep.
pub async fn find(word: Option<String>, context: &Context) -> Result<Option<String>, Error> {
    let mut reader = match Reader::open(&context.store).await {
        Ok(reader) => reader,
        // What else is wrong is said by who wants to write.
        Err(error @ StoreError::Missing { .. }) => return Err(error.into()),
        Err(_) => return Ok(word),
    };
    let found = named::sweep(&mut reader, word.as_deref(), context).await?;
    Ok(word.map(|_| found))
}

/// Trains for the sweeps of a store, or for the one that is named, until there was nothing to train for as long as `wait`.
///
/// # Errors
/// As [`crate::train::run`].
pub async fn run(
    training: &Training<'_>,
    sweep: Option<&str>,
    wait: Duration,
    observe: &mut Observer<'_>,
) -> Result<Summary, Error> {
    joined(training, async |store| Worker::new(training, sweep, wait).work(store, observe).await).await
}

/// What a worker knows of the sweeps that it has seen.
struct Worker<'a> {
    training: &'a Training<'a>,
    sweep: Option<&'a str>,
    wait: Duration,
    /// Each sweep is looked into once at least: whoever trained the last trial of a round may have died before it saw what follows.
    seen: BTreeSet<String>,
    /// What this process could not train others may; it does not come back to it.
    left: BTreeSet<String>,
}

impl<'a> Worker<'a> {
    fn new(training: &'a Training<'a>, sweep: Option<&'a str>, wait: Duration) -> Self {
        Self { training, sweep, wait, seen: BTreeSet::new(), left: BTreeSet::new() }
    }

    /// Trains sweep after sweep, as long as there are any.
    async fn work(&mut self, store: &mut Store, observe: &mut Observer<'_>) -> Result<Summary, Error> {
        let mut all = Summary::default();
        let mut since = Instant::now();
        while !self.training.stop.requested() {
            let Some((name, text)) = self.next(store).await? else {
                if since.elapsed() >= self.wait {
                    break;
                }
                self.pause().await;
                store.sign_of_life().await?;
                continue;
            };
            let Some((spec, plan)) = self.usable(&name, &text, store).await? else {
                self.left.insert(name);
                continue;
            };
            let summary = train_rounds(self.training, (&spec, plan), None, store, observe).await?;
            if summary.failed > 0 || summary.stopped > 0 {
                self.left.insert(name);
            }
            if summary != Summary::default() {
                since = Instant::now();
            }
            all += summary;
        }
        Ok(all)
    }

    /// The next sweep to train for, with the text of its file.
    async fn next(&mut self, store: &mut Store) -> Result<Option<(String, String)>, Error> {
        let wanted = |name: &str| self.sweep.is_none_or(|sweep| sweep == name) && !self.left.contains(name);
        let sweeps = store.sweeps().await?;
        let next = sweeps
            .into_iter()
            .find(|(name, _, open)| wanted(name) && (*open || !self.seen.contains(name)))
            .map(|(name, text, _)| (name, text));
        self.seen.extend(next.iter().map(|(name, _)| name.clone()));
        Ok(next)
    }

    /// The plan of a sweep, where its file means here what it meant where the sweep was started.
    async fn usable(&self, name: &str, text: &str, store: &mut Store) -> Result<Option<(Spec, Plan)>, Error> {
        let (spec, plan) = match plan::of_text(text, name, Aim::LookUp, self.training.context) {
            Ok(read) => read,
            Err(problems) => {
                tracing::warn!("the file of the sweep `{name}` can't be used here: {}", words(&problems));
                return Ok(None);
            }
        };
        if !same_trials(&plan, store).await? {
            tracing::warn!(
                "what the sweep `{name}` is made of (the files of its program or data, tasks, weights) are other ones here than \
                 where it was started; this worker leaves it alone"
            );
            return Ok(None);
        }
        Ok(Some((spec, plan)))
    }

    /// Waits a while, and less than a lease; a stop ends it.
    async fn pause(&self) {
        let until = Instant::now() + (self.training.options.lease / 10).min(Duration::from_secs(2));
        while Instant::now() < until && !self.training.stop.requested() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Whether the trials of a plan are those that the store has: with other files they are others, and would take their place.
async fn same_trials(plan: &Plan, store: &mut Store) -> Result<bool, Error> {
    let rows = store.results(&plan.name).await?;
    let stored: BTreeSet<&str> = rows.iter().map(|row| row.trial_id.as_str()).collect();
    Ok(plan.trials.iter().all(|trial| stored.contains(trial.id.as_str())))
}
