//! `sweep query`: runs a read-only SQL query on the database.

use report::{Cell, Format, Rows};
use sweep::stored::open;
use sweep::wait_for;

use crate::args::FormatArg;
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One SELECT statement, as in "select * from ranking"
    pub sql: String,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let table = wait_for(async { Ok::<_, Failure>(open(&global.context).await?.query(&args.sql).await?) })?;
    let mut rows = Rows::new(table.columns.iter().map(String::as_str));
    rows.exact_lrs = true;
    rows.rows = table.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
    print(&rows.render(Format::from(&args.format)))
}

/// A value of the database as a cell.
fn cell(value: store::Value) -> Cell {
    match value {
        store::Value::Null => Cell::Null,
        store::Value::Integer(i) => Cell::Integer(i),
        store::Value::Real(x) => Cell::Real(x),
        store::Value::Text(text) => Cell::Text(text),
        store::Value::Blob(bytes) => Cell::Text(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}
