//! Commands that users paste into a POSIX shell, for the store of this command line.

pub(crate) use sweep::shell::quoted;

use crate::global::Global;

/// The `--store` option with a space before it; empty for the default store. Never contains a password.
pub(crate) fn store_option(global: &Global) -> String {
    sweep::shell::store_option(&global.context.store)
}
