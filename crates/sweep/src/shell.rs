//! Commands that users paste into a POSIX shell.

use std::path::Path;

use store::Location;

/// Quotes a word for the shell where that is needed.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The `--store` option with a space before it; empty for the default store. Never contains a password.
pub fn store_option(store: &Location) -> String {
    if store.folder().is_some_and(|dir| dir == Path::new("runs")) {
        return String::new();
    }
    format!(" --store {}", quoted(&store.to_string()))
}
