//! The runs of a sweep as a table, for `sweep export results` and for downloads.

pub mod axes;
mod cell;
mod column;

use std::collections::BTreeSet;

use report::{Rows, lines};
use spec::record::{self, TrialRecord};

pub use cell::{cell, utc};
pub use column::{Column, Kind};

/// The columns of the table, and a row of cells for each run.
pub fn table(runs: &[TrialRecord]) -> (Vec<Column>, Vec<Vec<report::Cell>>) {
    let axes = axes::of(runs);
    let exported: Vec<_> = record::exported().collect();
    let mut columns: Vec<Column> =
        exported.iter().map(|column| (column.name.to_owned(), kind(column))).collect();
    columns.extend(axes.iter().map(|axis| (format!("axis:{}", axis.path), axis.kind)));
    let metrics: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.metrics.0.keys().map(String::as_str)).collect();
    columns.extend(metrics.iter().map(|name| (format!("metric:{name}"), Kind::Real)));
    let row = |run: &TrialRecord| {
        exported
            .iter()
            .map(|column| cell(column, run))
            .chain(axes.iter().map(|axis| axis.cell(run)))
            .chain(metrics.iter().map(|name| run.metrics.0.get(*name).copied().into()))
            .collect()
    };
    (columns, runs.iter().map(row).collect())
}

/// The same table as CSV.
pub fn csv(runs: &[TrialRecord]) -> String {
    let (columns, cells) = table(runs);
    let columns: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
    let header = lines::csv_header(&columns);
    header + &lines::csv(&Rows { columns, rows: cells, ..Rows::default() })
}

/// The type of an exported column.
fn kind(column: &record::Column<TrialRecord>) -> Kind {
    match column.kind {
        record::Kind::Integer => Kind::Integer,
        record::Kind::Real => Kind::Real,
        _ => Kind::Text,
    }
}
