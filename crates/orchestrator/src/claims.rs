//! The trials of a sweep that this process has claimed: which become branches, which are retried, and how each ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use spec::event::{Event, Outcome};
use spec::trial::{Program, Trial};
use store::{Store, Unfinished};
use trainer::{Branch, Stop};

use crate::pool::Pool;
use crate::starts::Starts;
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
    starts: Starts,
    /// A program was given up, and its trials are still in the pool.
    has_given_up: bool,
    /// The trials that were released because their program was given up.
    not_started: HashSet<String>,
    /// For each reason of a failure, the trial that was the first to be retried because of it.
    retried_for: HashMap<String, String>,
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
            starts: Starts::default(),
            has_given_up: false,
            not_started: HashSet::new(),
            retried_for: HashMap::new(),
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
    /// sweep, and the process that runs that file trains them. Also releases the trials of programs that were given up.
    pub(crate) async fn accept(
        &mut self,
        claimed: Vec<Unfinished>,
        store: &mut Store,
    ) -> Result<Vec<Branch>, SweepError> {
        let (wanted, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|trial| {
            self.trials.contains_key(&trial.trial_id) && !self.is_given_up(&trial.trial_id)
        });
        if !others.is_empty() {
            let ids: Vec<String> = others.into_iter().map(|trial| trial.trial_id).collect();
            store.release(&ids).await?;
            self.not_started.extend(ids.into_iter().filter(|id| self.trials.contains_key(id)));
        }
        Ok(self.branches(wanted))
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
            self.watch_start(event);
            let Event::Ended { trial_id, outcome, .. } = event else { continue };
            match &*outcome {
                Outcome::Done(_) => self.summary.done += 1,
                Outcome::Diverged { .. } => self.summary.diverged += 1,
                Outcome::Failed { reason } => match self.trial_to_retry(trial_id, stop) {
                    Some(trial) => {
                        self.warn_of_retry(trial_id, reason);
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

    /// Counts the starts of programs that fail before they report a step.
    fn watch_start(&mut self, event: &Event) {
        match event {
            Event::Stage { stage, trial_ids, .. } => {
                let of_program = |id: &&String| program(&self.trials, id).is_some();
                trial_ids
                    .first()
                    .filter(of_program)
                    .into_iter()
                    .for_each(|id| self.starts.started(*stage, id));
            }
            Event::Steps { stage, .. } => {
                let first = self.starts.first_steps(*stage);
                let program = first.and_then(|id| program(&self.trials, &id));
                program.into_iter().for_each(|program| self.starts.works(program));
            }
            Event::Ended { trial_id, outcome, .. } => {
                let program = program(&self.trials, trial_id);
                if let Some((program, reason)) = program.zip(outcome.error()) {
                    self.has_given_up |= self.starts.failed(program, trial_id, &reason);
                }
            }
            _ => {}
        }
    }

    /// Many trials may fail for one reason: only the first one is a warning.
    fn warn_of_retry(&mut self, trial_id: &str, reason: &str) {
        let first = self.retried_for.entry(reason.to_owned()).or_insert_with(|| trial_id.to_owned());
        if first == trial_id {
            tracing::warn!("retrying trial {trial_id}: {reason}");
        } else {
            tracing::debug!("retrying trial {trial_id}: {reason}");
        }
    }

    /// Whether the program of a trial was given up.
    fn is_given_up(&self, trial_id: &str) -> bool {
        program(&self.trials, trial_id).is_some_and(|program| self.starts.is_given_up(program))
    }

    /// Whether [`Claims::release_given_up`] has something to do.
    pub(crate) fn has_given_up(&self) -> bool {
        self.has_given_up
    }

    /// Releases the trials of programs that were given up and that were not started yet. The others keep their retries.
    pub(crate) async fn release_given_up(
        &mut self,
        pool: &Pool,
        store: &mut Store,
    ) -> Result<(), SweepError> {
        if !std::mem::take(&mut self.has_given_up) {
            return Ok(());
        }
        let is_new = |id: &String| self.in_progress.get(id) == Some(&0);
        let branches =
            pool.take_all(|branch| branch.trial_ids().iter().any(|id| is_new(id) && self.is_given_up(id)));
        let ids: Vec<String> = branches.iter().flat_map(Branch::trial_ids).collect();
        store.release(&ids).await?;
        for id in ids {
            self.in_progress.remove(&id);
            self.not_started.insert(id);
        }
        Ok(())
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
        let rest = self.trials.len().saturating_sub(ours);
        self.summary.elsewhere = ended.saturating_sub(done + diverged).min(rest);
        self.summary.not_started = self.not_started.len().min(rest - self.summary.elsewhere);
        Ok(self.summary)
    }
}

/// The program that trains a trial.
fn program<'a>(trials: &'a HashMap<String, (usize, Trial)>, id: &str) -> Option<&'a Program> {
    trials.get(id)?.1.config.task.program()
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
