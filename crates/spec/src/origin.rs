//! Which arithmetic and which files trained stored results. A plain value.

use std::collections::BTreeMap;

/// Finished trials that were trained with the same arithmetic and the same files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    /// The version of the arithmetic; `None` if a custom program trained the trials.
    pub bits: Option<i64>,
    /// The files that the custom program loaded, with their hashes.
    pub loaded: BTreeMap<String, String>,
    /// Number of trials.
    pub trials: i64,
}
