//! No committed data is lost and no transaction is half written, whenever the writer ends.

use std::path::Path;

use store::{Reader, Store};

use crate::support::*;

/// The files as a power cut at this moment would leave them.
fn snapshot(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for name in ["sweep.db", "sweep.db-wal"] {
        if dir.join(name).exists() {
            std::fs::copy(dir.join(name), copy.path().join(name)).expect("a copy");
        }
    }
    copy
}

#[tokio::test]
async fn a_power_cut_at_any_moment_keeps_committed_data() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    store.write(&[started(&[id], 0), stage(1, 0, &[id])], environment).await.expect("written");
    for step in 0..20 {
        store.write(&[steps(1, step..step + 1)], environment).await.expect("written");
        let copy = snapshot(dir.path());
        // Reads first, as users do after a crash, while the log is not yet in the database file.
        let mut reader = Reader::open(copy.path()).await.expect("readable");
        assert_eq!(reader.steps(id).await.expect("rows").len(), usize::try_from(step).expect("small") + 1);
        check_integrity(copy.path()).await;
        let mut again = Store::open(copy.path()).await.expect("writable");
        again.write(&[started(&[id], step)], environment).await.expect("written");
        again.close().await.expect("closed");
        // After closing, the database file contains everything.
        let single_file = tempfile::tempdir().expect("a folder");
        std::fs::copy(copy.path().join("sweep.db"), single_file.path().join("sweep.db")).expect("a copy");
        let sql = "SELECT attempts + 100 * (SELECT count(*) FROM metrics) FROM trials WHERE attempts > 0";
        assert_eq!(count(single_file.path(), sql).await, 2 + 100 * i64::try_from(step).expect("small"));
        check_integrity(copy.path()).await;
    }
}

/// A log that ends within a transaction: the complete transactions before it count.
#[tokio::test]
async fn a_truncated_log_loses_only_the_last_transaction() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    store
        .write(&[started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..5)], environment)
        .await
        .expect("written");
    let log = dir.path().join("sweep.db-wal");
    let length = |path: &Path| path.metadata().expect("a log").len();
    let before = length(&log);
    store.write(&[steps(1, 5..10)], environment).await.expect("written");
    let after = length(&log);
    assert!(before < after);
    for cut in (before..after).step_by(500) {
        let copy = snapshot(dir.path());
        let log = std::fs::OpenOptions::new().write(true).open(copy.path().join("sweep.db-wal"));
        log.expect("a log").set_len(cut).expect("cut");
        let mut reader = Reader::open(copy.path()).await.expect("readable");
        assert_eq!(reader.steps(id).await.expect("rows").len(), 5, "cut at {cut}");
        check_integrity(copy.path()).await;
    }
}

#[tokio::test]
async fn a_reader_sees_complete_batches_while_the_store_writes() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    store
        .write(&[started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..10)], environment)
        .await
        .expect("written");
    assert_eq!(reader.steps(id).await.expect("rows").len(), 10);
    store.write(&[steps(1, 10..20), ended(id, done(1.0))], environment).await.expect("written");
    assert_eq!(reader.steps(id).await.expect("rows").len(), 20);
    // Closing does not wait for readers, not even for one with an open transaction.
    let mut shell = shell(dir.path()).await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM metrics;").execute(&mut shell).await.expect("good SQL");
    store.write(&[ended(&plan.trials[1].id, failed())], environment).await.expect("written");
    let start = std::time::Instant::now();
    store.close().await.expect("closed");
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(reader.steps(id).await.expect("rows").len(), 20);
}

/// A writer that is dropped without closing, as when a task is cancelled.
#[tokio::test]
async fn a_dropped_store_can_be_opened_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = small();
    let (mut store, environment) = store_with(dir.path(), &plan).await;
    let id = &plan.trials[0].id;
    store
        .write(&[started(&[id], 0), stage(1, 0, &[id]), steps(1, 0..10)], environment)
        .await
        .expect("written");
    drop(store);
    let mut store = Store::open(dir.path()).await.expect("a store");
    assert_eq!(store.unfinished("small").await.expect("rows").len(), 8);
    assert_eq!(count(dir.path(), "SELECT count(*) FROM metrics").await, 10);
    check_integrity(dir.path()).await;
}
