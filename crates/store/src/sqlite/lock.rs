//! Advisory locks on files beside the database. The system frees them when a process ends, however that ends: what others
//! tell the living from the dead by.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// So long the others may take to open the database.
const PATIENCE: Duration = Duration::from_secs(10);

/// Held as long as the value lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Only one process at a time opens the database in `dir` for writing, and brings it up to date. Waits for the others.
///
/// # Errors
/// Another process does not let go of it, or the file can't be written.
pub(crate) async fn gate(dir: &Path, path: &Path) -> Result<Lock, StoreError> {
    let name = dir.join("sweep.lock");
    let begun = Instant::now();
    loop {
        match take(&name)? {
            Taken::Mine(lock) => return Ok(lock),
            Taken::Others(pid) if begun.elapsed() > PATIENCE => {
                return Err(StoreError::Busy { path: path.to_owned(), pid });
            }
            Taken::Others(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// What came of [`take`].
pub(crate) enum Taken {
    Mine(Lock),
    /// Of the process with this number, as far as it has said so.
    Others(Option<u32>),
}

/// Takes a lock, if no one has it; makes its file where there is none.
///
/// # Errors
/// The file can't be written.
pub(crate) fn take(name: &Path) -> Result<Taken, StoreError> {
    let cant = |error: std::io::Error| StoreError::io(name, &error);
    let mut options = OpenOptions::new();
    // Not truncated: until the lock is had, the content belongs to another process.
    let mut file = options.read(true).write(true).create(true).truncate(false).open(name).map_err(cant)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Taken::Others(holder(&mut file))),
        Err(TryLockError::Error(error)) => return Err(cant(error)),
    }
    // The number only helps people; the lock holds without it.
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(cant)?;
    Ok(Taken::Mine(Lock { _file: file }))
}

/// The process that holds the lock, as far as it has said so.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The file that a runner holds the lock of as long as it lives.
pub(crate) fn of_runner(dir: &Path, runner: i64) -> PathBuf {
    dir.join("runners").join(format!("{runner}.lock"))
}

/// Whether the process that holds this lock is there no more. One that can't be looked at counts as alive.
pub(crate) fn is_free(name: &Path) -> bool {
    match File::open(name) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
