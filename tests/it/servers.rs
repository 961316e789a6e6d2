//! Stores on a PostgreSQL server: several workers, of which some are killed or suspended, and a server that restarts. The tests are
//! ignored if PostgreSQL is not installed.

use std::process::{Child, Stdio};
use std::time::Duration;

use pgtest::Server;
use serde_json::Value;

use crate::support::{Sandbox, finish, kill, signal, wait};

const FILE: &str = "\
data: {dataset: digits, batch_size: 20}
model: {kind: mlp, hidden: [32]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {epochs: 16}
seeds: {tune: 2, decide: 4}
lr: {values: [0.01, 0.02, 0.04, 0.08]}
schedules:
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
  late: {body: 1x, cooldown: {over: \"20%\", to: 0}}
  plateau: {kind: plateau, patience: 1}
";

/// The results that must not depend on how a sweep was trained.
const RESULTS: &str = "\
select t.trial_id, t.status, t.digest, t.weights_hash, t.final_valid_loss, t.test_loss, t.steps_done,
    (select count(*) from metrics m where m.trial_id = t.trial_id) as steps_stored,
    (select count(*) from evaluations e where e.trial_id = t.trial_id) as evaluations
from trials t order by t.trial_id";

/// The cells of a sweep and its decisions.
const CELLS: &str = "\
select sweep, position, schedule, base_lr, trial_id, purpose from cells order by position";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("sweep.yaml", FILE);
    sandbox
}

fn rows(sandbox: &Sandbox, store: &str, sql: &str) -> Value {
    sandbox.run(&["query", sql, "--format", "json", "--store", store]).exits(0).json()
}

fn count(sandbox: &Sandbox, store: &str, what: &str) -> i64 {
    rows(sandbox, store, &format!("select count(*) as n from {what}"))[0]["n"].as_i64().expect("a number")
}

/// The reference: the same sweep in a folder, trained by one process with one worker.
fn undisturbed(sandbox: &Sandbox) -> [Value; 2] {
    sandbox.run(&["sweep.yaml", "-q", "--workers", "1", "--store", "single"]).exits(0);
    [RESULTS, CELLS].map(|sql| rows(sandbox, "single", sql))
}

/// Waits until a sweep is registered. Before that the store has no tables.
fn registered(sandbox: &Sandbox, url: &str) {
    let args = ["query", "select 1 as x from sweeps", "--store", url, "--format", "csv"];
    wait("the sweep is registered", || sandbox.run(&args).stdout.contains('1'));
}

/// Suspends a worker while it holds trials.
fn suspend(sandbox: &Sandbox, url: &str, worker: &Child) {
    let has = format!("leases join runners using (runner_id) where pid = {}", worker.id());
    wait("it has trials", || {
        if count(sandbox, url, &has) == 0 {
            return false;
        }
        signal(worker, "-STOP");
        let suspended = count(sandbox, url, &has) > 0;
        if !suspended {
            // The worker has ended its trials in the meantime.
            signal(worker, "-CONT");
        }
        suspended
    });
}

/// Three workers and a process that only coordinates. One worker is killed; one is suspended past its lease and then continued.
#[test]
#[cfg(unix)]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn three_workers_survive_a_kill_and_a_suspension() {
    let server = pgtest::shared();
    let sandbox = sandbox();
    let wanted = undisturbed(&sandbox);
    let url = server.database();
    let begun = |done: i64| count(&sandbox, &url, "trials where status = 'done'") > done;

    let coordinator = sandbox.start(&["sweep.yaml", "-q", "--workers", "0", "--store", &url, "--lease", "3"]);
    registered(&sandbox, &url);
    let worker = || {
        let args = [
            "worker",
            "-q",
            "--workers",
            "1",
            "--lanes",
            "2",
            "--store",
            &url,
            "--lease",
            "3",
            "--checkpoint-every",
            "1",
        ];
        let mut command = sandbox.command(&args);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the process starts")
    };
    let (mut killed, asleep, third) = (worker(), worker(), worker());
    wait("trials are done", || begun(4));
    suspend(&sandbox, &url, &killed);
    kill(&mut killed);
    suspend(&sandbox, &url, &asleep);
    wait("both are taken for dead", || count(&sandbox, &url, "runners where taken_over_by is not null") == 2);
    let taken_over = count(&sandbox, &url, "trials where status = 'done'");
    signal(&asleep, "-CONT");
    let asleep = asleep.wait_with_output().expect("the process ends");
    let message = String::from_utf8_lossy(&asleep.stderr).into_owned();
    assert_eq!(asleep.status.code(), Some(1), "{message}");
    assert!(message.contains("another process took over the trials of this one"), "{message}");
    assert!(taken_over > 0);

    for process in [coordinator, third] {
        let output = process.wait_with_output().expect("the process ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!([RESULTS, CELLS].map(|sql| rows(&sandbox, &url, sql)), wanted);
    assert_eq!(count(&sandbox, &url, "leases"), 0);
    // The same command has nothing to do, and the other commands work as with a folder.
    sandbox.run(&["sweep.yaml", "-q", "--store", &url]).exits(0);
    let rank = |store: &str| sandbox.run(&["rank", "--store", store]).exits(0).stdout;
    assert_eq!(rank(&url), rank("single"));
    sandbox.run(&["status", "--store", &url]).exits(0);
    sandbox.run(&["reproduce", "best", "-q", "--store", &url]).exits(0);
    sandbox.run(&["report", "-q", "-o", "report.html", "--store", &url]).exits(0);
    sandbox.run(&["doctor", "--store", &url]);
    sandbox.run(&["gc", "-q", "--store", &url]).exits(0);
}

/// A worker that is stopped releases its trials, and others resume them.
#[test]
#[cfg(unix)]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn a_stopped_worker_releases_its_trials() {
    let server = pgtest::shared();
    let sandbox = sandbox();
    let url = server.database();
    let register = ["sweep.yaml", "-q", "--workers", "0", "--store", &url];
    let coordinator = sandbox.start(&register);
    let args = ["worker", "-q", "--workers", "1", "--lanes", "1", "--store", &url, "--wait", "60s"];
    let mut first = sandbox.start(&args);
    registered(&sandbox, &url);
    // The signal arrives during a trial, also on a fast machine.
    suspend(&sandbox, &url, &first);
    signal(&first, "-TERM");
    signal(&first, "-CONT");
    assert_eq!(first.wait().expect("the process ends").code(), Some(130));
    assert_eq!(count(&sandbox, &url, "leases"), 0);
    let args = ["worker", "-q", "--workers", "2", "--store", &url];
    sandbox.run(&args).exits(0);
    let coordinated = coordinator.wait_with_output().expect("the process ends");
    assert!(coordinated.status.success());
    assert_eq!(count(&sandbox, &url, "trials where status != 'done'"), 0);
    sandbox.run(&args).exits(0);
}

/// The server stops during training, and starts again after the leases have expired.
#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn a_server_that_restarts_is_waited_for() {
    let mut server = Server::start();
    let sandbox = sandbox();
    let wanted = undisturbed(&sandbox);
    let url = server.database();
    let args = ["sweep.yaml", "--workers", "1", "--lanes", "1", "--store", &url, "--lease", "2"];
    let spawn = || {
        let mut command = sandbox.command(&args);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the process starts")
    };
    let mut first = spawn();
    let begun = || {
        let sql = "select count(*) as n from trials where status = 'done'";
        sandbox
            .run(&["query", sql, "--store", &url, "--format", "csv"])
            .stdout
            .lines()
            .nth(1)
            .is_some_and(|n| n != "0")
    };
    wait("trials are done", begun);
    let mut second = spawn();
    wait("the second one joins", || count(&sandbox, &url, "runners where sweep is not null") == 2);
    server.stop();
    let gone = sandbox.run(&["rank", "--store", &url]);
    assert_eq!(gone.code, 1, "{}", gone.stderr);
    assert!(gone.stderr.contains("can't reach"), "{}", gone.stderr);
    // Longer than a lease, while both processes have trials.
    std::thread::sleep(Duration::from_secs(5));
    for process in [&mut first, &mut second] {
        assert!(process.try_wait().expect("the child exists").is_none(), "it was over, or did not wait");
    }
    server.restart();
    for process in [first, second] {
        let output = process.wait_with_output().expect("the process ends");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{message}");
    }
    assert_eq!([RESULTS, CELLS].map(|sql| rows(&sandbox, &url, sql)), wanted);
    assert_eq!(count(&sandbox, &url, "runners where taken_over_by is not null"), 0, "nobody had died");
}

/// Errors say what to do, and do not show the password.
#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn problems_with_a_server_are_reported() {
    let server = pgtest::shared();
    let sandbox = sandbox();
    let url = server.database();
    let refused = |store: &str, code: i32, words: &[&str]| {
        for args in [
            &["sweep.yaml", "--store", store][..],
            &["rank", "--store", store],
            &["worker", "--store", store],
        ] {
            let output = finish(sandbox.command(args));
            assert_eq!(output.code, code, "{args:?}: {}", output.stderr);
            for word in words {
                assert!(output.stderr.contains(word), "{word} in {args:?}: {}", output.stderr);
            }
            assert!(!output.stderr.contains("secret"), "{}", output.stderr);
        }
    };
    refused("mysql://me:secret@host/x", 2, &["mysql", "postgres://"]);
    refused("postgres://me:secret@host:0x/x", 2, &["postgres://…"]);
    refused("postgres://me:secret@127.0.0.1:1/x", 1, &["postgres://me@127.0.0.1:1/x", "can't reach"]);
    refused(&server.url("sweep", "nosuch"), 2, &["nosuch", "createdb"]);
    refused(&server.url("nobody", "postgres"), 2, &["nobody", "refused"]);

    // A user with only read access.
    let database = Server::database_name(&url);
    sandbox.write("short.yaml", FILE.replace("epochs: 16", "steps: 5"));
    sandbox.run(&["short.yaml", "-q", "--store", &url]).exits(0);
    server.sql(database, "CREATE ROLE guest LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest");
    let guest = server.url("guest", database);
    sandbox.run(&["rank", "--store", &guest]).exits(0);
    let output = sandbox.run(&["short.yaml", "--store", &guest]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("GRANT"), "{}", output.stderr);

    // Tables of another program, a newer schema, and an older schema.
    let foreign = server.database();
    let name = Server::database_name(&foreign);
    server.sql(name, "CREATE TABLE trials (x int)");
    refused(&foreign, 2, &["another program"]);
    server.sql(database, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 5");
    refused(&url, 2, &["newer version"]);
    server.sql(database, "DELETE FROM _sqlx_migrations WHERE version = 9999");
    let output = sandbox.run(&["rank", "--store", &url]);
    assert_eq!(output.code, 2, "{}", output.stderr);
    assert!(output.stderr.contains("older version"), "{}", output.stderr);
}

/// No query can write.
#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn a_query_on_a_server_can_only_read() {
    let server = pgtest::shared();
    let sandbox = sandbox();
    let url = server.database();
    sandbox.write("short.yaml", FILE.replace("epochs: 16", "steps: 5"));
    sandbox.run(&["short.yaml", "-q", "--store", &url]).exits(0);
    let before = rows(&sandbox, &url, RESULTS);
    for sql in [
        "delete from trials",
        "with gone as (delete from trials returning 1) select * from gone",
        "select 1; delete from trials",
        "explain analyze delete from trials",
        "copy trials to program 'true'",
        "set transaction read write",
        "do $$ begin delete from trials; end $$",
        "select set_config('transaction_read_only', 'off', false); delete from trials",
    ] {
        let output = sandbox.run(&["query", sql, "--store", &url]);
        assert_eq!(output.code, 2, "{sql}: {}{}", output.stdout, output.stderr);
    }
    assert_eq!(rows(&sandbox, &url, RESULTS), before);
    let kinds = "select 1 as a, 1.5 as b, 2.5::float8 as c, true as d, null as e, 'x' as f, sum(1) as g, now() - now() as h";
    let row = &rows(&sandbox, &url, kinds)[0];
    let expected =
        serde_json::json!({"a": 1, "b": 1.5, "c": 2.5, "d": 1, "e": null, "f": "x", "g": 1, "h": "00:00:00"});
    assert_eq!(*row, expected);
}

/// Only the server receives the password; it is in no message, row or child process.
#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn a_password_is_never_shown() {
    let server = pgtest::shared();
    let sandbox = sandbox();
    let url = server.database();
    let secret = url.replace("postgres://sweep@", "postgres://sweep:hunter2@");
    sandbox.write("short.yaml", FILE.replace("epochs: 16", "steps: 5"));
    let mut command = sandbox.command(&["short.yaml"]);
    command.env("SWEEP_STORE", &secret).env("SWEEP_LOG", "trace");
    let output = finish(command).exits(0);
    assert!(!output.stderr.contains("hunter2") && !output.stdout.contains("hunter2"));
    assert!(output.stdout.contains(" --store "), "{}", output.stdout);
    for verb in [&["--help"][..], &["run", "--help"], &["status"], &["doctor"], &["show", "best"]] {
        let mut command = sandbox.command(verb);
        command.env("SWEEP_STORE", &secret);
        let output = finish(command);
        assert!(!output.stderr.contains("hunter2") && !output.stdout.contains("hunter2"), "{verb:?}");
    }
    let database = Server::database_name(&url);
    let tables = server.sql(
        database,
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    );
    assert!(tables.lines().count() > 9, "{tables}");
    for table in tables.lines() {
        assert!(!server.sql(database, &format!("select * from {table}")).contains("hunter2"), "{table}");
    }
}

/// Shards need separate stores, leases are limited, and the same command retries failed trials.
#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn a_server_takes_workers_and_no_shards() {
    let server = pgtest::shared();
    let sandbox = sandbox();
    sandbox.write("short.yaml", FILE.replace("epochs: 16", "steps: 5").replace("{tune: 2, decide: 4}", "2"));
    let url = server.database();
    let output = sandbox.run(&["run", "short.yaml", "--shard", "1/2", "--store", &url]).exits(2);
    assert!(output.stderr.contains("its own store"), "{}", output.stderr);
    let output = sandbox.run(&["worker", "--lease", "18446744073709551615", "--store", &url]).exits(2);
    assert!(output.stderr.contains("--lease"), "{}", output.stderr);
    sandbox.run(&["short.yaml", "-q", "--store", &url]).exits(0);
    server.sql(
        Server::database_name(&url),
        "UPDATE trials SET status = 'failed', error = 'a cosmic ray', digest = NULL, weights_hash = NULL,
            final_valid_loss = NULL WHERE trial_id IN (SELECT trial_id FROM trials ORDER BY trial_id LIMIT 2)",
    );
    // A worker does not retry trials that others gave up; `sweep run` does.
    sandbox.run(&["worker", "-q", "--store", &url]).exits(0);
    assert_eq!(count(&sandbox, &url, "trials where status = 'failed'"), 2);
    let coordinator = sandbox.start(&["short.yaml", "-q", "--workers", "0", "--store", &url]);
    sandbox.run(&["worker", "-q", "--store", &url, "--wait", "3s"]).exits(0);
    assert_eq!(coordinator.wait_with_output().expect("the process ends").status.code(), Some(0));
    assert_eq!(count(&sandbox, &url, "trials where status != 'done'"), 0);
}
