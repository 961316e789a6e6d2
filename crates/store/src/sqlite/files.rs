//! The folder and the file of the database, as the file system shows them. No SQLite here.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The database within the store's folder.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("sweep.db")
}

/// Every SQLite database begins so (<https://www.sqlite.org/fileformat.html>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Whether there is a database with something in it.
///
/// # Errors
/// What is there is no database, or can't be read.
pub(crate) fn has_content(path: &Path) -> Result<bool, StoreError> {
    let cant_read =
        |error| StoreError::Io { path: path.to_owned(), message: std::io::Error::to_string(&error) };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Err(StoreError::io(path, &error)),
        Err(error) => return Err(cant_read(error)),
    };
    if !metadata.is_file() {
        return Err(StoreError::NotADatabase { path: path.to_owned() });
    }
    // SQLite makes its file empty and fills it later; a sweep may have been killed between.
    if metadata.len() == 0 {
        return Ok(false);
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(cant_read)?;
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(cant_read)?;
    if start != MAGIC {
        return Err(StoreError::NotADatabase { path: path.to_owned() });
    }
    Ok(true)
}

/// Makes the folder and sees to it that database and folder are not marked read-only. The system would let
/// the superuser write all the same, against the mark.
pub(crate) fn prepare_to_write(dir: &Path, path: &Path) -> Result<(), StoreError> {
    if let Err(error) = fs::create_dir_all(dir) {
        return Err(match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                StoreError::NotAFolder { path: dir.to_owned() }
            }
            _ => StoreError::io(dir, &error),
        });
    }
    for path in [dir, path] {
        if is_read_only(path) {
            return Err(StoreError::ReadOnly { path: path.to_owned() });
        }
    }
    Ok(())
}

/// Whether SQLite's log of what is not yet in the database file has something in it.
pub(crate) fn has_log(path: &Path) -> bool {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    fs::metadata(name).is_ok_and(|metadata| metadata.len() > 0)
}

/// Whether the database's folder is marked read-only.
pub(crate) fn folder_is_read_only(path: &Path) -> bool {
    path.parent().is_some_and(is_read_only)
}

fn is_read_only(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().readonly())
}
