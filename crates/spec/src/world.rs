//! What a sweep file refers to that is not in its text: files, tasks of the program that reads it, stored trials. The caller
//! looks there; this crate reads nothing.

use serde_json::Value as Json;

use crate::catalogue::Catalogue;
use crate::trial::{Found, InitFrom, Network, Own, Source};

/// Looks up files, tasks and trials for the reader of a sweep file. What an implementation leaves out is not there.
pub trait World {
    /// The models and optimizers that the file may name.
    fn catalogue(&self) -> &Catalogue {
        static NONE: Catalogue = Catalogue::EMPTY;
        &NONE
    }

    /// The blake3 hash of a file in hex, or `None` where there is no such file.
    fn hash(&self, _file: &str) -> Option<String> {
        None
    }

    /// What data of the user's own hold.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    fn table(&self, _source: &Source) -> Result<Found, String> {
        Err("no files are looked at here".to_owned())
    }

    /// The same of a text: examples are its characters, and classes the different ones.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn text(&self, _file: &str) -> Result<Found, String> {
        Err("no files are looked at here".to_owned())
    }

    /// The tasks that the program itself brings along.
    fn tasks(&self) -> Vec<&str> {
        Vec::new()
    }

    /// What such a task is with these parameters.
    ///
    /// # Errors
    /// What is wrong with them, in words.
    fn task(&self, _name: &str, _params: &Json) -> Result<Own, String> {
        Err("there are no tasks here".to_owned())
    }

    /// The final weights of a stored trial.
    ///
    /// # Errors
    /// Why there are none, in words.
    fn weights(&self, _trial: &str) -> Result<InitFrom, String> {
        Err("no trials are looked at here".to_owned())
    }

    /// What of `init_from`, `freeze` and `lr_multipliers` does not fit a model: the key, and what is wrong.
    fn misfits(&self, _network: &Network) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// A world without anything.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl World for Nothing {}
