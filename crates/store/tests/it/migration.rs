//! Databases of older versions, and changes in a database shell.

use std::borrow::Cow;
use std::path::Path;

use sqlx::Connection;
use sqlx::migrate::Migrator;
use store::{Reader, Sharing, Store, Value};

use crate::support::*;

/// A database of the first version: two trials with steps, one of them killed, and one without.
async fn old_store(dir: &Path) -> [String; 3] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let all = Migrator::new(folder).await.expect("the migrations");
    let first = all.iter().take(1).cloned().collect();
    let first = Migrator { migrations: Cow::Owned(first), ..Migrator::DEFAULT };
    let mut shell = shell(dir).await;
    first.run_direct(None, &mut shell, false).await.expect("migrated");
    let ids = ["aa", "bb", "cc"].map(|start| start.repeat(16));
    let [a, b, c] = &ids;
    // The rows are not in the order of the ids.
    let sql = format!(
        "INSERT INTO sweeps VALUES ('old', 'text', 1, 2);
        INSERT INTO trials
            (trial_id, sweep, schedule, config_id, base_lr, seed, status, steps, steps_done, axes, config)
        VALUES
            ('{c}', 'old', 's', 'x', 0.1, 2, 'queued', 5, 0, '{{}}', '{{}}'),
            ('{b}', 'old', 's', 'x', 0.1, 1, 'running', 5, 3, '{{}}', '{{}}'),
            ('{a}', 'old', 's', 'x', 0.1, 0, 'done', 5, 5, '{{}}', '{{}}');
        INSERT INTO cells VALUES
            ('old', 0, 's', 0.1, '{a}', 0), ('old', 1, 's', 0.1, '{b}', 0), ('old', 2, 's', 0.1, '{c}', 0);
        INSERT INTO metrics VALUES
            ('{a}', 0, 0.1, 2.0, NULL, 1.0), ('{a}', 1, 0.1, 9e999, NULL, -9e999), ('{a}', 2, NULL, NULL, 1.5, NULL),
            ('{a}', 3, 0.3, 1e-310, 9e999, 1.0), ('{a}', 4, 0.1, 0.1, 0.7, 1.0),
            ('{b}', 0, 0.1, 3.0, NULL, 1.0), ('{b}', 1, 0.1, 2.5, 2.25, 1.0), ('{b}', 2, 0.1, 2.5, NULL, 1.0);
        INSERT INTO checkpoints VALUES ('{b}', 2, 'b-2', 7);"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut shell).await.expect("good SQL");
    shell.close().await.expect("closed");
    ids
}

/// Rows as the `sqlite3` shell shows them, for any version of the database.
async fn rows_of(dir: &Path, sql: &str) -> Vec<String> {
    let output =
        std::process::Command::new("sqlite3").arg("-readonly").arg(dir.join("sweep.db")).arg(sql).output();
    let output = output.expect("the sqlite3 command line is needed for this test");
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_database_of_the_first_version_is_migrated_without_loss() {
    let dir = tempfile::tempdir().expect("a folder");
    let [a, b, c] = old_store(dir.path()).await;
    // Reading shows it as if it were migrated, and leaves it usable for the older version.
    let mut reader = Reader::open(dir.path()).await.expect("readable");
    assert_eq!(reader.results("old").await.expect("readable").len(), 3);
    assert_eq!(reader.steps(&a).await.expect("readable").len(), 5);
    drop(reader);
    assert_eq!(rows_of(dir.path(), "SELECT max(version) FROM _sqlx_migrations").await, ["1"]);
    let all = [
        "SELECT * FROM metrics ORDER BY trial_id, step",
        "SELECT * FROM curves ORDER BY trial_id, step",
        "SELECT trial_id, sweep, schedule, config_id, base_lr, seed, status, steps, steps_done, final_train_loss,
            final_valid_loss, valid_accuracy, test_loss, test_accuracy, diverged_at, diverged_loss, digest,
            weights_hash, error, attempts, environment_id, started_at, finished_at, axes, config
        FROM trials",
        "SELECT sweep, position, schedule, base_lr, trial_id, repeats FROM cells",
        "SELECT * FROM checkpoints",
    ];
    let mut before = Vec::new();
    for sql in all {
        before.push(rows_of(dir.path(), sql).await);
    }
    assert_eq!(before[0].len(), 8);

    let mut store = Store::open(dir.path()).await.expect("migrated");
    check_integrity(dir.path()).await;
    for (sql, before) in all.iter().zip(&before) {
        assert_eq!(&rows_of(dir.path(), sql).await, before, "{sql}");
    }
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let sharing = reader.sharing("old").await.expect("readable");
    assert_eq!(sharing, Some(Sharing { trials: 3, steps_asked: 8, steps_trained: 8 }));
    let losses: Vec<_> = reader.steps(&a).await.expect("rows").iter().map(|row| row.train_loss).collect();
    assert_eq!((losses[0], losses[1], losses[2].is_nan(), losses[3]), (2.0, f64::INFINITY, true, 1e-310));

    // The killed trial resumes from its checkpoint, the third one starts.
    let environment = store.environment(&environment()).await.expect("a number");
    let next = store.next_stage().await.expect("a number");
    let events = [
        started(&[&b], 2),
        stage(next, 2, &[&b]),
        steps(next, 2..5),
        ended(&b, done(1.0)),
        started(&[&c], 0),
        stage(next + 1, 0, &[&c]),
        steps(next + 1, 0..5),
        ended(&c, done(1.0)),
    ];
    store.write(&events, environment).await.expect("written");
    assert_eq!(count(dir.path(), "SELECT count(*) FROM metrics").await, 15);
    let rows = rows_of(dir.path(), "SELECT * FROM metrics ORDER BY trial_id, step").await;
    assert_eq!(rows[..7], before[0][..7], "the rows from before");
    check_integrity(dir.path()).await;
}

/// Two trials that share four steps and have one more each.
async fn shared(dir: &Path) -> (Store, [String; 2]) {
    let plan = small();
    let (mut store, environment) = store_with(dir, &plan).await;
    let [a, b] = [&plan.trials[0].id, &plan.trials[1].id];
    let events = [
        started(&[a, b], 0),
        stage(1, 0, &[a, b]),
        steps(1, 0..4),
        evaluated(1, a, 2, 0.5),
        stage(2, 4, &[a]),
        stage(3, 4, &[b]),
        steps(2, 4..5),
        steps(3, 4..5),
    ];
    store.write(&events, environment).await.expect("written");
    (store, [a.clone(), b.clone()])
}

#[tokio::test]
async fn metrics_can_be_changed_in_a_shell() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_store, [a, b]) = shared(dir.path()).await;
    let sql = format!(
        "UPDATE metrics SET train_loss = train_loss + step, valid_loss = 7 WHERE trial_id = '{a}' AND step >= 3;
        UPDATE metrics SET lr = 0.5, grad_norm = NULL WHERE trial_id = '{b}' AND step = 4;"
    );
    execute(dir.path(), &sql).await;
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let mut expected: Vec<_> = (0..5).map(|step| metric_row(step, 2.0, None)).collect();
    expected[3].train_loss = 5.0;
    expected[4].train_loss = 6.0;
    expected[2].valid_loss = Some(0.5);
    expected[3].valid_loss = Some(7.0);
    expected[4].valid_loss = Some(7.0);
    assert_eq!(reader.steps(&a).await.expect("rows"), expected);
    // The other trial shares step 3, but not its validation loss.
    let stored = reader.steps(&b).await.expect("rows");
    let of_b: Vec<_> = stored.iter().map(|row| (row.train_loss, row.valid_loss)).collect();
    assert_eq!(of_b, [(2.0, None), (2.0, None), (2.0, None), (5.0, None), (2.0, None)]);
    assert!((stored[4].lr, stored[4].grad_norm.is_nan()) == (0.5, true), "{stored:?}");
    check_integrity(dir.path()).await;
}

#[tokio::test]
async fn deleting_a_trial_in_a_shell_keeps_shared_steps() {
    let dir = tempfile::tempdir().expect("a folder");
    let (_store, [a, b]) = shared(dir.path()).await;
    for (id, rows) in [(a, [5, 2, 2, 0]), (b, [0, 0, 0, 0])] {
        let sql =
            format!("DELETE FROM cells WHERE trial_id = '{id}'; DELETE FROM trials WHERE trial_id = '{id}'");
        execute(dir.path(), &sql).await;
        for (table, rows) in ["steps", "stages", "trial_stages", "evaluations"].into_iter().zip(rows) {
            assert_eq!(count(dir.path(), &format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
        }
        check_integrity(dir.path()).await;
    }
}

/// With a scan of all steps, reading one trial would be as slow as the database is large.
#[tokio::test]
async fn the_steps_of_a_trial_are_found_by_index() {
    let dir = tempfile::tempdir().expect("a folder");
    let (store, _) = shared(dir.path()).await;
    let queries = [
        "SELECT * FROM metrics WHERE trial_id = 'x' ORDER BY step",
        "SELECT train_loss FROM metrics WHERE trial_id = 'x' AND step = 5",
        "SELECT * FROM trials AS t JOIN metrics USING (trial_id) WHERE t.sweep = 'x'",
        "SELECT schedule, count(DISTINCT lr) FROM trials JOIN metrics USING (trial_id) GROUP BY schedule",
        "SELECT * FROM curves WHERE sweep = 'x' AND schedule = 'y'",
        "SELECT * FROM sharing WHERE sweep = 'x'",
        "UPDATE metrics SET train_loss = 1 WHERE trial_id = 'x' AND step > 7",
    ];
    let check = async || {
        for sql in queries {
            let plan = query(dir.path(), &format!("EXPLAIN QUERY PLAN {sql}")).await;
            let lines = plan.iter().filter_map(|row| match row.last() {
                Some(Value::Text(line)) => Some(line.as_str()),
                _ => None,
            });
            let lines: Vec<_> = lines.collect();
            let finds = |line: &&&str| line.starts_with("SEARCH s USING PRIMARY KEY (stage_id=? AND step");
            assert_eq!(lines.iter().filter(finds).count(), 1, "{sql}: {lines:#?}");
            let scans = |line: &&str| line.starts_with("SCAN s ") || line.starts_with("SCAN steps");
            assert!(!lines.iter().any(|line| scans(line) || line.contains("AUTOMATIC")), "{sql}: {lines:#?}");
        }
    };
    check().await;
    // The same with the statistics that closing collects.
    store.close().await.expect("closed");
    execute(dir.path(), "ANALYZE").await;
    check().await;
}

/// Every table and view of a new store with its columns, and the versions of its schema.
async fn schema(dir: &TestStore, columns: &str) -> Vec<Vec<Value>> {
    drop(Store::open(dir.path()).await.expect("a new store"));
    let mut reader = Reader::open(dir.path()).await.expect("a store");
    let columns = reader.query(columns).await.expect("good SQL").rows;
    let versions =
        reader.query("SELECT version FROM _sqlx_migrations ORDER BY version").await.expect("good SQL").rows;
    // The server's migrations begin with a later number, so only the last version is compared.
    [columns, vec![versions.last().cloned().expect("a version")]].concat()
}

#[tokio::test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
async fn both_databases_have_the_same_tables_and_views() {
    let server = TestStore::server();
    let sqlite = "
        SELECT m.type, m.name, p.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS p
        WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '_sqlx_%'
        ORDER BY m.name, p.name";
    let postgres = "
        SELECT CASE t.table_type WHEN 'VIEW' THEN 'view' ELSE 'table' END, c.table_name::text, c.column_name::text
        FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
        WHERE c.table_schema = current_schema() AND c.table_name NOT LIKE '\\_sqlx\\_%'
        ORDER BY c.table_name::text COLLATE \"C\", c.column_name::text COLLATE \"C\"";
    let folder = schema(&TestStore::folder(), sqlite).await;
    assert!(folder.len() > 100, "{folder:?}");
    assert_eq!(folder, schema(&server, postgres).await);
}
