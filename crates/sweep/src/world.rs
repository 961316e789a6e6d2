//! The environment of a sweep file on this machine: its files, the tasks of this program, and the trials of its
//! store. Lookups are cached, because all points of a grid name the same files.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use serde_json::Value as Json;
use spec::World;
use spec::catalogue::Catalogue;
use spec::trial::{CustomTaskSpec, DataInfo, InitFrom, Network, Source, Trial};

use crate::{Context, weights};

/// The environment of this machine, with cached lookups.
pub(crate) struct LocalWorld<'a> {
    context: &'a Context,
    /// Whether to try a step of each custom task.
    probes: bool,
    hashes: Cache<String, Option<String>>,
    tables: Cache<Source, Result<DataInfo, String>>,
    texts: Cache<String, Result<DataInfo, String>>,
    /// Stored trials and their weights.
    trials: Cache<String, Result<(InitFrom, Trial), String>>,
    custom_tasks: Cache<String, Result<CustomTaskSpec, String>>,
    misfits: Cache<String, Vec<(&'static str, String)>>,
}

impl<'a> LocalWorld<'a> {
    pub(crate) fn new(context: &'a Context, probes: bool) -> Self {
        Self {
            context,
            probes,
            hashes: Cache::default(),
            tables: Cache::default(),
            texts: Cache::default(),
            trials: Cache::default(),
            custom_tasks: Cache::default(),
            misfits: Cache::default(),
        }
    }

    fn trial(&self, id: &str) -> Result<(InitFrom, Trial), String> {
        self.trials.get(id, |id| weights::of_trial(id, self.context))
    }
}

impl World for LocalWorld<'_> {
    fn catalogue(&self) -> &Catalogue {
        trainer::catalogue()
    }

    fn hash(&self, file: &str) -> Option<String> {
        self.hashes.get(file, program::hash)
    }

    fn table(&self, source: &Source) -> Result<DataInfo, String> {
        self.tables.get(source, trainer::data::inspect_table)
    }

    fn text(&self, file: &str) -> Result<DataInfo, String> {
        self.texts.get(file, trainer::data::inspect_text)
    }

    fn tasks(&self) -> Vec<&str> {
        self.context.tasks.names()
    }

    fn task(&self, name: &str, params: &Json) -> Result<CustomTaskSpec, String> {
        self.custom_tasks.get(format!("{name} {params}").as_str(), |_| {
            self.context.tasks.describe(name, params, self.probes)
        })
    }

    fn weights(&self, trial: &str) -> Result<InitFrom, String> {
        Ok(self.trial(trial)?.0)
    }

    fn transfer_errors(&self, network: &Network) -> Vec<(&'static str, String)> {
        let known = serde_json::to_string(network).unwrap_or_default();
        let named = network.init_from.as_ref().and_then(|init| init.trial.as_deref());
        let begins_with = named.and_then(|id| self.trial(id).ok());
        self.misfits.get(known.as_str(), |_| {
            trainer::transfer::misfits(network, begins_with.as_ref().map(|(_, trial)| trial))
        })
    }
}

/// A cache of lookups.
struct Cache<K, V>(RefCell<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    fn get<Q: ?Sized + ToOwned<Owned = K>>(&self, key: &Q, look_up: impl FnOnce(&Q) -> V) -> V {
        self.0.borrow_mut().entry(key.to_owned()).or_insert_with(|| look_up(key)).clone()
    }
}
