//! What stored results owe to the programs that trained them. A plain value.

use std::collections::BTreeMap;

/// Trials that are over and were trained by the same arithmetic and files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// The version of the arithmetic; none where a program of the user's own has trained.
    pub bits: Option<i64>,
    /// The files that such a program has loaded, with their hashes.
    pub loaded: BTreeMap<String, String>,
    /// How many trials.
    pub trials: i64,
}
