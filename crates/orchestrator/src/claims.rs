//! The trials of a sweep that this process has claimed: which become branches, which are retried, and how each ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use spec::event::{Event, Outcome};
use spec::trial::Trial;
use store::{Store, Unfinished};
use trainer::{Branch, Stop};

use crate::pool::Pool;
use crate::{Missing, Options, Summary, SweepError};

/// The claimed trials of this process.
pub(crate) struct Claims<'a> {
    sweep: &'a str,
    options: &'a Options,
    /// All trials that were missing at the start, by id, with their position in the sweep.
    trials: HashMap<String, (usize, Trial)>,
    /// The claimed trials that have not ended, and how often each has failed in this process.
    in_progress: BTreeMap<String, u32>,
    /// The trials that this process gave up. It keeps their leases until it ends, or another process would try them
    /// at once and fail too.
    given_up: Vec<String>,
    /// Number of trials of the sweep that had ended before `trials` was read.
    ended_before: usize,
    summary: Summary,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(
        sweep: &'a str,
        missing: Vec<Missing>,
        options: &'a Options,
        ended_before: usize,
    ) -> Self {
        let with_position = |(i, missing): (usize, Missing)| (missing.trial.id.clone(), (i, missing.trial));
        let trials = missing.into_iter().enumerate().map(with_position).collect();
        let summary = Summary::default();
        Self {
            sweep,
            options,
            trials,
            in_progress: BTreeMap::new(),
            given_up: Vec::new(),
            ended_before,
            summary,
        }
    }

    pub(crate) fn sweep(&self) -> &str {
        self.sweep
    }

    /// Number of stage groups in one claim, if other processes claim too: enough to fill the lanes of all workers,
    /// and the same number to wait.
    pub(crate) fn portion(&self) -> usize {
        2 * self.options.workers * self.options.lanes.get()
    }

    /// Claims a portion of trials.
    pub(crate) async fn claim(&self, store: &mut Store) -> Result<Vec<Unfinished>, SweepError> {
        Ok(store.claim(self.sweep, false, self.portion()).await?)
    }

    /// Makes branches of the claimed trials of this plan. Releases all others: they are from a changed file of this
    /// sweep, and the process that runs that file trains them.
    pub(crate) async fn accept(
        &mut self,
        claimed: Vec<Unfinished>,
        store: &mut Store,
    ) -> Result<Vec<Branch>, SweepError> {
        let (known, foreign): (Vec<_>, Vec<_>) =
            claimed.into_iter().partition(|trial| self.trials.contains_key(&trial.trial_id));
        if !foreign.is_empty() {
            let ids: Vec<String> = foreign.into_iter().map(|trial| trial.trial_id).collect();
            store.release(&ids).await?;
        }
        Ok(self.branches(known))
    }

    /// Trials that stopped at the same checkpoint resume together. All new trials start together.
    fn branches(&mut self, mut claimed: Vec<Unfinished>) -> Vec<Branch> {
        claimed.sort_by_key(|claimed| self.trials.get(&claimed.trial_id).map(|(position, _)| *position));
        let mut starts = Vec::new();
        let mut stopped: BTreeMap<(String, u64), Vec<Trial>> = BTreeMap::new();
        for Unfinished { trial_id, checkpoint } in claimed {
            let Some((_, trial)) = self.trials.get(&trial_id).cloned() else { continue };
            self.in_progress.insert(trial_id, 0);
            match checkpoint {
                None => starts.push(trial),
                Some(at) => stopped.entry(at).or_default().push(trial),
            }
        }
        let Options { share, checkpoints, .. } = self.options;
        let mut all = Branch::initial(starts, *share);
        for ((file, step), trials) in stopped {
            all.extend(Branch::resumed(trials, *share, step, checkpoints.clone(), file));
        }
        all
    }

    /// Counts the ends among these events. Returns the trials to retry: their end events become stops, so that no
    /// other process counts them as failed.
    pub(crate) fn record(&mut self, events: &mut [Event], stop: &Stop) -> Vec<Branch> {
        let mut retries = Vec::new();
        for event in events {
            let Event::Ended { trial_id, outcome, .. } = event else { continue };
            match &*outcome {
                Outcome::Done(_) => self.summary.done += 1,
                Outcome::Diverged { .. } => self.summary.diverged += 1,
                Outcome::Failed { reason } => match self.trial_to_retry(trial_id, stop) {
                    Some(trial) => {
                        tracing::warn!("retrying trial {trial_id}: {reason}");
                        // Separately: another trial may have caused the failure.
                        retries.extend(Branch::initial(vec![trial], false));
                        *outcome = Outcome::Stopped { steps: 0 };
                        continue;
                    }
                    None => self.give_up(trial_id),
                },
                Outcome::GivenUp { .. } => self.give_up(trial_id),
                Outcome::Stopped { .. } => continue,
            }
            self.in_progress.remove(trial_id);
        }
        retries
    }

    /// The failed trial, if it has attempts left. Counts the new attempt.
    fn trial_to_retry(&mut self, trial_id: &str, stop: &Stop) -> Option<Trial> {
        let failures =
            self.in_progress.get_mut(trial_id).filter(|failures| **failures < self.options.retries)?;
        let (_, trial) = self.trials.get(trial_id)?;
        if stop.requested() {
            return None;
        }
        *failures += 1;
        Some(trial.clone())
    }

    fn give_up(&mut self, trial_id: &str) {
        self.summary.failed += 1;
        self.given_up.push(trial_id.to_owned());
    }

    /// End events for the trials that are still in progress when nothing is left to train: their worker failed
    /// without reporting them.
    pub(crate) fn unreported(&self) -> Vec<Event> {
        let reason = "the worker that trained it failed";
        let end = |trial_id: &String| Event::Ended {
            trial_id: trial_id.clone(),
            outcome: Outcome::Failed { reason: reason.to_owned() },
            at: trainer::now(),
        };
        self.in_progress.keys().map(end).collect()
    }

    /// Number of trials that other processes have ended since this one began, if `ended` trials of the sweep have
    /// ended.
    pub(crate) fn ended_elsewhere(&self, ended: usize) -> usize {
        let ours = self.summary.done + self.summary.diverged;
        let left = self.trials.len().saturating_sub(ours);
        ended.saturating_sub(self.ended_before + ours).min(left)
    }

    /// Releases trials that wait in the pool, for a process without work.
    pub(crate) async fn release_to_waiting(
        &mut self,
        pool: &Pool,
        store: &mut Store,
    ) -> Result<(), SweepError> {
        let given = pool.give_away(self.options.workers, self.portion());
        let ids: Vec<String> = given.iter().flat_map(Branch::trial_ids).collect();
        if let Err(error) = store.release(&ids).await {
            pool.add(given);
            return Err(error.into());
        }
        for id in &ids {
            self.in_progress.remove(id);
        }
        Ok(())
    }

    /// Releases the remaining trials and returns the summary.
    pub(crate) async fn close(mut self, store: &mut Store) -> Result<Summary, SweepError> {
        let left = self.in_progress.keys().cloned();
        let to_release: Vec<String> = self.given_up.into_iter().chain(left).collect();
        if !to_release.is_empty() {
            store.release(&to_release).await?;
        }
        // All other trials have ended, or another process failed on them or released them.
        let ended = count_ended(self.sweep, self.trials.keys().map(String::as_str), store).await?;
        let Summary { done, diverged, failed, .. } = self.summary;
        self.summary.stopped = self.in_progress.len();
        let ours = done + diverged + failed + self.summary.stopped;
        self.summary.elsewhere =
            ended.saturating_sub(done + diverged).min(self.trials.len().saturating_sub(ours));
        Ok(self.summary)
    }
}

/// Number of these trials that have ended, whoever trained them.
pub(crate) async fn count_ended<'a>(
    sweep: &str,
    trials: impl Iterator<Item = &'a str>,
    store: &mut Store,
) -> Result<usize, SweepError> {
    let left = store.unfinished(sweep).await?;
    let left: HashSet<&str> = left.iter().map(|trial| trial.trial_id.as_str()).collect();
    Ok(trials.filter(|id| !left.contains(id)).count())
}
