//! What can go wrong, in words that name the database and the way out.

use std::path::{Path, PathBuf};

use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is nothing to read yet.
    #[error("there is no sweep database {} yet; run a sweep first, or name another store with --store", path.display())]
    Missing {
        /// The database.
        path: PathBuf,
    },
    /// What names the store is neither a folder nor a server's address.
    #[error(
        "{shown} names no store: {message}; --store takes a folder or postgres://USER@HOST:PORT/DATABASE"
    )]
    Location {
        /// The text, without what may be a password.
        shown: String,
        /// What is wrong with it.
        message: String,
    },
    /// SQLite's locks don't hold there.
    #[error("{} lies on a network file system ({kind}), where SQLite databases get damaged; use a folder on a local disk, a \
             server (--store postgres://…), or shards (sweep submit slurm)", path.display())]
    Network {
        /// The folder.
        path: PathBuf,
        /// Its type.
        kind: String,
    },
    /// The server can't be reached.
    #[error("{} can't be reached: {message}", path.display())]
    Unreachable {
        /// The server.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The server was there, and did not come back.
    #[error("{} did not come back: {message}; what was stored stays, and the same command goes on", path.display())]
    Gone {
        /// The server.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The server lets nobody in like that.
    #[error("{} refuses: {message}; {advice}", path.display())]
    Refused {
        /// The server.
        path: PathBuf,
        /// The server's words.
        message: String,
        /// What to do.
        advice: &'static str,
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
    #[error("{} is the database of another program; name another store with --store", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// It has tables that this program does not know yet. It is left as it is.
    #[error("{} was written by a newer version of sweep; use that version, or name another store with --store", path.display())]
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
    #[error("{} was made by a development version of sweep, with other tables; move it away, or name another store with --store", path.display())]
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
    /// The database refused something that this program asked for.
    #[error("{}: {message}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// The database's words.
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
    /// What is to be removed is being trained.
    #[error(
        "nothing is removed: the process {pid} on {host} trains for it; stop that (Ctrl-C) or wait for its end. One that was \
             killed on another machine counts as alive until its lease is over (`sweep status --processes`)"
    )]
    InTraining {
        /// The machine.
        host: String,
        /// The process there.
        pid: i64,
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
    /// A number that the databases can't hold.
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

    /// What a database or a part of this crate reports, with the database it happened to.
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
    /// Another process trains what is to be removed.
    InTraining {
        host: String,
        pid: i64,
    },
    /// Of another store, which is read.
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

/// A server that gives no answer in time.
pub(crate) fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::TimedOut))
}

/// Whether the connection to a server is gone, or could not be made for a reason that may pass.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() != std::io::ErrorKind::StorageFull,
        // What is left when the end of the stream comes within a message.
        sqlx::Error::Protocol(_) => true,
        // Connection exceptions, too many connections, a transaction that idled for too long, shut down by hand or by a
        // crash, and starting up.
        _ => sqlstate(error).is_some_and(|(code, _)| {
            code.starts_with("08")
                || matches!(code, "25P03" | "53300" | "57P01" | "57P02" | "57P03" | "57P05")
        }),
    }
}

/// Whether two transactions had locked against each other, of which this one was taken back.
pub(crate) fn was_in_the_way(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|(code, _)| matches!(code, "40001" | "40P01"))
}

/// Whether the server knows who asks and does not allow it.
pub(crate) fn is_forbidden(error: &sqlx::Error) -> bool {
    sqlstate(error).is_some_and(|(code, _)| code == "42501")
}

/// An error in a few words, without a password.
pub(crate) fn words(error: &sqlx::Error) -> String {
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

/// Whether this is the name of a server's database.
fn is_server(path: &Path) -> bool {
    path.to_str().is_some_and(|name| name.starts_with("postgres") && name.contains("://"))
}

/// SQLSTATEs: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn from_server(path: PathBuf, error: &sqlx::Error) -> StoreError {
    let message = words(error);
    let refused = |advice| StoreError::Refused { path: path.clone(), message: message.clone(), advice };
    match sqlstate(error).map(|(code, _)| code) {
        Some("28P01" | "28000") => {
            refused("a password is taken from PGPASSWORD or ~/.pgpass, the user from the address or PGUSER")
        }
        Some("3D000") => refused("make the database (createdb NAME), or name another one"),
        Some("42501") => refused(
            "the user needs the right to make tables there (GRANT CREATE ON SCHEMA public TO …) and to read and write them",
        ),
        Some("25006") => refused("the server, or this user, can only read"),
        Some("53100") => StoreError::Full { path },
        _ if matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Configuration(_)) => {
            refused(if cfg!(feature = "tls") {
                "sslmode=require asks for TLS without a look at the server's certificate, sslrootcert names whose are trusted"
            } else {
                "this build speaks no TLS: build it with `--features tls`, or use a socket, a private network or a tunnel, and \
                 sslmode=prefer or disable"
            })
        }
        _ if is_lost(error) => StoreError::Unreachable { path, message },
        _ => StoreError::Database { path, message },
    }
}
