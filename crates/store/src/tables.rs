//! The tables and views of a store with their columns, for queries that name one that is not there.

use crate::backend::{Conn, on};
use crate::error::StoreError;

/// A column: the table or view that has it, and its name.
type Column = (String, String);

const SQLITE: &str = "
    SELECT m.name, p.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '%sqlx%'
    ORDER BY m.name, p.cid";

const POSTGRES: &str = "
    SELECT table_name::text, column_name::text FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name NOT LIKE '%sqlx%'
    ORDER BY table_name, ordinal_position";

/// The error of a query, with the names that there are where it names a column or a table that is not there.
pub(crate) async fn explained(conn: Conn<'_>, sql: &str, error: StoreError) -> StoreError {
    let StoreError::Query { path, message } = error else { return error };
    let missing =
        ["no such column", "no such table", "does not exist"].iter().any(|words| message.contains(words));
    if !missing {
        return StoreError::Query { path, message };
    }
    let catalogue = conn.pick(SQLITE, POSTGRES);
    let columns: Result<Vec<Column>, _> = on!(conn, c => sqlx::query_as(catalogue).fetch_all(c).await);
    // Without the names the message is what it was.
    let names = columns.ok().and_then(|columns| names(&columns, sql, message.contains("column")));
    let message = names.map_or(message.clone(), |names| format!("{message}; {names}"));
    StoreError::Query { path, message }
}

/// The columns of the tables that a statement names, or all tables where it names none of them or one that is not there.
fn names(columns: &[Column], sql: &str, of_columns: bool) -> Option<String> {
    let words: Vec<String> =
        sql.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase).collect();
    let mut tables: Vec<&str> = columns.iter().map(|(table, _)| table.as_str()).collect();
    tables.dedup();
    let named: Vec<&str> =
        tables.iter().copied().filter(|table| words.contains(&(*table).to_lowercase())).collect();
    if !of_columns || named.is_empty() {
        return (!tables.is_empty()).then(|| format!("the tables and views are {}", tables.join(", ")));
    }
    let listed = named.iter().map(|named| {
        let of_table = columns.iter().filter(|(table, _)| table == named).map(|(_, column)| column.as_str());
        format!("{named} has {}", of_table.collect::<Vec<_>>().join(", "))
    });
    let mut parts: Vec<String> = listed.collect();
    let elsewhere = columns.iter().filter(|(table, column)| {
        words.contains(&column.to_lowercase())
            && !named.contains(&table.as_str())
            && !of_named(columns, &named, column)
    });
    parts.extend(elsewhere.map(|(table, column)| format!("{column} is a column of {table}")));
    Some(parts.join("; "))
}

fn of_named(columns: &[Column], named: &[&str], name: &str) -> bool {
    columns.iter().any(|(table, column)| named.contains(&table.as_str()) && column == name)
}
