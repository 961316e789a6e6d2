//! Paths on the command line and in environment variables. A shell replaces `~` where a word begins, but neither in
//! `--store=~/runs` nor in a variable's value that is quoted.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

/// A path, with the home directory in the place of a leading `~`.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| expanded(&text, std::env::home_dir()))
}

/// A store: a folder or the address of a server.
pub(crate) fn location() -> impl TypedValueParser<Value = store::Location> {
    path().map(|path| store::Location::parse(path.into_os_string()))
}

/// # Errors
/// There is no text, no home directory, or the home directory of another user is meant.
fn expanded(text: &OsStr, home: Option<PathBuf>) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("a path was expected, this text is empty".to_owned());
    }
    let mut parts = Path::new(text).components();
    let first = parts.next().map(|part| part.as_os_str().to_owned()).unwrap_or_default();
    if !first.as_encoded_bytes().starts_with(b"~") {
        return Ok(PathBuf::from(text));
    }
    if first != "~" {
        let first = first.to_string_lossy();
        return Err(format!(
            "only a shell replaces `{first}`: write the path in full, or ./{first} for a file of that name"
        ));
    }
    let home = home.filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(parts.as_path()))
        .ok_or_else(|| "`~` is the home directory, and there is none: set HOME".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_tilde_is_the_home_directory() {
        let home = || Some(PathBuf::from("/home/me"));
        let read = |text: &str| expanded(OsStr::new(text), home());
        for (text, path) in [
            ("~", "/home/me"),
            ("~/runs", "/home/me/runs"),
            ("~/a/b", "/home/me/a/b"),
            ("runs", "runs"),
            ("./~x", "./~x"),
            ("a/~", "a/~"),
            ("postgres://me@host/x", "postgres://me@host/x"),
            ("-", "-"),
        ] {
            assert_eq!(read(text), Ok(PathBuf::from(path)), "{text}");
        }
        for (text, words) in [("~bob/runs", "write the path in full"), ("", "is empty")] {
            assert!(read(text).is_err_and(|message| message.contains(words)), "{text}");
        }
        assert!(expanded(OsStr::new("~/x"), None).is_err_and(|message| message.contains("set HOME")));
    }
}
