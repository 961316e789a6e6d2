//! The metrics of a trial's steps other than losses, as columns after those of every step.

use std::collections::HashMap;

use report::Cell;
use store::Reader;

use crate::exit::Failure;

/// The values of one trial, by step and name.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    by_step: HashMap<u64, HashMap<String, f64>>,
}

impl Measured {
    /// Reads the values of a trial.
    pub(crate) async fn read(reader: &mut Reader, trial_id: &str) -> Result<Self, Failure> {
        let mut by_step: HashMap<u64, HashMap<String, f64>> = HashMap::new();
        for (name, step, value) in reader.measured(trial_id).await? {
            by_step.entry(step.unsigned_abs()).or_default().insert(name, value);
        }
        Ok(Self { by_step })
    }

    /// The names of its metrics, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.by_step.values().flat_map(HashMap::keys).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The values of these metrics after a step; null where there is none.
    pub(crate) fn cells<'a>(&'a self, step: u64, names: &'a [String]) -> impl Iterator<Item = Cell> + 'a {
        let values = self.by_step.get(&step);
        names.iter().map(move |name| values.and_then(|values| values.get(name)).copied().into())
    }

    /// The values after a step.
    pub(crate) fn of(&self, step: u64) -> impl Iterator<Item = (&str, f64)> {
        self.by_step.get(&step).into_iter().flatten().map(|(name, value)| (name.as_str(), *value))
    }
}
