//! The errors of the store. Each message names the database and says what to do.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database does not exist yet.
    #[error("sweep database not found: {}; run a sweep first, or name another store with --store", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// The argument of `--store` is neither a folder nor the address of a server.
    #[error("invalid store {text}: {message}; --store takes a folder or postgres://USER@HOST:PORT/DATABASE")]
    Location {
        /// The argument, without anything that may be a password.
        text: String,
        /// The problem.
        message: String,
    },
    /// The folder is on a network file system, where SQLite's locks do not work.
    #[error("{} is on a network file system ({kind}), where SQLite databases get damaged; use a folder on a local disk, a \
             server (--store postgres://…), or shards (sweep submit slurm)", path.display())]
    Network {
        /// The folder.
        path: PathBuf,
        /// The type of its file system.
        kind: String,
    },
    /// The server can't be reached.
    #[error("can't reach {}: {message}; check the address and that the server runs", path.display())]
    Unreachable {
        /// The server.
        path: PathBuf,
        /// The cause.
        message: String,
    },
    /// The connection was lost and could not be made again in time.
    #[error("lost the connection to {}: {message}; all stored results are kept, run the same command to resume", path.display())]
    Gone {
        /// The server.
        path: PathBuf,
        /// The cause.
        message: String,
    },
    /// The server rejects the user, the password, the database, the operation or the kind of connection.
    #[error("{} refused access: {message}; {advice}", path.display())]
    Refused {
        /// The server.
        path: PathBuf,
        /// The server's message.
        message: String,
        /// The advice.
        advice: &'static str,
    },
    /// The path of the store is not a folder.
    #[error("{} is not a folder; --store takes the folder that contains sweep.db", path.display())]
    NotAFolder {
        /// The path that is not a folder.
        path: PathBuf,
    },
    /// The file is not a database. It is not changed.
    #[error("{} is not an SQLite database; move it away, or name another folder with --store", path.display())]
    NotADatabase {
        /// The path that is not a database.
        path: PathBuf,
    },
    /// The database belongs to another program. It is not changed.
    #[error("{} is the database of another program; name another store with --store", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// The database has migrations that this program does not know. It is not changed.
    #[error("{} was written by a newer version of sweep; use that version, or name another store with --store", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
    },
    /// The database lacks migrations that this program needs for reading.
    #[error("{} was written by an older version of sweep; run a sweep with this version once to upgrade it", path.display())]
    Older {
        /// The database.
        path: PathBuf,
    },
    /// The tables were made by a version that was never released.
    #[error("{} was made by a development version of sweep with other tables; move it away, or name another store with --store", path.display())]
    Unreleased {
        /// The database.
        path: PathBuf,
    },
    /// The database or its folder is read-only.
    #[error("{} is read-only; make it writable (chmod u+w), or name another folder with --store", path.display())]
    ReadOnly {
        /// The database or its folder.
        path: PathBuf,
    },
    /// Another process is opening the database and did not finish in time.
    #[error("{} is in use by another sweep{}; wait until it ends, or name another folder with --store", path.display(), process(*.pid))]
    Busy {
        /// The database.
        path: PathBuf,
        /// Id of the process that holds the lock, where it is known.
        pid: Option<u32>,
    },
    /// Another process took over the trials of this one because its lease had run out.
    #[error("{}: another process took over the trials of this one, which did not renew its lease in time (was it suspended?); \
             all stored results are kept, run the same command to join again", path.display())]
    TakenOver {
        /// The database.
        path: PathBuf,
    },
    /// A program other than sweep holds a lock on the database.
    #[error("{} is locked by another program (a database shell with an open transaction?); close it and run the command again", path.display())]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no space left to write {}; free some space and run the command again: all stored results are kept", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database file is damaged.
    #[error("{} is damaged ({message}); try `sqlite3 FILE .recover` to save its content, or name another folder with --store", path.display())]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// The kind of damage.
        message: String,
    },
    /// The operating system reports an error.
    #[error("can't use {}: {message}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The message of the operating system.
        message: String,
    },
    /// The database rejects a statement of this program.
    #[error("{}: {message}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The database's message.
        message: String,
    },
    /// A user's query is not allowed or fails.
    #[error("can't run this query on {}: {message}", path.display())]
    Query {
        /// The database.
        path: PathBuf,
        /// The problem.
        message: String,
    },
    /// Another process trains trials that are to be removed.
    #[error(
        "nothing removed: process {pid} on {host} is training these trials; stop it (Ctrl-C) or wait until it ends. A process that \
             was killed on another machine counts as running until its lease ends (`sweep status --processes`)"
    )]
    InTraining {
        /// The machine.
        host: String,
        /// The process id on that machine.
        pid: i64,
    },
    /// An event names a trial that is not in the database.
    #[error("trial {trial_id} was removed from {} while it was trained (by `sweep rm`?); run the same command again to train what is missing", path.display())]
    UnknownTrial {
        /// The database.
        path: PathBuf,
        /// The trial.
        trial_id: String,
    },
    /// Steps were reported for a stage that is not in the database.
    #[error("trials were removed from {} while they were trained (by `sweep rm`?): it has no stage {stage}, whose steps were to be stored; run the same command again to train what is missing", path.display())]
    UnknownStage {
        /// The database.
        path: PathBuf,
        /// The stage's number.
        stage: u64,
    },
    /// A number is too large for the databases' integers.
    #[error("{} can't store the number {number}: the maximum is 2^63 - 1", path.display())]
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
    /// Whether the user can fix it by changing the request (exit code 2). Otherwise something failed (exit code 1).
    pub fn is_users_mistake(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Location { .. }
            | Self::Network { .. }
            | Self::Refused { .. }
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
            | Self::Unreachable { .. }
            | Self::Gone { .. }
            | Self::TakenOver { .. }
            | Self::InTraining { .. }
            | Self::Locked { .. }
            | Self::Full { .. }
            | Self::Corrupt { .. }
            | Self::Io { .. }
            | Self::Database { .. }
            | Self::UnknownTrial { .. }
            | Self::UnknownStage { .. } => false,
        }
    }

    /// Adds the name of the database to a fault.
    pub(crate) fn at(path: &Path, fault: impl Into<Fault>) -> Self {
        let path = path.to_owned();
        match fault.into() {
            Fault::Sql(error) => from_sql(path, error),
            Fault::UnknownTrial(trial_id) => Self::UnknownTrial { path, trial_id },
            Fault::UnknownStage(stage) => Self::UnknownStage { path, stage },
            Fault::TooLarge(number) => Self::TooLarge { path, number },
            Fault::TakenOver => Self::TakenOver { path },
            Fault::InTraining { host, pid } => Self::InTraining { host, pid },
            Fault::Shard(error) => *error,
        }
    }

    /// The error for a file or folder that the operating system can't use.
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

/// An error that does not name its database yet; [`StoreError::at`] adds the name.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(sqlx::Error),
    UnknownTrial(String),
    UnknownStage(u64),
    TooLarge(u64),
    /// Another runner has ended this one.
    TakenOver,
    /// Another process trains trials that are to be removed.
    InTraining {
        host: String,
        pid: i64,
    },
    /// An error of the shard that is merged into this store.
    Shard(Box<StoreError>),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Sql(error.into())
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
    error.try_downcast_ref::<SqliteError>()?;
    let extended: i32 = error.code()?.parse().ok()?;
    Some((extended & 0xff, error.message().to_owned()))
}

/// PostgreSQL's SQLSTATE and message, where the error comes from a server.
fn sqlstate(error: &sqlx::Error) -> Option<(&str, &str)> {
    let sqlx::Error::Database(error) = error else { return None };
    let error = error.try_downcast_ref::<PgDatabaseError>()?;
    Some((error.code(), error.message()))
}

/// The error for a server that does not answer in time.
pub(crate) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

/// Whether the connection to a server is lost, or could not be made for a reason that may pass.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != std::io::ErrorKind::StorageFull,
        // The stream ended in the middle of a message.
        sqlx::Error::Protocol(_) => true,
        // In this order: connection exceptions, idle in a transaction for too long, too many connections, shut down
        // by an administrator or after a crash, starting up, idle for too long.
        _ => sqlstate(error).is_some_and(|(code, _)| {
            code.starts_with("08")
                || matches!(code, "25P03" | "53300" | "57P01" | "57P02" | "57P03" | "57P05")
        }),
    }
}

/// Whether this transaction was rolled back because of a conflict with another one: serialization failure or
/// deadlock.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|(code, _)| matches!(code, "40001" | "40P01"))
}

/// Whether the server denies the user this operation.
pub(crate) fn is_forbidden(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|(code, _)| code == "42501")
}

/// The error in a few words. Never contains a password.
pub(crate) fn short_message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            "no answer in time".to_owned()
        }
        sqlx::Error::Io(error) => error.to_string(),
        error => sqlstate(error).map_or_else(|| error.to_string(), |(_, message)| message.to_owned()),
    }
}

fn from_sql(path: PathBuf, error: sqlx::Error) -> StoreError {
    if is_server(&path) {
        return from_server(path, &error);
    }
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
        Some((_, message)) => StoreError::Database { path, message },
        None => StoreError::Database { path, message: error.to_string() },
    }
}

/// Whether this is the address of a database on a server.
fn is_server(path: &Path) -> bool {
    path.to_str().is_some_and(|name| name.starts_with("postgres") && name.contains("://"))
}

/// SQLSTATEs: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn from_server(path: PathBuf, error: &sqlx::Error) -> StoreError {
    let message = short_message(error);
    let refused = |advice| StoreError::Refused { path: path.clone(), message: message.clone(), advice };
    match sqlstate(error).map(|(code, _)| code) {
        Some("28P01" | "28000") => {
            refused("set the password in PGPASSWORD or ~/.pgpass, and the user in the address or PGUSER")
        }
        Some("3D000") => refused("create the database (createdb NAME), or name another one"),
        Some("42501") => refused(
            "allow the user to create tables (GRANT CREATE ON SCHEMA public TO …) and to read and write them",
        ),
        Some("25006") => refused("use a server and a user that can write"),
        Some("53100") => StoreError::Full { path },
        _ if matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Configuration(_)) => {
            refused(if cfg!(feature = "tls") {
                "name the trusted certificates with sslrootcert, or set sslmode=require to use TLS without checking the certificate"
            } else {
                "this build does not support TLS: build it with `--features tls`, or use a socket, a private network or a tunnel with \
                 sslmode=prefer or sslmode=disable"
            })
        }
        _ if is_lost(error) => StoreError::Unreachable { path, message },
        _ => StoreError::Database { path, message },
    }
}
