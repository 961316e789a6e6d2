//! Commands for people to paste into a POSIX shell.

use std::path::Path;

use crate::global::Global;

/// As the shell reads it back.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The option that says where the store is, with a space before it; nothing where that is the default. A password is not
/// in it.
pub(crate) fn store_option(global: &Global) -> String {
    if global.context.store.folder().is_some_and(|dir| dir == Path::new("runs")) {
        return String::new();
    }
    format!(" --store {}", quoted(&global.context.store.to_string()))
}
