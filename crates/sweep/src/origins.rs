//! What a person should know of stored results before they are reused: those of another version of the arithmetic, and those of a
//! program that loaded a file that is another one now.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use schedule::problem::listed;
use spec::origin::Origins;
use spec::{Plan, Spec};
use store::{Reader, StoreError};

use crate::{Context, Error, rounds};

/// What is stored of a sweep that is about to be trained.
#[derive(Debug)]
pub struct Stored {
    /// The plan with all that follows from the stored results.
    pub plan: Plan,
    /// Its trials that are over.
    pub over: HashSet<String>,
    /// Which program trained these.
    origins: Vec<Origins>,
    /// Configuration, steps and milliseconds of stored runs of programs.
    pub times: Vec<(String, i64, i64)>,
}

/// Looks up what is stored of a plan. A store that is not there, or can't be read, has nothing: whoever writes into it says why.
///
/// # Errors
/// The store was opened and can't be read further, or what follows from its results can't be trained.
pub async fn look(spec: &Spec, plan: &Plan, context: &Context) -> Result<Stored, Error> {
    let mut reader = match Reader::open(&context.store).await {
        Ok(reader) => reader,
        Err(error) => {
            if !matches!(error, StoreError::Missing { .. }) {
                tracing::debug!("no look at what is stored: {error}");
            }
            return Ok(Stored {
                plan: plan.clone(),
                over: HashSet::new(),
                origins: Vec::new(),
                times: Vec::new(),
            });
        }
    };
    let rows = reader.results(&plan.name).await?;
    let plan = rounds::decided(spec, plan, &rows)?;
    let ids: Vec<String> = plan.trials.iter().map(|trial| trial.id.clone()).collect();
    let over = reader.over(&ids).await?;
    let origins = reader.origins_by_id(&ids).await?;
    Ok(Stored { over, origins, times: reader.program_times().await?, plan })
}

impl Stored {
    /// What a person should know before any stored result is reused, in words.
    pub fn warnings(&self) -> Vec<String> {
        let lines = [other_bits(&self.origins), changed_files(&self.origins)];
        let remedy = format!("`sweep rm {}` removes what is stored of this sweep", self.plan.name);
        lines.into_iter().flatten().map(|line| format!("{line}; {remedy}")).collect()
    }
}

/// Results of another version of the arithmetic than this program's.
fn other_bits(found: &[Origins]) -> Option<String> {
    let other = |of: &&Origins| of.bits.is_some_and(|bits| bits != i64::from(trainer::BITS));
    let others: Vec<&Origins> = found.iter().filter(other).collect();
    let trials: i64 = others.iter().map(|of| of.trials).sum();
    let versions: BTreeSet<i64> = others.iter().filter_map(|of| of.bits).collect();
    let versions = versions.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    (trials > 0).then(|| {
        format!(
            "{trials} stored results have the bits of another version of the arithmetic (version {versions}, this program has {}): they stay \
             and are ranked beside new ones, but are not reproduced to the bit",
            trainer::BITS
        )
    })
}

/// Results of a program that loaded files that are other ones now.
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
    let most = changed.values().max().copied().unwrap_or(0);
    let names = listed(changed.keys().copied());
    (most > 0).then(|| {
        format!(
            "{names} changed since {most} stored runs loaded it, and these are not trained again: what a program imports is no part \
             of a trial unless `trainer.files` names it"
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
    fn results_of_one_origin_are_worth_no_word() {
        let now = i64::from(trainer::BITS);
        for found in [vec![], vec![of(Some(now), &[], 3)], vec![of(None, &[], 3), of(Some(now), &[], 2)]] {
            assert_eq!((other_bits(&found), changed_files(&found)), (None, None));
        }
    }

    #[test]
    fn other_origins_are_named() {
        let now = i64::from(trainer::BITS);
        let found = [of(Some(now), &[], 3), of(Some(now + 1), &[], 4)];
        let words = other_bits(&found).expect("a warning");
        assert!(
            words.starts_with("4 stored results")
                && words.contains(&format!("(version {}, this program", now + 1)),
            "{words}"
        );
        let found = [of(None, &[("no such model.py", "a")], 2), of(None, &[("no such model.py", "b")], 1)];
        let words = changed_files(&found).expect("a warning");
        assert!(words.starts_with("`no such model.py` changed since 3 stored runs"), "{words}");
    }
}
