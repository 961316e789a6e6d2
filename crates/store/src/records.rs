//! Records of trials and environments. Their SQL is generated from the lists of columns in `spec::record`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use futures_util::TryStreamExt;

use spec::record::{
    COLUMNS, Column, ENVIRONMENT_COLUMNS, Environment, Kind, Source, Status, TrialRecord, Value,
};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Row, Type};

use crate::backend::{Conn, on};
use crate::error::Fault;

/// Number of rows in one INSERT.
const ROWS: usize = 50;

/// Binds values in order to a query of either database. A NaN becomes NULL.
macro_rules! bind {
    ($query:expr, $values:expr) => {{
        let mut query = $query;
        for value in $values {
            query = match value {
                spec::record::Value::Integer(number) => query.bind(number),
                spec::record::Value::Real(number) => query.bind(number.filter(|number| !number.is_nan())),
                spec::record::Value::Text(text) => query.bind(text),
            };
        }
        query
    }};
}
pub(crate) use bind;

/// Which trials to read: the `FROM …` clause, in which `t` is the trial and `$1` is bound.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// All trials, sorted by id.
    All,
    /// One trial, with its config.
    Trial(&'a str),
    /// Every run of a sweep, in the order of the sweep.
    Cells(&'a str),
    /// The same from this position on.
    CellsFrom(&'a str, i64),
    /// The same without repeated runs of one schedule.
    Runs(&'a str),
    /// The trials of a sweep that are in progress, and those that started or ended at this time or later.
    Recent(&'a str, i64),
}

impl Which<'_> {
    fn from(self) -> (Cow<'static, str>, &'static str) {
        let (from, order) = match self {
            Self::Recent(_, since) => {
                let from = format!(
                    "FROM trials AS t WHERE t.trial_id IN (SELECT trial_id FROM cells WHERE sweep = $1)
                    AND (t.status = 'running' OR t.started_at >= {since} OR t.finished_at >= {since})"
                );
                return (from.into(), "t.trial_id");
            }
            Self::All => ("FROM trials AS t WHERE $1 = ''", "t.trial_id"),
            Self::Trial(_) => ("FROM trials AS t WHERE t.trial_id = $1", "t.trial_id"),
            Self::Cells(_) => (
                "FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id WHERE c.sweep = $1",
                "c.position",
            ),
            Self::CellsFrom(_, position) => {
                let from = format!(
                    "FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id WHERE c.sweep = $1 AND c.position >= {position}"
                );
                return (from.into(), "c.position");
            }
            Self::Runs(_) => (
                "FROM cells AS c JOIN trials AS t ON t.trial_id = c.trial_id WHERE c.sweep = $1 AND c.repeats = 0",
                "c.position",
            ),
        };
        (from.into(), order)
    }

    fn bound(&self) -> &str {
        match self {
            Self::All => "",
            Self::Trial(bound)
            | Self::Cells(bound)
            | Self::CellsFrom(bound, _)
            | Self::Runs(bound)
            | Self::Recent(bound, _) => bound,
        }
    }

    fn selected(self) -> String {
        let columns = COLUMNS.iter().filter_map(|column| match (column.source, self) {
            (Source::Cell, Self::Cells(_) | Self::CellsFrom(..) | Self::Runs(_))
                if column.name == "purpose" =>
            {
                Some("CASE WHEN c.dropped = 1 THEN 'dropped' ELSE c.purpose END AS purpose".to_owned())
            }
            (Source::PerSweep | Source::Cell, Self::Cells(_) | Self::CellsFrom(..) | Self::Runs(_)) => {
                Some(format!("c.{}", column.name))
            }
            (Source::Cell, _) => None,
            _ if column.kind == Kind::Json && !matches!(self, Self::Trial(_)) => None,
            _ => Some(format!("t.{}", column.name)),
        });
        columns.collect::<Vec<_>>().join(", ")
    }
}

/// Reads records. Reads the config only for a single trial, because configs are long.
pub(crate) async fn read(mut conn: Conn<'_>, which: Which<'_>) -> Result<Vec<TrialRecord>, sqlx::Error> {
    let (from, order) = which.from();
    let environments = environments(conn.reborrow(), &from, which.bound()).await?;
    let sql = format!("SELECT {} {from} ORDER BY {order}", which.selected());
    let records: Result<Vec<TrialRecord>, sqlx::Error> = on!(conn, c => {
        // Row by row: the rows of a large sweep would need far more memory than the records.
        let mut rows = sqlx::query(AssertSqlSafe(sql)).bind(which.bound()).fetch(c);
        let mut records = Vec::new();
        while let Some(row) = rows.try_next().await? {
            records.push(of_row(&row, COLUMNS)?);
        }
        Ok(records)
    });
    let mut records = records?;
    for record in &mut records {
        record.environment = record.environment_id.and_then(|number| environments.get(&number)).cloned();
        if record.status == Status::Diverged {
            record.diverged_loss.get_or_insert(f64::NAN);
        }
    }
    Ok(records)
}

async fn environments(
    conn: Conn<'_>,
    from: &str,
    bound: &str,
) -> Result<HashMap<i64, Arc<Environment>>, sqlx::Error> {
    let sql = format!(
        "SELECT environment_id, {} FROM environments WHERE environment_id IN (SELECT t.environment_id {from})",
        names(ENVIRONMENT_COLUMNS)
    );
    on!(conn, c => {
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(bound).fetch_all(c).await?;
        rows.iter().map(|row| Ok((row.try_get("environment_id")?, Arc::new(of_row(row, ENVIRONMENT_COLUMNS)?)))).collect()
    })
}

/// Makes a record of the columns that a row contains.
pub(crate) fn of_row<'r, R: Row, T: Default>(row: &'r R, columns: &[Column<T>]) -> Result<T, sqlx::Error>
where
    &'static str: ColumnIndex<R>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<f64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
{
    let mut record = T::default();
    for column in columns {
        let value = match column.kind {
            Kind::Integer | Kind::Time => row.try_get(column.name).map(Value::Integer),
            Kind::Real => row.try_get(column.name).map(Value::Real),
            Kind::Text | Kind::Axes | Kind::Files | Kind::Metrics | Kind::Json => {
                row.try_get(column.name).map(Value::Text)
            }
        };
        let value = match value {
            Err(sqlx::Error::ColumnNotFound(_)) => continue,
            value => value?,
        };
        (column.set)(&mut record, value).map_err(|why| sqlx::Error::ColumnDecode {
            index: column.name.to_owned(),
            source: format!("`{}` {why}", column.name).into(),
        })?;
    }
    Ok(record)
}

/// Names of columns, such as `version, git_commit, cpu`.
pub(crate) fn names<'a, R: 'static>(columns: impl IntoIterator<Item = &'a Column<R>>) -> String {
    columns.into_iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// Inserts trials that are not in the table yet, as queued.
pub(crate) async fn queue(
    conn: Conn<'_>,
    records: impl IntoIterator<Item = TrialRecord>,
) -> Result<(), Fault> {
    let planned = || COLUMNS.iter().filter(|column| matches!(column.source, Source::Plan | Source::PerSweep));
    let head = format!("INSERT INTO trials ({})", names(planned()));
    let rows =
        records.into_iter().map(|record| planned().map(|column| (column.get)(&record)).collect::<Vec<_>>());
    insert(conn, &head, rows, "ON CONFLICT (trial_id) DO NOTHING").await
}

/// The columns that training fills.
fn results() -> impl Iterator<Item = &'static Column<TrialRecord>> {
    COLUMNS.iter().filter(|column| matches!(column.source, Source::Start | Source::Training | Source::End))
}

/// Writes the result of a trial from another store. `event` writes results of trials that end in this process.
pub(crate) async fn write_merged(conn: Conn<'_>, record: &TrialRecord) -> Result<(), Fault> {
    let set: Vec<String> =
        (2..).zip(results()).map(|(i, column)| format!("{} = ${i}", column.name)).collect();
    let sql = format!("UPDATE trials SET {} WHERE trial_id = $1", set.join(", "));
    let values = results().map(|column| (column.get)(record));
    on!(conn, c => {
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&record.trial_id);
        bind!(query, values).execute(c).await.map(|_| ())
    })?;
    Ok(())
}

/// `SET …` that resets a trial to how it was before training.
pub(crate) fn reset_columns() -> String {
    let blank = TrialRecord::default();
    let set = results().map(|column| match (column.get)(&blank) {
        Value::Integer(Some(number)) => format!("{} = {number}", column.name),
        Value::Text(Some(text)) => format!("{} = '{text}'", column.name),
        _ => format!("{} = NULL", column.name),
    });
    set.collect::<Vec<_>>().join(", ")
}

/// Runs `HEAD VALUES (…), (…) … TAIL` for chunks of the rows.
pub(crate) async fn insert(
    mut conn: Conn<'_>,
    head: &str,
    rows: impl IntoIterator<Item = Vec<Value>>,
    tail: &str,
) -> Result<(), Fault> {
    let mut rows = rows.into_iter();
    loop {
        let chunk: Vec<Vec<Value>> = rows.by_ref().take(ROWS).collect();
        let Some(first) = chunk.first() else { return Ok(()) };
        let sql = format!("{head} VALUES {} {tail}", placeholders(first.len(), chunk.len()));
        let values = chunk.into_iter().flatten();
        on!(conn.reborrow(), c => bind!(sqlx::query(AssertSqlSafe(sql)), values).execute(c).await.map(|_| ()))?;
    }
}

/// `($1, …), ($5, …) …`.
pub(crate) fn placeholders(columns: usize, rows: usize) -> String {
    let row = |row: usize| {
        let numbers: Vec<String> =
            (row * columns + 1..=(row + 1) * columns).map(|i| format!("${i}")).collect();
        format!("({})", numbers.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::placeholders;

    #[test]
    fn many_rows_make_one_statement() {
        assert_eq!(placeholders(2, 2), "($1, $2), ($3, $4)");
    }
}
