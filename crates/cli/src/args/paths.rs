//! Paths on the command line and in environment variables. A leading `~` is expanded here, because a shell does not expand it in
//! `--store=~/runs` or in a quoted value.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

/// Parses a path; a leading `~` is the home directory.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| expanded(&text, std::env::home_dir()))
}

/// Parses a store: a folder or the address of a server.
pub(crate) fn location() -> impl TypedValueParser<Value = store::Location> {
    path().map(|path| store::Location::parse(path.into_os_string()))
}

/// # Errors
/// The text is empty, there is no home directory, or it names the home directory of another user.
fn expanded(text: &OsStr, home: Option<PathBuf>) -> Result<PathBuf, String> {
    if text.is_empty() {
        return Err("expected a path, found an empty text".to_owned());
    }
    let mut parts = Path::new(text).components();
    let first = parts.next().map(|part| part.as_os_str().to_owned()).unwrap_or_default();
    if !first.as_encoded_bytes().starts_with(b"~") {
        return Ok(PathBuf::from(text));
    }
    if first != "~" {
        let first = first.to_string_lossy();
        return Err(format!(
            "can't expand `{first}`: write the full path, or ./{first} for a file with that name"
        ));
    }
    let home = home.filter(|home| !home.as_os_str().is_empty());
    home.map(|home| home.join(parts.as_path()))
        .ok_or_else(|| "can't expand `~`: there is no home directory; set HOME".to_owned())
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
        for (text, words) in [("~bob/runs", "write the full path"), ("", "empty text")] {
            assert!(read(text).is_err_and(|message| message.contains(words)), "{text}");
        }
        assert!(expanded(OsStr::new("~/x"), None).is_err_and(|message| message.contains("set HOME")));
    }
}
