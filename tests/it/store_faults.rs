//! Disturbances of a store during a sweep: a full disk, concurrent readers, locks of other processes, and a clock that is set
//! back.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};

use crate::support::{Sandbox, binary, finish, inject_binary, root, wait};

const FILE: &str = "\
data: {dataset: digits, limit: 400, batch_size: 20}
model: {kind: mlp, hidden: [16]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 600}
seeds: 4
extend: false
lr: {values: [0.01, 0.02, 0.04]}
schedules:
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
  linear: {kind: linear, to: 0}
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.yaml", FILE);
    sandbox
}

fn undisturbed() -> BTreeMap<String, String> {
    let sandbox = sandbox();
    sandbox.run(&["sweep.yaml", "-q"]).exits(0);
    sandbox.fingerprints()
}

/// A disk of 1 MB in a separate mount namespace, which is enlarged afterwards.
#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(not(has_mounts), ignore = "needs a mount namespace")]
fn a_full_disk_stops_a_sweep_and_loses_nothing() {
    let unshare = ["--mount", "--map-root-user", "sh", "-c"];
    let sandbox = sandbox();
    std::fs::create_dir_all(sandbox.path("runs")).expect("a folder");
    std::fs::create_dir_all(sandbox.path("kept")).expect("a folder");
    let script = "
        mount -t tmpfs -o size=1m tmpfs runs || exit 99
        \"$0\" sweep.yaml -q --checkpoint-every 1 2>first; echo $? >code
        \"$0\" query 'pragma integrity_check' --format csv >whole 2>&1
        mount -o remount,size=100m runs || exit 99
        \"$0\" sweep.yaml -q 2>second || exit 98
        cp -r runs/. kept";
    let mut command = Command::new("unshare");
    command.args(unshare).arg(script).arg(binary()).current_dir(sandbox.path(".")).stdin(Stdio::null());
    command.env("SWEEP_DATA_DIR", root().join("data")).env_remove("SWEEP_STORE").env("NO_COLOR", "1");
    let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).unwrap_or_default();
    let output = finish(command);
    assert_eq!(output.code, 0, "{}{}{}", output.stderr, read("first"), read("second"));
    assert_eq!(read("code").trim(), "1", "{}", read("first"));
    assert!(read("first").contains("no space left to write"), "{}", read("first"));
    assert!(!read("first").contains("panicked"), "{}", read("first"));
    assert!(read("whole").contains("ok"), "{}", read("whole"));
    std::fs::remove_dir(sandbox.path("runs")).expect("it is empty here");
    std::fs::rename(sandbox.path("kept"), sandbox.path("runs")).expect("moved");
    assert_eq!(sandbox.fingerprints(), undisturbed());
}

/// Eight permanent readers, one with an open transaction, cause no errors.
#[test]
fn readers_and_a_sweep_do_not_disturb_each_other() {
    let sandbox = sandbox();
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let url = format!("sqlite://{}?mode=ro", sandbox.path("runs/sweep.db").display());
    let read = |holds: bool| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&url).await.expect("a reader");
            while !stop.load(Ordering::Relaxed) {
                if holds {
                    sqlx::query("BEGIN").execute(&mut connection).await.expect("no error");
                }
                for sql in [
                    "SELECT count(*) FROM metrics",
                    "SELECT count(*) FROM ranking",
                    "SELECT count(*) FROM curves",
                ] {
                    let _: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("no error");
                    reads.fetch_add(1, Ordering::Relaxed);
                }
                if holds {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    sqlx::query("COMMIT").execute(&mut connection).await.expect("no error");
                }
            }
        });
    };
    let mut sweep = sandbox.start(&["sweep.yaml", "-q"]);
    wait("a store", || sandbox.run(&["query", "select count(*) from trials"]).code == 0);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let read = &read;
            scope.spawn(move || read(i == 0));
        }
        let status = sweep.wait().expect("the process ends");
        stop.store(true, Ordering::Relaxed);
        assert!(status.success());
    });
    assert!(reads.load(Ordering::Relaxed) > 8);
    assert_eq!(sandbox.fingerprints(), undisturbed());
}

/// The sweep waits while a database shell holds the lock.
#[test]
#[cfg(target_os = "linux")]
fn a_sweep_waits_for_a_shell_that_writes() {
    let sandbox = sandbox();
    sandbox.run(&["sweep.yaml", "-q"]).exits(0);
    let url = format!("sqlite://{}", sandbox.path("runs/sweep.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let waited = runtime.block_on(async {
        let mut shell = SqliteConnection::connect(&url).await.expect("a shell");
        sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut shell).await.expect("locked");
        let log = sandbox.path("points");
        let mut command = sandbox.command_of(inject_binary(), &["sweep.yaml", "-q"]);
        command.env("SWEEP_FAULT_LOG", &log).stdout(Stdio::null()).stderr(Stdio::null());
        let mut second = command.spawn().expect("the process starts");
        let files = format!("/proc/{}/fd", second.id());
        let has_store = |file: std::fs::DirEntry| {
            std::fs::read_link(file.path()).is_ok_and(|file| file.ends_with("runs/sweep.db"))
        };
        wait("it opens the store", || {
            std::fs::read_dir(&files).is_ok_and(|files| files.flatten().any(has_store))
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(second.try_wait().expect("the child exists").is_none(), "it waits");
        let passed = std::fs::read_to_string(&log).unwrap_or_default();
        assert!(!passed.contains("store.commit"), "the lock did not hold it: {passed}");
        sqlx::raw_sql("ROLLBACK").execute(&mut shell).await.expect("free");
        second.wait().expect("the process ends")
    });
    assert!(waited.success());
}

/// Timestamps in the future, as after a clock is set back, change nothing.
#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    let wanted = undisturbed();
    let sandbox = sandbox();
    sandbox.write("sweep.yaml", FILE.replace("seeds: 4", "seeds: 2"));
    sandbox.run(&["sweep.yaml", "-q"]).exits(0);
    sandbox.sql(
        "update sweeps set created_at = created_at + 1e12, updated_at = updated_at + 1e12;
        update trials set started_at = started_at + 1e12, finished_at = finished_at + 1e12;
        update runners set started_at = started_at + 1e12, seen_at = seen_at + 1e12;",
    );
    sandbox.write("sweep.yaml", FILE);
    sandbox.run(&["sweep.yaml", "-q"]).exits(0);
    assert_eq!(sandbox.fingerprints(), wanted);
    sandbox.run(&["status"]).exits(0);
    sandbox.run(&["rank"]).exits(0);
    sandbox.run(&["report", "-o", "report.html", "-q"]).exits(0);
}

#[test]
fn a_query_can_only_read() {
    let sandbox = sandbox();
    sandbox.write("sweep.yaml", FILE.replace("steps: 600", "steps: 5"));
    sandbox.run(&["sweep.yaml", "-q"]).exits(0);
    let before = sandbox.fingerprints();
    for sql in [
        "delete from trials",
        "with x as (select 1) delete from trials",
        "select 1; delete from trials",
        "attach database 'other.db' as other",
        "attach ':memory:' as m",
        "pragma journal_mode = delete",
        "pragma writable_schema = 1",
        "vacuum into 'copy.db'",
        "select load_extension('x')",
        "select writefile('x', 'y')",
        "select readfile('/etc/passwd')",
        "create temp table t (x)",
        "explain delete from trials; delete from trials",
        "replace into sweeps select * from sweeps",
    ] {
        let output = sandbox.run(&["query", sql]);
        let harmless = output.code == 2 || sql.starts_with("pragma");
        assert!(harmless, "{sql}: {} {}", output.code, output.stderr);
        for file in ["other.db", "copy.db", "x"] {
            assert!(!sandbox.path(file).exists(), "{sql} made {file}");
        }
    }
    assert_eq!(sandbox.fingerprints(), before);
    assert_eq!(sandbox.texts("pragma journal_mode"), ["wal"]);
}
