//! The context of every verb, in addition to its own arguments.

use sweep::Context;

/// See the module.
#[derive(Debug)]
pub(crate) struct Global {
    /// Where results, data and tasks are.
    pub context: Context,
    /// Print nothing on stderr but errors.
    pub quiet: bool,
}
