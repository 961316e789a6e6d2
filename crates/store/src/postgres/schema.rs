//! Checks whether a database is a sweep database, and which migrations it has.

use std::path::Path;
use std::sync::LazyLock;

use sqlx::PgConnection;
use sqlx::migrate::{MigrateError, Migrator};

use crate::backend::migration;
use crate::error::StoreError;

/// Forward-only, compiled into the program. The same number is the same schema as in SQLite's migrations.
pub(crate) static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    Migrator::with_migrations(vec![
        migration(4, "sweeps", include_str!("../../migrations/postgres/0004_sweeps.sql")),
        migration(5, "scale", include_str!("../../migrations/postgres/0005_scale.sql")),
        migration(6, "origins", include_str!("../../migrations/postgres/0006_origins.sql")),
        migration(7, "looks", include_str!("../../migrations/postgres/0007_looks.sql")),
        migration(8, "metrics", include_str!("../../migrations/postgres/0008_metrics.sql")),
        migration(9, "refine", include_str!("../../migrations/postgres/0009_refine.sql")),
        migration(10, "screening", include_str!("../../migrations/postgres/0010_screening.sql")),
        migration(11, "halving", include_str!("../../migrations/postgres/0011_halving.sql")),
    ])
});

/// The state of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// It has no tables of sweep yet.
    Empty,
    /// A sweep database with all migrations of this program.
    Current,
    /// A sweep database that lacks migrations.
    Older,
}

/// Checks a database without changing it. It may contain tables of other programs, unless their names are those of
/// our tables.
///
/// # Errors
/// This program can't use the database.
pub(crate) async fn inspect(connection: &mut PgConnection, name: &Path) -> Result<Schema, StoreError> {
    let at = |error: sqlx::Error| StoreError::at(name, error);
    let sql = "
        SELECT c.relname::text FROM pg_class AS c
        WHERE c.relnamespace = current_schema()::regnamespace
            AND c.relname IN ('sweeps', 'trials', 'cells', 'steps', 'stages', 'runs', '_sqlx_migrations')";
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await.map_err(at)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    let foreign = || StoreError::Foreign { path: name.to_owned() };
    if !has("_sqlx_migrations") {
        return if names.is_empty() { Ok(Schema::Empty) } else { Err(foreign()) };
    }
    let sql = "SELECT version, checksum FROM _sqlx_migrations";
    let applied: Vec<(i64, Vec<u8>)> = match sqlx::query_as(sql).fetch_all(&mut *connection).await {
        Ok(applied) => applied,
        // Another program's table of this name may have other columns.
        Err(error) if crate::error::is_lost(&error) || crate::error::is_forbidden(&error) => {
            return Err(at(error));
        }
        Err(_) => return Err(foreign()),
    };
    if applied.is_empty() && names.len() == 1 {
        return Ok(Schema::Empty);
    }
    // The first migration never changes: a database that has it is a sweep database of some version.
    let knows =
        |version, checksum: &[u8]| applied.iter().any(|(known, sum)| *known == version && sum == checksum);
    if !MIGRATOR.iter().take(1).all(|first| knows(first.version, &first.checksum)) {
        return Err(foreign());
    }
    if applied.iter().any(|(version, _)| !MIGRATOR.version_exists(*version)) {
        return Err(StoreError::Newer { path: name.to_owned() });
    }
    let current = MIGRATOR.iter().all(|known| applied.iter().any(|(version, _)| *version == known.version));
    Ok(if current { Schema::Current } else { Schema::Older })
}

/// Applies the missing migrations to a database that [`inspect`] accepted. Several processes may call this at the
/// same time: the server runs them one after the other.
pub(crate) async fn migrate(connection: &mut PgConnection, name: &Path) -> Result<(), StoreError> {
    MIGRATOR.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            StoreError::at(name, error)
        }
        MigrateError::VersionMissing(_) => StoreError::Newer { path: name.to_owned() },
        MigrateError::VersionMismatch(_) => StoreError::Unreleased { path: name.to_owned() },
        error => StoreError::Database { path: name.to_owned(), message: error.to_string() },
    })
}
