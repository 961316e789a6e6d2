//! Opens SQLite connections. All their settings are here.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use crate::error::{StoreError, code, sqlite_code};
use crate::sqlite::files;

/// The kind of access of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A writer.
    Write,
    /// A reader, while others write.
    Read,
    /// A reader where nothing can be written, not even the files with which readers and writers coordinate.
    ReadFrozen,
}

/// All settings of all connections.
fn options(path: &Path, access: Access) -> SqliteConnectOptions {
    let common = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(30))
        .disable_statement_logging();
    match access {
        Access::Write => common
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // 64 MiB: a large sweep is registered in one transaction, whose pages would not fit otherwise.
            .pragma("cache_size", "-65536"),
        Access::Read => common.read_only(true).pragma("query_only", "ON"),
        Access::ReadFrozen => common.read_only(true).pragma("query_only", "ON").immutable(true),
    }
}

/// Opens the database at `path`.
pub(crate) async fn connect(path: &Path, access: Access) -> Result<SqliteConnection, sqlx::Error> {
    // A relative path that begins with `file:` would be read as a URI.
    let absolute = std::path::absolute(path)?;
    options(&absolute, access).connect().await
}

/// Opens the database for reading, also if the folder can't be written.
pub(crate) async fn connect_to_read(path: &Path) -> Result<SqliteConnection, StoreError> {
    // Without a log there is no writer, and the file contains everything.
    let may_freeze = !files::has_log(path);
    if may_freeze && files::folder_is_read_only(path) {
        return probe(path, Access::ReadFrozen).await.map_err(|error| StoreError::at(path, error));
    }
    match probe(path, Access::Read).await {
        Err(error)
            if may_freeze && matches!(sqlite_code(&error), Some((code::CANTOPEN | code::READONLY, _))) =>
        {
            probe(path, Access::ReadFrozen).await
        }
        outcome => outcome,
    }
    .map_err(|error| StoreError::at(path, error))
}

/// Reads once, because SQLite opens its files only at the first read.
async fn probe(path: &Path, access: Access) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = connect(path, access).await?;
    sqlx::query("SELECT count(*) FROM sqlite_master").execute(&mut connection).await?;
    Ok(connection)
}
