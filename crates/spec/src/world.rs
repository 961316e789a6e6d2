//! What a sweep file speaks of that is not in its text: files, tasks of the program that reads it, stored trials. Looking there
//! is the caller's.

use serde_json::Value as Json;

use crate::catalogue::Catalogue;
use crate::trial::{Found, InitFrom, Network, Own, Source};

/// Looks files, tasks and trials up for the reader of a sweep file.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// The models and optimizers that the file may name.
    pub catalogue: &'a Catalogue,
    /// The blake3 hash of a file in hex, or `None` where there is no such file.
    pub hash: &'a dyn Fn(&str) -> Option<String>,
    /// What data of the user's own hold, or what is wrong with them.
    pub table: &'a dyn Fn(&Source) -> Result<Found, String>,
    /// The same of a text: examples are its characters, and classes the different ones.
    pub text: &'a dyn Fn(&str) -> Result<Found, String>,
    /// The tasks that the program itself brings along.
    pub tasks: &'a [&'a str],
    /// What such a task is with these parameters, or what is wrong with them.
    pub task: &'a dyn Fn(&str, &Json) -> Result<Own, String>,
    /// The final weights of a stored trial, or why there are none.
    pub weights: &'a dyn Fn(&str) -> Result<InitFrom, String>,
    /// What of `init_from`, `freeze` and `lr_multipliers` does not fit a model: the key, and what is wrong.
    pub misfits: &'a dyn Fn(&Network) -> Vec<(&'static str, String)>,
}

impl World<'_> {
    /// A world without anything.
    pub const EMPTY: World<'static> = World {
        catalogue: &Catalogue::EMPTY,
        hash: &|_| None,
        table: &|_| Err("no files are looked at here".to_owned()),
        text: &|_| Err("no files are looked at here".to_owned()),
        tasks: &[],
        task: &|_, _| Err("there are no tasks here".to_owned()),
        weights: &|_| Err("no trials are looked at here".to_owned()),
        misfits: &|_| Vec::new(),
    };
}
