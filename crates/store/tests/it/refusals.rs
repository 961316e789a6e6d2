//! Errors for databases that can't be used name the database and what to do. The database is not changed.

use std::path::Path;

use store::{Reader, Store, StoreError};

use crate::support::*;

/// Every file in a folder with its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_file())
        .map(|entry| {
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .filter(|(name, _)| name != "sweep.lock")
        .collect();
    files.sort();
    files
}

async fn refused(dir: &Path) -> [StoreError; 2] {
    let write = Store::open(dir).await.expect_err("it can't be written");
    let read = Reader::open(dir).await.expect_err("it can't be read");
    for error in [&write, &read] {
        assert!(error.is_users_mistake(), "{error}");
        assert!(error.to_string().contains(dir.to_str().expect("UTF-8")), "{error}");
    }
    [write, read]
}

#[tokio::test]
async fn a_missing_store_can_be_created_but_not_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let runs = dir.path().join("deep/runs");
    let error = Reader::open(&runs).await.expect_err("there is none");
    assert!(matches!(error, StoreError::Missing { .. }) && error.is_users_mistake(), "{error}");
    assert!(error.to_string().contains("sweep.db") && error.to_string().contains("--store"), "{error}");
    assert!(!runs.exists(), "reading creates no files");
    Store::open(&runs).await.expect("made").close().await.expect("closed");
    Reader::open(&runs).await.expect("now there is one");
}

/// A process was killed between creating the file and filling it.
#[tokio::test]
async fn an_unfilled_database_can_be_filled_but_not_read() {
    let empty = tempfile::tempdir().expect("a folder");
    std::fs::write(empty.path().join("sweep.db"), "").expect("written");
    let begun = tempfile::tempdir().expect("a folder");
    let columns = "version BIGINT PRIMARY KEY, description TEXT NOT NULL, installed_on TIMESTAMP NOT NULL DEFAULT \
         CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, execution_time BIGINT NOT NULL";
    execute(begun.path(), &format!("CREATE TABLE _sqlx_migrations ({columns})")).await;
    for dir in [empty, begun] {
        let error = Reader::open(dir.path()).await.expect_err("nothing in it");
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        Store::open(dir.path()).await.expect("filled").close().await.expect("closed");
        Reader::open(dir.path()).await.expect("a store");
    }
}

#[tokio::test]
async fn a_file_instead_of_a_folder_is_rejected() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    std::fs::write(&file, "text").expect("written");
    for path in [file.clone(), file.join("runs")] {
        for error in refused(&path).await {
            assert!(matches!(error, StoreError::NotAFolder { .. }), "{error}");
        }
    }
    assert_eq!(std::fs::read(&file).expect("still there"), b"text");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_rejected_and_unchanged() {
    let long = "this is not a database, despite its name".repeat(100);
    for content in ["x", "SQLite format 3", &long] {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("sweep.db"), content).expect("written");
        for error in refused(dir.path()).await {
            assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
        }
        assert_eq!(files(dir.path()), [("sweep.db".to_owned(), content.as_bytes().to_owned())]);
    }
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("sweep.db")).expect("a folder");
    for error in refused(dir.path()).await {
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_database_of_another_program_is_rejected_and_unchanged() {
    for sql in [
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO notes (note) VALUES ('mine');",
        // Another program that uses the same library, and one that has the same table by chance.
        "CREATE TABLE notes (note); CREATE TABLE _sqlx_migrations (version BIGINT, checksum BLOB);
         INSERT INTO _sqlx_migrations VALUES (1, x'00');",
        "CREATE TABLE _sqlx_migrations (note TEXT);",
        "CREATE TABLE trials (note TEXT); CREATE VIEW ranking AS SELECT * FROM trials;",
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        execute(dir.path(), sql).await;
        let before = files(dir.path());
        for error in refused(dir.path()).await {
            assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        }
        assert_eq!(files(dir.path()), before);
    }
}

#[tokio::test]
async fn a_newer_database_is_rejected_and_unchanged() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = store_with(dir.path(), &small()).await;
    store.close().await.expect("closed");
    let sql = "
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of the future', 1, x'00', 1);
        ALTER TABLE trials ADD COLUMN of_the_future TEXT;";
    execute(dir.path(), sql).await;
    let before = std::fs::read(dir.path().join("sweep.db")).expect("the database");
    for error in refused(dir.path()).await {
        assert!(matches!(error, StoreError::Newer { .. }), "{error}");
        assert!(error.to_string().contains("newer version of sweep"), "{error}");
    }
    assert_eq!(std::fs::read(dir.path().join("sweep.db")).expect("the database"), before);
}

#[tokio::test]
async fn a_database_with_other_tables_of_the_same_names_is_rejected() {
    let dir = tempfile::tempdir().expect("a folder");
    Store::open(dir.path()).await.expect("made").close().await.expect("closed");
    execute(dir.path(), "UPDATE _sqlx_migrations SET checksum = x'00'").await;
    for error in refused(dir.path()).await {
        assert!(matches!(error, StoreError::Unreleased { .. }), "{error}");
    }
}

/// A copy made by SQL can be opened like the original.
#[tokio::test]
async fn a_vacuumed_copy_is_a_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = store_with(dir.path(), &small()).await;
    store.close().await.expect("closed");
    let copy = tempfile::tempdir().expect("a folder");
    let to = copy.path().join("sweep.db");
    execute(dir.path(), &format!("VACUUM INTO '{}'", to.display())).await;
    Reader::open(copy.path()).await.expect("a store");
    Store::open(copy.path()).await.expect("a store");
}

#[tokio::test]
async fn damage_is_reported_and_is_not_the_users_mistake() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = store_with(dir.path(), &small()).await;
    store.close().await.expect("closed");
    let path = dir.path().join("sweep.db");
    let mut bytes = std::fs::read(&path).expect("the database");
    let half = bytes.len() / 2;
    bytes[100..half].fill(0xff);
    std::fs::write(&path, bytes).expect("damaged");
    let error = Store::open(dir.path()).await.expect_err("damaged");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(!error.is_users_mistake() && error.to_string().contains("sweep.db"), "{error}");
}

#[cfg(unix)]
mod read_only {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Removes the permission to write, and restores it when dropped.
    struct Marked(PathBuf, u32);

    impl Marked {
        fn new(path: &Path) -> Self {
            let mode = std::fs::metadata(path).expect("it exists").permissions().mode();
            set_permissions(path, Permissions::from_mode(mode & !0o222)).expect("mine");
            Self(path.to_owned(), mode)
        }
    }

    impl Drop for Marked {
        fn drop(&mut self) {
            set_permissions(&self.0, Permissions::from_mode(self.1)).expect("mine");
        }
    }

    async fn closed_store() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, _) = store_with(dir.path(), &small()).await;
        store.close().await.expect("closed");
        dir
    }

    #[tokio::test]
    async fn a_read_only_store_can_be_read_but_not_written() {
        for name in ["", "sweep.db"] {
            let dir = closed_store().await;
            let before = files(dir.path());
            let marked = Marked::new(&dir.path().join(name));
            let error = Store::open(dir.path()).await.expect_err("read-only");
            assert!(matches!(error, StoreError::ReadOnly { .. }) && error.is_users_mistake(), "{error}");
            let mut reader = Reader::open(dir.path()).await.expect("reading is allowed");
            assert_eq!(reader.results("small").await.expect("rows").len(), 8);
            drop(reader);
            drop(marked);
            if name.is_empty() {
                assert_eq!(files(dir.path()), before, "reading leaves no files in a read-only folder");
            }
            Store::open(dir.path()).await.expect("writable again");
        }
    }

    #[tokio::test]
    async fn an_empty_read_only_folder_is_rejected() {
        let dir = tempfile::tempdir().expect("a folder");
        let _marked = Marked::new(dir.path());
        let error = Store::open(dir.path()).await.expect_err("read-only");
        assert!(matches!(error, StoreError::ReadOnly { .. }) && error.is_users_mistake(), "{error}");
    }
}
