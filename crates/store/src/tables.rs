//! Lists existing tables and columns in the error for a query that names one that does not exist.

use crate::backend::{Conn, on};
use crate::error::StoreError;

/// A column: the name of its table or view, and its own name.
type Column = (String, String);

const SQLITE: &str = "
    SELECT m.name, p.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
    WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite%' AND m.name NOT LIKE '%sqlx%'
    ORDER BY m.name, p.cid";

const POSTGRES: &str = "
    SELECT table_name::text, column_name::text FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name NOT LIKE '%sqlx%'
    ORDER BY table_name, ordinal_position";

/// Adds the existing names to the error of a query that names a missing column or table.
pub(crate) async fn with_known_names(conn: Conn<'_>, sql: &str, error: StoreError) -> StoreError {
    let StoreError::Query { path, message } = error else { return error };
    let missing =
        ["no such column", "no such table", "does not exist"].iter().any(|text| message.contains(text));
    if !missing {
        return StoreError::Query { path, message };
    }
    let catalogue = conn.pick(SQLITE, POSTGRES);
    let columns: Result<Vec<Column>, _> = on!(conn, c => sqlx::query_as(catalogue).fetch_all(c).await);
    // If the names can't be read, the message stays unchanged.
    let names = columns.ok().and_then(|columns| names(&columns, sql, message.contains("column")));
    let message = names.map_or(message.clone(), |names| format!("{message}; {names}"));
    StoreError::Query { path, message }
}

/// The columns of the tables that a statement names, or all tables if it names none or a missing one.
fn names(columns: &[Column], sql: &str, column_missing: bool) -> Option<String> {
    let words: Vec<String> =
        sql.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_lowercase).collect();
    let mut tables: Vec<&str> = columns.iter().map(|(table, _)| table.as_str()).collect();
    tables.dedup();
    let named: Vec<&str> =
        tables.iter().copied().filter(|table| words.contains(&(*table).to_lowercase())).collect();
    if !column_missing || named.is_empty() {
        return (!tables.is_empty()).then(|| format!("existing tables and views: {}", tables.join(", ")));
    }
    let listed = named.iter().map(|named| {
        let of_table = columns.iter().filter(|(table, _)| table == named).map(|(_, column)| column.as_str());
        format!("columns of {named}: {}", of_table.collect::<Vec<_>>().join(", "))
    });
    let mut parts: Vec<String> = listed.collect();
    let elsewhere = columns.iter().filter(|(table, column)| {
        words.contains(&column.to_lowercase())
            && !named.contains(&table.as_str())
            && !named_table_has(columns, &named, column)
    });
    parts.extend(elsewhere.map(|(table, column)| format!("{column} is a column of {table}")));
    Some(parts.join("; "))
}

fn named_table_has(columns: &[Column], named: &[&str], name: &str) -> bool {
    columns.iter().any(|(table, column)| named.contains(&table.as_str()) && column == name)
}
