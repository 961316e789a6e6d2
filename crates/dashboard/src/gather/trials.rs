//! Trials with their complete configuration, which are read once: a config never changes.

use std::collections::HashMap;
use std::sync::Arc;

use spec::trial::Trial;
use store::{Reader, TrialRecord};
use sweep::stored::retrained;
use sweep::{Context, Error, code};

use report::views::LineFacts;

/// A config, as far as it is known.
#[derive(Debug)]
pub(crate) struct ConfigFacts {
    /// One of its trials; `None` if its stored configuration can't be read here.
    pub(crate) trial: Option<Trial>,
    /// The facts for its line in the ranking.
    pub(crate) line: LineFacts,
}

/// The configs that were read, by id and name of the schedule.
#[derive(Debug, Default)]
pub(crate) struct Configs(HashMap<(String, String), Arc<ConfigFacts>>);

/// Most configs to keep.
const MOST: usize = 2000;

impl Configs {
    /// The config of a run.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) async fn of(
        &mut self,
        reader: &mut Reader,
        run: &TrialRecord,
        context: &Context,
    ) -> Result<Arc<ConfigFacts>, Error> {
        let key = (run.config_id.clone(), run.schedule.clone());
        if let Some(known) = self.0.get(&key) {
            return Ok(Arc::clone(known));
        }
        let row = reader.trial(&run.trial_id).await?;
        let trial = row.and_then(|row| match retrained(&row, context) {
            Ok(trial) => Some(trial),
            Err(error) => {
                tracing::debug!("trial {}: {error}", row.trial_id);
                None
            }
        });
        let line = trial.as_ref().map_or_else(LineFacts::default, |trial| LineFacts {
            kind: kind(trial),
            yaml: code::yaml(&run.schedule, trial),
            pytorch: Some(code::pytorch(run, trial)),
        });
        let facts = Arc::new(ConfigFacts { trial, line });
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(key, Arc::clone(&facts));
        Ok(facts)
    }
}

/// The `kind` of the schedule as written.
fn kind(trial: &Trial) -> Option<String> {
    match &trial.config.written.get("kind")?.value {
        schedule::tree::Value::Text(kind) => Some(kind.clone()),
        _ => None,
    }
}
