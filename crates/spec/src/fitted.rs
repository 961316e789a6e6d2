//! The configs of shapes that a search has fitted before: every round needs those of all earlier ones again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use search::Proposal;

use crate::trial::{Config, Task};

/// A config and the hash that identifies it.
pub(crate) type Hashed = (Arc<Config>, blake3::Hash);

/// The known configs of the shapes for one task. Copies share them. It only saves time, so all are equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fitted(Arc<Mutex<Option<Known>>>);

#[derive(Debug)]
struct Known {
    task: Task,
    /// By the bits of the shape.
    configs: HashMap<Vec<u64>, Hashed>,
}

impl PartialEq for Fitted {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Fitted {
    /// The config of a shape for this task, made by `fit` if it is new.
    ///
    /// # Errors
    /// Those of `fit`.
    pub(crate) fn config<E>(
        &self,
        task: &Task,
        proposal: &Proposal,
        fit: impl FnOnce() -> Result<Hashed, E>,
    ) -> Result<Hashed, E> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|known| known.task != *task) {
            *known = None;
        }
        let Known { configs, .. } =
            known.get_or_insert_with(|| Known { task: task.clone(), configs: HashMap::new() });
        let key = bits(proposal);
        if let Some((config, hash)) = configs.get(&key) {
            return Ok((Arc::clone(config), *hash));
        }
        let fitted = fit()?;
        configs.insert(key, fitted.clone());
        Ok(fitted)
    }
}

fn bits(proposal: &Proposal) -> Vec<u64> {
    let points = proposal.points.iter().flat_map(|(at, factor)| [at.to_bits(), factor.to_bits()]);
    std::iter::once(proposal.base_lr.to_bits()).chain(points).collect()
}
