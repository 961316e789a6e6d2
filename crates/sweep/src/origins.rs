//! Warnings before stored results are reused: results of another version of the arithmetic, and results of a program
//! that loaded a file that has changed since.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schedule::problem::{counted, listed};
use spec::origin::Origins;
use spec::{Plan, Spec};
use store::{Reader, Status, StoreError, TrialRecord};

use crate::stored::values;
use crate::{Context, Error, rounds};

/// The stored results of a sweep that is about to be trained.
#[derive(Debug)]
pub struct Stored {
    /// The plan with all decisions that follow from the stored results.
    pub plan: Plan,
    /// Ids of its trials that have ended.
    pub ended: HashSet<String>,
    /// The versions of the arithmetic and the loaded files behind these results.
    origins: Vec<Origins>,
    /// Configuration, steps and wall time in milliseconds of stored program runs.
    pub times: Vec<(String, i64, i64)>,
    /// Number of results that leave the sweep because it is trained from a file without any of its trials.
    pub replaced: usize,
}

/// Reads the stored results of a plan. A store that does not exist or can't be read counts as empty; the writer of
/// the store reports the error.
///
/// # Errors
/// The opened store can't be read, or the decisions that follow from its results can't be trained.
pub async fn stored(spec: &Spec, plan: &Plan, context: &Context) -> Result<Stored, Error> {
    let mut reader = match Reader::open(&context.store).await {
        Ok(reader) => reader,
        Err(error) => {
            if !matches!(error, StoreError::Missing { .. }) {
                tracing::debug!("can't read the stored results: {error}");
            }
            return Ok(Stored {
                plan: plan.clone(),
                ended: HashSet::new(),
                origins: Vec::new(),
                times: Vec::new(),
                replaced: 0,
            });
        }
    };
    let rows = reader.results(&plan.name).await?;
    let values = values(&mut reader, &plan.name, &spec.metric).await?;
    let plan = rounds::decided(spec, plan, &rows, &values)?;
    let ids: Vec<String> = plan.trials.iter().map(|trial| trial.id.clone()).collect();
    let ended = reader.ended_trials(&ids).await?;
    let origins = reader.origins_by_id(&ids).await?;
    let is_same_file = reader.file_text(&plan.name).await? == plan.text;
    let replaced = if is_same_file { 0 } else { replaced(&rows, &ids) };
    Ok(Stored { ended, origins, times: reader.program_times().await?, replaced, plan })
}

/// Number of stored results, if no stored trial is one of these. A file that was edited to add or remove something keeps some.
fn replaced(rows: &[TrialRecord], ids: &[String]) -> usize {
    let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
    if rows.iter().any(|row| ids.contains(row.trial_id.as_str())) {
        return 0;
    }
    let ended = rows.iter().filter(|row| matches!(row.status, Status::Done | Status::Diverged));
    ended.map(|row| row.trial_id.as_str()).collect::<HashSet<_>>().len()
}

impl Stored {
    /// A note if the results of another file leave the sweep.
    pub fn note(&self) -> Option<String> {
        let name = &self.plan.name;
        (self.replaced > 0).then(|| {
            format!(
                "the sweep `{name}` was last trained from another file, or with other values throughout: its {} stay in the store, but \
                 `sweep rank {name}` will show the trials of this file only; give this file another `name` to keep both",
                counted(self.replaced, "result")
            )
        })
    }

    /// The warnings, as sentences.
    pub fn warnings(&self) -> Vec<String> {
        let lines = [other_bits(&self.origins), changed_files(&self.origins)];
        let remedy = format!("`sweep rm {}` removes the stored results of this sweep", self.plan.name);
        lines.into_iter().flatten().map(|line| format!("{line}; {remedy}")).collect()
    }
}

/// A warning about results of another version of the arithmetic than this program's.
fn other_bits(found: &[Origins]) -> Option<String> {
    let other = |of: &&Origins| of.bits.is_some_and(|bits| bits != i64::from(trainer::BITS));
    let others: Vec<&Origins> = found.iter().filter(other).collect();
    let trials: i64 = others.iter().map(|of| of.trials).sum();
    let versions: BTreeSet<i64> = others.iter().filter_map(|of| of.bits).collect();
    let versions = versions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    (trials > 0).then(|| {
        format!(
            "{} from another version of the arithmetic (version {versions}, this program has {}): they are kept \
             and ranked together with new ones, but can't be reproduced to the bit",
            counted(trials, "stored result"),
            trainer::BITS
        )
    })
}

/// A warning about results of a program that loaded files that have changed since.
fn changed_files(found: &[Origins]) -> Option<String> {
    let mut changed: BTreeMap<&str, i64> = BTreeMap::new();
    let mut known: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for of in found {
        for (name, hash) in &of.loaded {
            let now = known.entry(name).or_insert_with(|| program::hash(name));
            if now.as_ref() != Some(hash) {
                *changed.entry(name).or_default() += of.trials;
            }
        }
    }
    let runs = changed.values().max().copied().unwrap_or(0);
    let names = listed(changed.keys().copied());
    (runs > 0).then(|| {
        format!(
            "{names} changed since {} loaded it, and these runs are not trained again: a file that a program imports is part of \
             a trial only if `trainer.files` names it",
            counted(runs, "stored run")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bits: Option<i64>, loaded: &[(&str, &str)], trials: i64) -> Origins {
        let loaded = loaded.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect();
        Origins { bits, loaded, trials }
    }

    #[test]
    fn results_of_the_current_version_give_no_warning() {
        let now = i64::from(trainer::BITS);
        for found in [vec![], vec![of(Some(now), &[], 3)], vec![of(None, &[], 3), of(Some(now), &[], 2)]] {
            assert_eq!((other_bits(&found), changed_files(&found)), (None, None));
        }
    }

    #[test]
    fn other_versions_and_changed_files_give_warnings() {
        let now = i64::from(trainer::BITS);
        let found = [of(Some(now), &[], 3), of(Some(now + 1), &[], 4)];
        let warning = other_bits(&found).expect("a warning");
        assert!(
            warning.starts_with("4 stored results")
                && warning.contains(&format!("(version {}, this program", now + 1)),
            "{warning}"
        );
        let found = [of(None, &[("no such model.py", "a")], 2), of(None, &[("no such model.py", "b")], 1)];
        let warning = changed_files(&found).expect("a warning");
        assert!(warning.starts_with("`no such model.py` changed since 3 stored runs"), "{warning}");
    }
}
