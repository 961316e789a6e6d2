//! The world of a sweep file on this machine: its files, the tasks of this program, the trials of its store. What was looked up
//! once is not looked up again: each point of a grid names the same files.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;

use serde_json::Value as Json;
use spec::World;
use spec::catalogue::Catalogue;
use spec::trial::{CustomTaskSpec, DataInfo, InitFrom, Network, Source, Trial};

use crate::{Context, weights};

/// The world of this machine, and what was looked up in it.
pub(crate) struct LocalWorld<'a> {
    context: &'a Context,
    /// Whether a step of each task is tried.
    probes: bool,
    hashes: Known<String, Option<String>>,
    tables: Known<Source, Result<DataInfo, String>>,
    texts: Known<String, Result<DataInfo, String>>,
    /// Stored trials and their weights.
    trials: Known<String, Result<(InitFrom, Trial), String>>,
    own: Known<String, Result<CustomTaskSpec, String>>,
    misfits: Known<String, Vec<(&'static str, String)>>,
}

impl<'a> LocalWorld<'a> {
    pub(crate) fn new(context: &'a Context, probes: bool) -> Self {
        Self {
            context,
            probes,
            hashes: Known::default(),
            tables: Known::default(),
            texts: Known::default(),
            trials: Known::default(),
            own: Known::default(),
            misfits: Known::default(),
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
        self.own.get(format!("{name} {params}").as_str(), |_| {
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

/// What was looked up before.
struct Known<K, V>(RefCell<HashMap<K, V>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Known<K, V> {
    fn get<Q: ?Sized + ToOwned<Owned = K>>(&self, key: &Q, look: impl FnOnce(&Q) -> V) -> V {
        self.0.borrow_mut().entry(key.to_owned()).or_insert_with(|| look(key)).clone()
    }
}
