//! One writer: an advisory lock on a file beside the database. The system frees it when the process ends,
//! however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::StoreError;

/// Held as long as the value lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock of the store in `dir`, whose database is `path`.
///
/// # Errors
/// Another sweep has it, or the file can't be written.
pub(crate) fn take(dir: &Path, path: &Path) -> Result<Lock, StoreError> {
    let name = dir.join("sweep.lock");
    let cant = |error: std::io::Error| StoreError::io(&name, &error);
    let mut options = OpenOptions::new();
    // Not truncated: until the lock is had, the content belongs to another process.
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&name).map_err(cant)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::Busy { path: path.to_owned(), pid: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(cant(error)),
    }
    // The number only helps people; the lock holds without it.
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(cant)?;
    Ok(Lock { _file: file })
}

/// The process that holds the lock, as far as it has said so.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
