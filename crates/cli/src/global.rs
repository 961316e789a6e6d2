//! What every verb is given beside its own arguments.

use sweep::Context;

/// See the module.
#[derive(Debug)]
pub(crate) struct Global {
    /// Where results, data and tasks are.
    pub context: Context,
    /// Print nothing on stderr but errors.
    pub quiet: bool,
    /// Names of all verbs, to tell a misspelt one from a file that is missing.
    pub verbs: Vec<String>,
}
