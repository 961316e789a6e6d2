//! The pages about the columns of a trial, made from the list of columns: see `generated`.

use std::fmt::Write;

use spec::record::{COLUMNS, Column, ENVIRONMENT_COLUMNS, Kind, Output, Source, exported};

use crate::generated::{hold, with_table};
use crate::support::root;

#[test]
fn the_page_of_columns_describes_every_column() {
    hold(&root().join("docs/reference/database.md"), &page());
}

#[test]
fn the_page_of_exports_lists_what_is_exported() {
    let path = root().join("docs/export-results.md");
    let page = std::fs::read_to_string(&path).expect("a page");
    let mut rows = String::new();
    for column in exported() {
        let (kind, format) = match column.kind {
            Kind::Time => ("text", " UTC, RFC 3339."),
            kind => (name(kind), ""),
        };
        writeln!(rows, "| `{}` | {kind} | {}{format} |", column.name, column.meaning).expect("memory");
    }
    rows.push_str(
        "| `axis:PATH` | number or text | One column for each axis of the sweep but the lr and the seed; numbers if all its \
         values are numbers. |\n",
    );
    hold(&path, &with_table(&page, "| column | type | what it holds |\n", &rows));
}

fn page() -> String {
    let mut text = String::from(
        "# Columns of a trial\n\nMade from the list in `crates/spec/src/record.rs`; a test holds it.\n\n\
         What is stored of a trial apart from its steps: the table `trials`, and of `cells` what each sweep that asks for the \
         trial has of its own. Both databases have the same columns. `sweep show` prints those with `show`, `sweep export \
         results` those with `export` ([export-results.md](../export-results.md)). A NaN is stored as NULL.\n\n",
    );
    table(&mut text, COLUMNS, |column| match column.source {
        Source::Plan => "the plan; never changes",
        Source::Asked => "the plan; `cells` has that of each sweep, `trials` that of the first",
        Source::Cell => "the plan; in `cells` only",
        Source::Start => "the worker that takes the trial up",
        Source::Training => "training",
        Source::End => "the end of the trial",
    });
    text.push_str("\n## Environments\n\nThe table `environments`: what a result's bits may depend on besides the configuration.\n\n");
    table(&mut text, ENVIRONMENT_COLUMNS, |_| "the worker");
    text
}

fn table<R>(text: &mut String, columns: &[Column<R>], source: fn(&Column<R>) -> &'static str) {
    text.push_str(
        "| column | type | unit | what it means | comes from | outputs |\n|---|---|---|---|---|---|\n",
    );
    for column in columns {
        let Column { name: column_name, kind, unit, meaning, output, .. } = column;
        let outputs = match (output, column.source) {
            (Output::Database, _) => "",
            (Output::Show, _) => "show",
            (_, Source::Cell) => "export",
            _ => "show, export",
        };
        let row = format!(
            "| `{column_name}` | {} | {unit} | {meaning} | {} | {outputs} |",
            name(*kind),
            source(column)
        );
        writeln!(text, "{}", row.replace("|  |", "| |")).expect("memory");
    }
}

/// The type of a column in the databases.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer | Kind::Time => "integer",
        Kind::Real => "real",
        Kind::Text | Kind::Axes | Kind::Files | Kind::Json => "text",
    }
}
