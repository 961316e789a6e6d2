//! Shards: parts of a sweep for machines that do not share a store.

use std::collections::HashMap;
use std::fmt;

use orchestrator::Missing;
use spec::Plan;

/// One of N equal parts of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// The number of the part, from 1 to `of`.
    pub number: usize,
    /// The number of parts.
    pub of: usize,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Keeps the trials of this shard: every N-th stage group, so that each shard has trials of all seeds. Also keeps
    /// a sample of the next shard's trials, which `sweep merge` then compares.
    pub(crate) fn keep(self, plan: &Plan, verify_fraction: f64, missing: &mut Vec<Missing>) {
        let groups = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>());
        let mut shard_of = HashMap::new();
        for (group, members) in groups.into_iter().enumerate() {
            for trial in members.into_iter().filter_map(|i| plan.trials.get(i)) {
                shard_of.insert(trial.id.as_str(), group % self.of);
            }
        }
        let (own, next) = (self.number - 1, self.number % self.of);
        let sample = store::sample_bound(verify_fraction);
        missing.retain(|missing| match shard_of.get(missing.trial.id.as_str()) {
            Some(shard) => *shard == own || (*shard == next && missing.trial.id < sample),
            None => false,
        });
    }
}
