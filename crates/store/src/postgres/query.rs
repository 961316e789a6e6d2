//! Runs a user's SQL on a server: any single statement that reads.

use std::path::Path;

use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::{AssertSqlSafe, Column, Executor, PgConnection, Row, SqlSafeStr, Statement, TypeInfo, ValueRef};

use crate::error::{StoreError, is_lost};
use crate::query::{Table, Value};
use crate::statement;

/// Runs one statement in a transaction that can't write.
pub(crate) async fn run(connection: &mut PgConnection, name: &Path, sql: &str) -> Result<Table, StoreError> {
    let refused = |message: String| StoreError::Query { path: name.to_owned(), message };
    statement::check(sql, &statement::POSTGRES).map_err(|refusal| refused(refusal.to_string()))?;
    let answered = answer(connection, sql).await;
    answered.map_err(|error| match &error {
        sqlx::Error::Database(answer) if !is_lost(&error) => refused(answer.message().to_owned()),
        _ => StoreError::at(name, error),
    })
}

async fn answer(connection: &mut PgConnection, sql: &str) -> Result<Table, sqlx::Error> {
    let prepared = (&mut *connection).prepare(AssertSqlSafe(sql).into_sql_str()).await?;
    let columns = prepared.columns().iter().map(|column| column.name().to_owned()).collect();
    // A simple query returns every type as text.
    let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
    let rows = rows.iter().map(values).collect::<Result<_, _>>()?;
    Ok(Table { columns, rows })
}

fn values(row: &PgRow) -> Result<Vec<Value>, sqlx::Error> {
    (0..row.len()).map(|i| value(row.try_get_raw(i)?).map_err(sqlx::Error::Decode)).collect()
}

fn value(raw: PgValueRef<'_>) -> Result<Value, sqlx::error::BoxDynError> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    let text = raw.as_str()?;
    let as_text = || Value::Text(text.to_owned());
    Ok(match kind.as_str() {
        "INT2" | "INT4" | "INT8" | "OID" => text.parse().map_or_else(|_| as_text(), Value::Integer),
        "FLOAT4" | "FLOAT8" => text.parse().map_or_else(|_| as_text(), Value::Real),
        // The type of sums and means of whole numbers.
        "NUMERIC" => match (text.parse(), text.parse()) {
            (Ok(whole), _) => Value::Integer(whole),
            (_, Ok(number)) => Value::Real(number),
            _ => as_text(),
        },
        "BOOL" => Value::Integer(i64::from(text == "t")),
        _ => as_text(),
    })
}
