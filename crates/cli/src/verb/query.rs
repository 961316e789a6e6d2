//! `sweep query`: asks the database in SQL, read-only.

use report::{Format, Rows};

use crate::args::{Global, Query};
use crate::exit::{Outcome, print};
use crate::stored::{cell, open, wait_for};

pub(crate) fn run(args: &Query, global: &Global) -> Outcome {
    let table = wait_for(async { Ok(open(global).await?.query(&args.sql).await?) })?;
    let mut rows = Rows::new(table.columns.iter().map(String::as_str));
    rows.rows = table.rows.into_iter().map(|row| row.into_iter().map(cell).collect()).collect();
    print(&rows.render(Format::from(&args.format)))
}
