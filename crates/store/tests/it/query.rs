//! Users' SQL.

use store::{Reader, StoreError, Table, Value};

use crate::support::*;

async fn reader() -> (tempfile::TempDir, Reader) {
    let dir = tempfile::tempdir().expect("a folder");
    store_with(dir.path(), &small()).await;
    let reader = Reader::open(dir.path()).await.expect("a store");
    (dir, reader)
}

#[tokio::test]
async fn every_kind_of_value_is_returned() {
    let (_dir, mut reader) = reader().await;
    let sql =
        "SELECT NULL AS a, 7 AS b, 0.5 AS c, 'é;--' AS d, x'00ff' AS e, 9e999, cast(x'61ff' AS TEXT), 1 AS a";
    let table = reader.query(sql).await.expect("good SQL");
    assert_eq!(table.columns[..5], ["a", "b", "c", "d", "e"]);
    let row = [
        Value::Null,
        Value::Integer(7),
        Value::Real(0.5),
        text("é;--"),
        Value::Blob(vec![0, 255]),
        Value::Real(f64::INFINITY),
        text("a\u{fffd}"),
        Value::Integer(1),
    ];
    assert_eq!(table.rows, [row]);
}

#[tokio::test]
async fn columns_are_named_without_rows_too() {
    let (_dir, mut reader) = reader().await;
    let table = reader.query("select trial_id, step + 1 as next from metrics").await.expect("good SQL");
    assert_eq!(table, Table { columns: vec!["trial_id".into(), "next".into()], rows: Vec::new() });
}

#[tokio::test]
async fn all_forms_of_reading_are_allowed() {
    let (_dir, mut reader) = reader().await;
    for sql in [
        "select 1",
        "  -- why\n /* not; this */ SELECT 1 ; ; -- end",
        "with x as (select 1) select * from x;",
        "values (1, 2)",
        "explain query plan select * from trials",
        "explain delete from trials",
        "pragma table_info(trials)",
        "select ';', \";\", [;] from (select 1 as \";\", 2 as [;])",
        "select 'it''s; fine'",
        "select count(*) from ranking",
    ] {
        let table = reader.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert!(!table.rows.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn invalid_and_writing_queries_are_explained() {
    let (dir, mut reader) = reader().await;
    for (sql, word) in [
        ("", "empty"),
        (" ; -- nothing", "empty"),
        ("selec 1", "syntax error"),
        ("select 'open", "unrecognized token"),
        ("select * from nowhere", "no such table: nowhere; existing tables and views: "),
        ("select wrong from trials", "no such column: wrong; columns of trials: trial_id, "),
        ("select digest from metrics", "no such column: digest; columns of metrics: "),
        ("select digest from metrics", "; digest is a column of trials"),
        ("select wrong", "no such column: wrong; existing tables and views: "),
        ("select 1; select 2", "run one at a time"),
        ("select 1; drop table metrics", "run one at a time"),
        ("select 1 /* ; */ ; -- ;\n x", "run one at a time"),
        ("delete from trials", "DELETE is not allowed"),
        ("Insert into trials default values", "INSERT is not allowed"),
        ("drop view ranking", "DROP is not allowed"),
        ("vacuum into 'copy.db'", "VACUUM is not allowed"),
        ("attach 'other.db' as other", "ATTACH is not allowed"),
        ("begin", "BEGIN is not allowed"),
        ("with x as (select 1) delete from trials", "queries can only read"),
        ("pragma user_version = 7", "queries can only read"),
        ("select load_extension('x')", "not authorized"),
        ("select 1\0", "NUL"),
    ] {
        let error = reader.query(sql).await.expect_err(sql);
        assert!(matches!(error, StoreError::Query { .. }) && error.is_users_mistake(), "{sql}: {error:?}");
        assert!(error.to_string().contains(word), "{sql}: {error}");
        assert!(error.to_string().contains("sweep.db"), "{sql}: {error}");
    }
    assert_eq!(reader.results("small").await.expect("rows").len(), 8, "the reader still works");
    assert_eq!(count(dir.path(), "select count(*) from trials").await, 8);
}
