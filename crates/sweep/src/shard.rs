//! A sweep cut into parts for machines that share no store.

use std::collections::HashMap;
use std::fmt;

use orchestrator::Missing;
use spec::Plan;

/// One of N equal parts of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1 to `of`.
    pub number: usize,
    /// How many parts there are.
    pub of: usize,
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    /// Keeps this shard's trials: every N-th stage group, so that each shard has its part of all seeds. A sample of the next
    /// shard's trials stays too, which `sweep merge` then compares.
    pub(crate) fn keep(self, plan: &Plan, verify_fraction: f64, missing: &mut Vec<Missing>) {
        let groups = spec::share::stage_groups(&plan.trials.iter().collect::<Vec<_>>());
        let mut shard_of = HashMap::new();
        for (group, members) in groups.into_iter().enumerate() {
            for trial in members.into_iter().filter_map(|i| plan.trials.get(i)) {
                shard_of.insert(trial.id.as_str(), group % self.of);
            }
        }
        let (own, next) = (self.number - 1, self.number % self.of);
        let sample = store::sample_end(verify_fraction);
        missing.retain(|missing| match shard_of.get(missing.trial.id.as_str()) {
            Some(shard) => *shard == own || (*shard == next && missing.trial.id < sample),
            None => false,
        });
    }
}
