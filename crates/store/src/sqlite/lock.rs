//! Advisory locks on files next to the database. The operating system frees them when a process ends in any way, so
//! they show which processes are alive.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::StoreError;

/// How long to wait for other processes that open the database.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// A lock that is held until the value is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Takes the lock for opening the database in `dir` for writing and applying migrations. Waits for other processes.
///
/// # Errors
/// Another process holds the lock for too long, or the file can't be written.
pub(crate) async fn acquire_open_lock(dir: &Path, path: &Path) -> Result<Lock, StoreError> {
    let name = dir.join("sweep.lock");
    let begun = Instant::now();
    loop {
        match try_acquire(&name)? {
            LockResult::Acquired(lock) => return Ok(lock),
            LockResult::HeldBy(pid) if begun.elapsed() > MAX_WAIT => {
                return Err(StoreError::Busy { path: path.to_owned(), pid });
            }
            LockResult::HeldBy(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The result of [`try_acquire`].
pub(crate) enum LockResult {
    Acquired(Lock),
    /// Another process holds the lock; its process id, if it has been written.
    HeldBy(Option<u32>),
}

/// Takes a lock if it is free. Creates its file if it is missing.
///
/// # Errors
/// The file can't be written.
pub(crate) fn try_acquire(name: &Path) -> Result<LockResult, StoreError> {
    let cant = |error: std::io::Error| StoreError::io(name, &error);
    let mut options = OpenOptions::new();
    // Not truncated: until this process holds the lock, the content belongs to another one.
    let mut file = options.read(true).write(true).create(true).truncate(false).open(name).map_err(cant)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(LockResult::HeldBy(holder(&mut file))),
        Err(TryLockError::Error(error)) => return Err(cant(error)),
    }
    // The process id is only for messages.
    let written = file.set_len(0).and_then(|()| file.rewind());
    written.and_then(|()| writeln!(file, "{}", std::process::id())).map_err(cant)?;
    Ok(LockResult::Acquired(Lock { _file: file }))
}

/// The process that holds the lock, if its id has been written.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The file that a runner keeps locked while it is alive.
pub(crate) fn runner_lock_path(dir: &Path, runner: i64) -> PathBuf {
    dir.join("runners").join(format!("{runner}.lock"))
}

/// Whether the process that held this lock has ended. If the file can't be opened, the process counts as alive.
pub(crate) fn is_free(name: &Path) -> bool {
    match File::open(name) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
