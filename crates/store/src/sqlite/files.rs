//! Checks of the folder and the file of the database through the file system, without SQLite.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The path of the database in the store's folder.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("sweep.db")
}

/// The first bytes of every SQLite database (<https://www.sqlite.org/fileformat.html>).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Whether the database exists and is not empty.
///
/// # Errors
/// The file is not a database, or can't be read.
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
    // SQLite creates an empty file and fills it later. A sweep may have been killed in between.
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

/// Creates the folder, and checks that database and folder are not marked read-only. Root could write despite the
/// mark.
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

/// Whether SQLite's write-ahead log has content that may not be in the database file yet.
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
