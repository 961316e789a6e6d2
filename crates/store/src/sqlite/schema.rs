//! Checks whether a database is a sweep database, and which migrations it has.

use std::path::Path;
use std::sync::LazyLock;

use sqlx::SqliteConnection;
use sqlx::migrate::{MigrateError, Migrator};

use crate::backend::migration;
use crate::error::StoreError;

/// Forward-only, compiled into the program.
static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    Migrator::with_migrations(vec![
        migration(1, "sweeps", include_str!("../../migrations/sqlite/0001_sweeps.sql")),
        migration(2, "stages", include_str!("../../migrations/sqlite/0002_stages.sql")),
        migration(3, "protocol", include_str!("../../migrations/sqlite/0003_protocol.sql")),
        migration(4, "runners", include_str!("../../migrations/sqlite/0004_runners.sql")),
        migration(5, "scale", include_str!("../../migrations/sqlite/0005_scale.sql")),
        migration(6, "origins", include_str!("../../migrations/sqlite/0006_origins.sql")),
        migration(7, "looks", include_str!("../../migrations/sqlite/0007_looks.sql")),
        migration(8, "metrics", include_str!("../../migrations/sqlite/0008_metrics.sql")),
        migration(9, "refine", include_str!("../../migrations/sqlite/0009_refine.sql")),
        migration(10, "screening", include_str!("../../migrations/sqlite/0010_screening.sql")),
        migration(11, "halving", include_str!("../../migrations/sqlite/0011_halving.sql")),
    ])
});

/// The state of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// It has no tables yet.
    Empty,
    /// A sweep database with all migrations of this program.
    Current,
    /// A sweep database that lacks migrations.
    Older,
}

/// Checks a database without changing it.
///
/// # Errors
/// This program can't use the database.
pub(crate) async fn inspect(connection: &mut SqliteConnection, path: &Path) -> Result<Schema, StoreError> {
    inspect_as(&MIGRATOR, connection, path).await
}

async fn inspect_as(
    migrator: &Migrator,
    connection: &mut SqliteConnection,
    path: &Path,
) -> Result<Schema, StoreError> {
    let at = |error: sqlx::Error| StoreError::at(path, error);
    // The descriptions of the tables must be valid text before any other query, because sqlx relies on it.
    let sql = "SELECT CAST(coalesce(name, '') || coalesce(sql, '') AS BLOB) FROM sqlite_master";
    let described: Vec<Vec<u8>> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await.map_err(at)?;
    if described.iter().any(|text| std::str::from_utf8(text).is_err()) {
        let message = "the descriptions of its tables are not valid UTF-8".to_owned();
        return Err(StoreError::Corrupt { path: path.to_owned(), message });
    }
    let sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *connection).await.map_err(at)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    if names.is_empty() {
        return Ok(Schema::Empty);
    }
    let foreign = || StoreError::Foreign { path: path.to_owned() };
    if !has("_sqlx_migrations") {
        return Err(foreign());
    }
    let sql = "SELECT version, checksum FROM _sqlx_migrations";
    // Another program's table of this name may have other columns.
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as(sql).fetch_all(&mut *connection).await.map_err(|_| foreign())?;
    if applied.is_empty() && names.len() == 1 {
        // A sweep was killed before its first migration.
        return Ok(Schema::Empty);
    }
    // The first migration never changes: a database that has it is a sweep database of some version.
    let knows =
        |version, checksum: &[u8]| applied.iter().any(|(known, sum)| *known == version && sum == checksum);
    if !migrator.iter().take(1).all(|first| knows(first.version, &first.checksum)) {
        return Err(match ["sweeps", "trials", "metrics"].into_iter().all(has) {
            true => StoreError::Unreleased { path: path.to_owned() },
            false => foreign(),
        });
    }
    if applied.iter().any(|(version, _)| !migrator.version_exists(*version)) {
        return Err(StoreError::Newer { path: path.to_owned() });
    }
    let current = migrator.iter().all(|known| applied.iter().any(|(version, _)| *version == known.version));
    Ok(if current { Schema::Current } else { Schema::Older })
}

/// Applies the missing migrations to a database that [`inspect`] accepted.
pub(crate) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let path_buf = || path.to_owned();
    MIGRATOR.run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            StoreError::at(path, error)
        }
        MigrateError::VersionMissing(_) => StoreError::Newer { path: path_buf() },
        MigrateError::VersionMismatch(_) => StoreError::Unreleased { path: path_buf() },
        error => StoreError::Database { path: path_buf(), message: error.to_string() },
    })
}

#[cfg(test)]
mod tests {

    use sqlx::SqlSafeStr;
    use sqlx::migrate::{Migration, MigrationType};

    use super::*;
    use crate::sqlite::connection::{Access, connect};

    /// Both tables of migrations list every file of their folder, with the checksums that databases hold.
    #[tokio::test]
    async fn every_migration_file_is_compiled_in() {
        for (folder, migrator) in [("sqlite", &*MIGRATOR), ("postgres", &*crate::postgres::MIGRATOR)] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let files = Migrator::new(path).await.expect("a folder of migrations");
            let listed = |migrator: &Migrator| -> Vec<_> {
                let entry = |m: &Migration| (m.version, m.description.clone(), m.checksum.clone());
                migrator.iter().map(entry).collect()
            };
            assert_eq!(listed(migrator), listed(&files), "{folder}");
        }
    }

    #[tokio::test]
    async fn older_and_newer_databases_are_recognized() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("sweep.db");
        let mut connection = connect(&path, Access::Write).await.expect("a connection");
        assert_eq!(inspect(&mut connection, &path).await.expect("usable"), Schema::Empty);
        migrate(&mut connection, &path).await.expect("migrated");
        assert_eq!(inspect(&mut connection, &path).await.expect("usable"), Schema::Current);

        let sql = "ALTER TABLE trials ADD COLUMN more TEXT";
        let next = Migration::new(9999, "more".into(), MigrationType::Simple, sql.into_sql_str(), false);
        let newer = Migrator::with_migrations(MIGRATOR.iter().cloned().chain([next]).collect());
        let found = inspect_as(&newer, &mut connection, &path).await.expect("usable");
        assert_eq!(found, Schema::Older);
        newer.run_direct(None, &mut connection, false).await.expect("migrated");
        let found = inspect_as(&newer, &mut connection, &path).await.expect("usable");
        assert_eq!(found, Schema::Current);
        let error = inspect(&mut connection, &path).await.expect_err("too new for us");
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
    }
}
