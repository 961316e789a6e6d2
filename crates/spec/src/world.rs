//! Lookup of everything that a sweep file refers to outside its text: files, custom tasks, stored trials. The caller implements
//! [`World`]; this crate reads no files and no database.

use serde_json::Value as Json;

use crate::catalogue::Catalogue;
use crate::trial::{CustomTaskSpec, DataInfo, InitFrom, Network, Source};

/// Looks up files, tasks and trials for the reader of a sweep file. The default of each method finds nothing.
pub trait World {
    /// The models and optimizers that the file may name.
    fn catalogue(&self) -> &Catalogue {
        static NONE: Catalogue = Catalogue::EMPTY;
        &NONE
    }

    /// The blake3 hash of a file in hex, or `None` if the file does not exist.
    fn hash(&self, _file: &str) -> Option<String> {
        None
    }

    /// Hash and sizes of a custom table.
    ///
    /// # Errors
    /// A message that says what is wrong with the files.
    fn table(&self, _source: &Source) -> Result<DataInfo, String> {
        Err("data files are not available here".to_owned())
    }

    /// Hash and sizes of a custom text. Its examples are its characters; its classes are the distinct characters.
    ///
    /// # Errors
    /// A message that says what is wrong with the file.
    fn text(&self, _file: &str) -> Result<DataInfo, String> {
        Err("data files are not available here".to_owned())
    }

    /// Names of the custom tasks that are compiled into the running program.
    fn tasks(&self) -> Vec<&str> {
        Vec::new()
    }

    /// A custom task with these parameters.
    ///
    /// # Errors
    /// A message that says what is wrong with the parameters.
    fn task(&self, _name: &str, _params: &Json) -> Result<CustomTaskSpec, String> {
        Err("custom tasks are not available here".to_owned())
    }

    /// The final weights of a stored trial.
    ///
    /// # Errors
    /// A message that says why they are missing.
    fn weights(&self, _trial: &str) -> Result<InitFrom, String> {
        Err("stored trials are not available here".to_owned())
    }

    /// Where `init_from`, `freeze`, `lr_multipliers` or `param_groups` does not fit the model: the key, and what is wrong.
    fn transfer_errors(&self, _network: &Network) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// A world in which nothing is found.
#[derive(Debug, Clone, Copy)]
pub struct EmptyWorld;

impl World for EmptyWorld {}
