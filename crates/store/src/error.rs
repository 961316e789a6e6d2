//! What can go wrong, in words that name the database and the way out.

use std::path::{Path, PathBuf};

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is nothing to read yet.
    #[error("there is no sweep database {} yet; run a sweep first, or name another folder with --store", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// The folder is something else.
    #[error("{} is not a folder; --store names the folder in which sweep.db lies", path.display())]
    NotAFolder {
        /// What should be the folder.
        path: PathBuf,
    },
    /// The file is something else. It is left as it is.
    #[error("{} is not a database; move it away, or name another folder with --store", path.display())]
    NotADatabase {
        /// What should be the database.
        path: PathBuf,
    },
    /// A database, but of another program. It is left as it is.
    #[error("{} is the database of another program; name another folder with --store", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// It has tables that this program does not know yet. It is left as it is.
    #[error("{} was written by a newer version of sweep; use that version, or name another folder with --store", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
    },
    /// It lacks tables that this program needs for reading.
    #[error("{} was written by an older version of sweep; run a sweep with this version once, which adds what is missing", path.display())]
    Older {
        /// The database.
        path: PathBuf,
    },
    /// Its tables were made by a version that was never released.
    #[error("{} was made by a development version of sweep, with other tables; move it away, or name another folder with --store", path.display())]
    Unreleased {
        /// The database.
        path: PathBuf,
    },
    /// Results can't be written.
    #[error("{} is read-only; allow writing (chmod u+w), or name another folder with --store", path.display())]
    ReadOnly {
        /// The database or its folder.
        path: PathBuf,
    },
    /// Another sweep writes into it.
    #[error("{} is in use by another sweep{}; wait for its end, or name another folder with --store", path.display(), process(*.pid))]
    Busy {
        /// The database.
        path: PathBuf,
        /// Number of the process that writes, where it is known.
        pid: Option<u32>,
    },
    /// Another process took this one for dead.
    #[error("{}: another process has taken over the trials of this one, which gave no sign of life for too long (was it \
             suspended?); what it had stored stays, and the same command joins in again", path.display())]
    TakenOver {
        /// The database.
        path: PathBuf,
    },
    /// Another program than a sweep holds it.
    #[error("{} is locked by another program (a database shell with an open transaction?); close that and start again", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// No room is left.
    #[error("no room is left to write {}; make room and start again: what was stored stays", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("{} is damaged ({message}); `sqlite3 FILE .recover` may save what is left, or name another folder with --store", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        message: String,
    },
    /// The system refused.
    #[error("can't use {}: {message}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        message: String,
    },
    /// SQLite refused something that this program asked for.
    #[error("{}: {message}", path.display())]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        message: String,
    },
    /// A query that can't be answered.
    #[error("{} can't answer this query: {message}", path.display())]
    Query {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Something was told of a trial that is not in the database.
    #[error("{} has no trial {trial_id}; it was taken out while it was trained; start again", path.display())]
    UnknownTrial {
        /// The database.
        path: PathBuf,
        /// The trial.
        trial_id: String,
    },
    /// Steps were told of a stage that is not in the database.
    #[error("{} has no stage {stage}; it was taken out while it was trained; start again", path.display())]
    UnknownStage {
        /// The database.
        path: PathBuf,
        /// The stage's number.
        stage: u64,
    },
    /// A number that SQLite can't hold.
    #[error("{} can't hold the number {number}: it is above 2^63 - 1", path.display())]
    TooLarge {
        /// The database.
        path: PathBuf,
        /// The number.
        number: u64,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

impl StoreError {
    /// Whether the user can mend it by asking for something else (exit code 2), as opposed to something
    /// that failed on the way (exit code 1).
    pub fn is_users_mistake(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::NotAFolder { .. }
            | Self::NotADatabase { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Unreleased { .. }
            | Self::ReadOnly { .. }
            | Self::Query { .. }
            | Self::TooLarge { .. } => true,
            Self::Busy { .. }
            | Self::TakenOver { .. }
            | Self::Locked { .. }
            | Self::Full { .. }
            | Self::Corrupt { .. }
            | Self::Io { .. }
            | Self::Sqlite { .. }
            | Self::UnknownTrial { .. }
            | Self::UnknownStage { .. } => false,
        }
    }

    /// What SQLite or a part of this crate reports, with the database it happened to.
    pub(crate) fn at(path: &Path, fault: impl Into<Fault>) -> Self {
        let path = path.to_owned();
        match fault.into() {
            Fault::Sql(error) => from_sql(path, error),
            Fault::UnknownTrial(trial_id) => Self::UnknownTrial { path, trial_id },
            Fault::UnknownStage(stage) => Self::UnknownStage { path, stage },
            Fault::TooLarge(number) => Self::TooLarge { path, number },
            Fault::TakenOver => Self::TakenOver { path },
        }
    }

    /// What the system reports of a file or folder.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{NotADirectory, PermissionDenied, ReadOnlyFilesystem, StorageFull};
        let path = path.to_owned();
        match error.kind() {
            NotADirectory => Self::NotAFolder { path: path.parent().map_or(path.clone(), Path::to_owned) },
            PermissionDenied | ReadOnlyFilesystem => Self::ReadOnly { path },
            StorageFull => Self::Full { path },
            _ => Self::Io { path, message: error.to_string() },
        }
    }
}

/// An error on its way up, which does not know its database yet.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(sqlx::Error),
    UnknownTrial(String),
    UnknownStage(u64),
    TooLarge(u64),
    /// This runner was ended by another.
    TakenOver,
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>).
pub(crate) mod code {
    pub(crate) const BUSY: i32 = 5;
    pub(crate) const LOCKED: i32 = 6;
    pub(crate) const READONLY: i32 = 8;
    pub(crate) const IOERR: i32 = 10;
    pub(crate) const CORRUPT: i32 = 11;
    pub(crate) const FULL: i32 = 13;
    pub(crate) const CANTOPEN: i32 = 14;
    pub(crate) const NOTADB: i32 = 26;
}

/// SQLite's primary result code and message, where the error comes from SQLite.
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<(i32, String)> {
    let sqlx::Error::Database(error) = error else { return None };
    let extended: i32 = error.code()?.parse().ok()?;
    Some((extended & 0xff, error.message().to_owned()))
}

fn from_sql(path: PathBuf, error: sqlx::Error) -> StoreError {
    if let sqlx::Error::Io(error) = &error {
        return StoreError::io(&path, error);
    }
    match sqlite_code(&error) {
        Some((code::BUSY | code::LOCKED, _)) => StoreError::Locked { path },
        Some((code::READONLY, _)) => StoreError::ReadOnly { path },
        Some((code::FULL, _)) => StoreError::Full { path },
        Some((code::NOTADB, _)) => StoreError::NotADatabase { path },
        Some((code::CORRUPT, message)) => StoreError::Corrupt { path, message },
        Some((code::IOERR | code::CANTOPEN, message)) => StoreError::Io { path, message },
        Some((_, message)) => StoreError::Sqlite { path, message },
        None => StoreError::Sqlite { path, message: error.to_string() },
    }
}
