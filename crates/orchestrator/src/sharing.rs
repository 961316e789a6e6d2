//! The check that sharing steps does not change the results of a program: one trial that shares steps is also trained separately, and its
//! losses and other metrics are compared. If they differ, it is trained separately once more: two runs of a program may differ by
//! themselves. Other metrics, which may be times, count only where the two separate runs agree in every bit.

use std::path::{Path, PathBuf};

use serde::Serialize;
use spec::trial::Trial;
use store::Store;
use trainer::Branch;

use crate::SweepError;
use crate::losses::{Difference, Losses};
use crate::worker::WorkerContext;

/// Sharing is refused if it changes the losses by more than this multiple of what two separate runs differ by.
const MOST: f64 = 3.0;

/// File name of a passed check, in the folder of its trial.
const RECORD: &str = "sharing.json";

/// The trial to check sharing with, and the first step that it does not share: the one that leaves another trial first. `None` if no
/// trials of a program share steps, or if one of them was checked.
pub fn trial_to_check<'a>(trials: &[&'a Trial], folder: &Path) -> Option<(&'a Trial, u64)> {
    let shares = |trial: &&Trial| trial.config.task.program().is_some_and(|program| program.options.share);
    // Most sweeps have no such program: their trials need not be grouped.
    if !trials.iter().any(shares) {
        return None;
    }
    let (at, first) = spec::share::first_fork(trials)?;
    let is_checked = |trial: &&Trial| record(folder, &trial.id).exists();
    if trials.iter().any(is_checked) {
        return None;
    }
    trials.get(at).map(|trial| (*trial, first))
}

fn record(folder: &Path, trial_id: &str) -> PathBuf {
    folder.join(trial_id).join(RECORD)
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SharingChecked {
    /// The trial that was also trained separately.
    pub trial_id: String,
    /// The first step that it does not share.
    pub first: u64,
    /// How its losses differ from those of the separate run; `None`: in no bit.
    pub difference: Option<Difference>,
    /// How two separate runs differ. `None`: in no bit, or there is no second run because there is no difference.
    pub own: Option<Difference>,
    /// Other metrics that differ, although two separate runs agree in them.
    pub metrics: Vec<String>,
}

impl SharingChecked {
    /// How the losses and other metrics differ, as the end of a sentence about losses.
    pub fn words(&self) -> String {
        let losses = self.of_losses();
        if self.metrics.is_empty() {
            return losses;
        }
        let names: Vec<String> = self.metrics.iter().map(|name| format!("`{name}`")).collect();
        format!("{losses}, but these metrics differ, in which two separate runs agree: {}", names.join(", "))
    }

    fn of_losses(&self) -> String {
        let Some(Difference { steps, different, at, mean, largest, .. }) = self.difference else {
            return "in no bit".to_owned();
        };
        let at = at.map_or(String::new(), |at| format!("; the first at step {at}"));
        let own = self.own.map_or("do not differ".to_owned(), |own| {
            format!("differ by {:.1e} on average and {:.1e} at most", own.mean, own.largest)
        });
        format!(
            "in {different} of {steps} steps{at}, and from step {} on, which it does not share, by {mean:.1e} on average and \
             {largest:.1e} at most; two separate runs {own}",
            self.first
        )
    }

    /// Whether sharing changes the losses or other metrics by more than they change from run to run.
    fn is_refused(&self) -> bool {
        if !self.metrics.is_empty() {
            return true;
        }
        let Some(difference) = self.difference else { return false };
        let own = self.own.unwrap_or_default();
        difference.mean > MOST * own.mean || (difference.unpaired > 0 && own.unpaired == 0)
    }
}

/// A check that is in progress.
pub(crate) struct SharingCheck {
    trial: Trial,
    first: u64,
    shared: Option<Losses>,
    /// The separate runs that have ended; an error is why one failed.
    separate: Vec<Result<Losses, String>>,
    /// Number of separate runs that were started.
    started: usize,
    is_over: bool,
}

impl SharingCheck {
    pub(crate) fn new(trial: Trial, first: u64) -> Self {
        Self { trial, first, shared: None, separate: Vec::new(), started: 0, is_over: false }
    }

    /// A branch that trains the trial separately.
    pub(crate) fn branch(&mut self) -> Branch {
        self.started += 1;
        Branch::check(self.trial.clone())
    }

    /// Compares the runs that have ended. Returns the result once, and records it.
    ///
    /// # Errors
    /// Sharing is refused, or the store can't be read.
    pub(crate) async fn advance(
        &mut self,
        context: &WorkerContext,
        store: &mut Store,
    ) -> Result<Option<SharingChecked>, SweepError> {
        self.separate.append(&mut context.separate());
        // Nothing is new before each started run has ended.
        if self.is_over || self.separate.len() < self.started {
            return Ok(None);
        }
        if self.shared.is_none() {
            self.shared = self.stored(store).await?;
        }
        let Some(shared) = &self.shared else { return Ok(None) };
        let mut runs = Vec::new();
        for run in &self.separate {
            match run {
                Ok(losses) => runs.push(losses),
                Err(reason) => {
                    tracing::warn!(
                        "can't check whether sharing steps changes the results: trial {} failed separately: {reason}",
                        self.trial.id
                    );
                    self.is_over = true;
                    return Ok(None);
                }
            }
        }
        let Some(checked) = self.compared(shared, &runs) else {
            let again = self.branch();
            context.pool.add(vec![again]);
            return Ok(None);
        };
        self.is_over = true;
        if checked.is_refused() {
            return Err(SweepError::Sharing(Box::new(checked)));
        }
        write(&record(&context.options.trials, &checked.trial_id), &checked)?;
        Ok(Some(checked))
    }

    /// The values that the trial reported while it shared steps. `None` if it has not ended.
    async fn stored(&self, store: &mut Store) -> Result<Option<Losses>, SweepError> {
        let Some(rows) = store.losses_of_ended(&self.trial.id).await? else { return Ok(None) };
        let mut all = Losses::of_rows(rows);
        for (name, step, value) in store.measured(&self.trial.id).await? {
            all.measured(&name, step.unsigned_abs(), value);
        }
        Ok(Some(all))
    }

    /// `None` if another separate run is needed.
    fn compared(&self, shared: &Losses, runs: &[&Losses]) -> Option<SharingChecked> {
        let first = runs.first()?;
        let difference = shared.difference(first, self.first);
        let metrics = shared.differing_metrics(first);
        let (own, metrics) = match runs.get(1) {
            Some(second) => {
                let vary = first.differing_metrics(second);
                let metrics = metrics.difference(&vary).map(|name| (*name).to_owned()).collect();
                (first.difference(second, self.first), metrics)
            }
            None if difference.is_some() || !metrics.is_empty() => return None,
            None => (None, Vec::new()),
        };
        Some(SharingChecked { trial_id: self.trial.id.clone(), first: self.first, difference, own, metrics })
    }
}

fn write(path: &Path, checked: &SharingChecked) -> Result<(), SweepError> {
    let written = || -> std::io::Result<()> {
        let Some(dir) = path.parent() else { return Ok(()) };
        std::fs::create_dir_all(dir)?;
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        serde_json::to_writer_pretty(&mut file, checked)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    written().map_err(|error| SweepError::Record { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(all: &[f64]) -> Losses {
        Losses::of_steps((0..).zip(all).map(|(step, loss)| (step, [*loss, f64::NAN])))
    }

    fn refused(shared: &[f64], separate: &[f64], again: &[f64]) -> bool {
        let (shared, separate, again) = (losses(shared), losses(separate), losses(again));
        let (difference, own) = (shared.difference(&separate, 1), separate.difference(&again, 1));
        SharingChecked { trial_id: String::new(), first: 1, difference, own, metrics: Vec::new() }
            .is_refused()
    }

    #[test]
    fn a_deterministic_program_must_have_equal_bits() {
        let run = [3.0, 2.0, 1.0];
        assert!(!refused(&run, &run, &run));
        assert!(refused(&[3.0, 2.0, 1.0 + 1e-15], &run, &run));
    }

    #[test]
    fn differences_are_compared_with_those_of_two_separate_runs() {
        let (run, again) = ([3.0, 2.0, 1.0], [3.0, 2.001, 0.999]);
        assert!(!refused(&[3.0, 1.999, 1.002], &run, &again));
        assert!(refused(&[3.0, 1.9, 1.1], &run, &again));
        assert!(refused(&[3.0, 2.0], &run, &again), "a run that ends early");
        // Before the trial diverges from others, its steps are those of one program.
        assert!(!refused(&[4.0, 1.999, 1.002], &run, &again));
    }

    #[test]
    fn losses_that_nobody_reported_are_equal() {
        let run = [3.0, f64::NAN, 1.0];
        assert_eq!(losses(&run).difference(&losses(&run), 0), None);
        let found = losses(&run).difference(&losses(&[3.0, f64::NAN, 2.0]), 0).expect("a difference");
        assert_eq!((found.different, found.at, found.largest), (1, Some(2), 1.0));
    }
}
