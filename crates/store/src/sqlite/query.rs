//! Runs a user's SQL on SQLite: any single statement that reads.

use std::path::Path;

use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{
    AssertSqlSafe, Column, Decode, Executor, Row, SqlSafeStr, Sqlite, SqliteConnection, Statement, TypeInfo,
    ValueRef,
};

use crate::error::{StoreError, code, sqlite_code};
use crate::query::{Table, Value};
use crate::statement::{self, Refusal, SQLITE};

/// Runs one statement on a connection that can't write.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    path: &Path,
    sql: &str,
) -> Result<Table, StoreError> {
    let refused = |message: String| StoreError::Query { path: path.to_owned(), message };
    statement::check(sql, &SQLITE).map_err(|refusal| refused(refusal.to_string()))?;
    let answered = answer(connection, sql).await;
    answered.map_err(|error| match sqlite_code(&error) {
        Some((code::READONLY, _)) => refused(Refusal::Writes("writing".to_owned()).to_string()),
        Some((code::BUSY | code::LOCKED | code::IOERR | code::CORRUPT | code::FULL | code::NOTADB, _))
        | None => StoreError::at(path, error),
        Some((_, message)) => refused(message),
    })
}

async fn answer(connection: &mut SqliteConnection, sql: &str) -> Result<Table, sqlx::Error> {
    let prepared = (&mut *connection).prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    let rows = rows.iter().map(values).collect::<Result<_, _>>()?;
    Ok(Table { columns, rows })
}

fn values(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len()).map(|i| value(row.try_get_raw(i)?).map_err(sqlx::Error::Decode)).collect()
}

fn value(raw: SqliteValueRef<'_>) -> Result<Value, sqlx::error::BoxDynError> {
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        _ if raw.is_null() => Value::Null,
        "INTEGER" => Value::Integer(<i64 as Decode<Sqlite>>::decode(raw)?),
        "REAL" => Value::Real(<f64 as Decode<Sqlite>>::decode(raw)?),
        "TEXT" => Value::Text(String::from_utf8_lossy(<&[u8] as Decode<Sqlite>>::decode(raw)?).into_owned()),
        _ => Value::Blob(<Vec<u8> as Decode<Sqlite>>::decode(raw)?),
    })
}
