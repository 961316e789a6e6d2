//! Reads text files that a user names.

use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::Error;

/// A text and the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the user named it.
    pub name: String,
    /// The text, without a byte-order mark.
    pub text: String,
}

/// Reads a text file of at most `max_bytes` bytes; `-` is standard input. `what` is the kind of file in error messages,
/// such as `sweep file`.
///
/// # Errors
/// The file does not exist, can't be read, is too long, or is not UTF-8.
pub fn read(path: &Path, what: &str, max_bytes: usize) -> Result<Source, Error> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "<stdin>".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    // Reads one byte more than allowed, to detect a file that is too long.
    let limit = max_bytes as u64 + 1;
    let result = if is_stdin {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else if path.is_dir() {
        return Err(Error::usage(format_args!("expected a {what}, found a directory: {name}")));
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::NoFile { name, what: what.to_owned() })
        }
        Err(error) => Err(Error::usage(format_args!("can't read {name}: {error}"))),
        Ok(_) if bytes.len() > max_bytes => {
            Err(Error::usage(format_args!("{name} is too large for a {what}: more than {max_bytes} bytes")))
        }
        Ok(_) => decoded(name, bytes, what),
    }
}

fn decoded(name: String, bytes: Vec<u8>, what: &str) -> Result<Source, Error> {
    String::from_utf8(bytes)
        .map(|text| Source {
            text: text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
            name: name.clone(),
        })
        .map_err(|error| {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Error::usage(format_args!("{name}:{line}:{column}: not UTF-8 text, expected a {what}"))
        })
}
