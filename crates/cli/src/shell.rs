//! Commands that users paste into a POSIX shell.

use std::path::Path;

use crate::global::Global;

/// Quotes a word for the shell where that is needed.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The `--store` option with a space before it; empty for the default store. Never contains a password.
pub(crate) fn store_option(global: &Global) -> String {
    if global.context.store.folder().is_some_and(|dir| dir == Path::new("runs")) {
        return String::new();
    }
    format!(" --store {}", quoted(&global.context.store.to_string()))
}
