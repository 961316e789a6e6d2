//! The page of the database. The columns of trials and environments are made from the list that the store uses; all other tables
//! on the page are compared with the real schemas, and the queries are run. See `generated` for how to write the page again.

use std::collections::BTreeMap;
use std::fmt::Write;

use spec::record::{COLUMNS, Column, ENVIRONMENT_COLUMNS, Kind, Output, Source, exported};

use crate::generated::{hold, with_table};
use crate::support::{Sandbox, root};

const PAGE: &str = "docs/reference/database.md";

fn page() -> String {
    std::fs::read_to_string(root().join(PAGE)).expect("a page")
}

/// The page with the columns of trials and environments as they are in the list.
fn with_columns(page: &str) -> String {
    let trials = table(COLUMNS, |column| match column.source {
        Source::Plan => "the plan; never changes",
        Source::PerSweep => "the plan of the first sweep; `cells` has the value of each sweep",
        Source::Cell => "",
        Source::Start => "the worker that starts the trial",
        Source::Training => "training",
        Source::End => "the end of the trial",
    });
    let environments = table(ENVIRONMENT_COLUMNS, |_| "the worker");
    let head = "| column | type | unit | meaning | comes from | outputs |\n|---|---|---|---|---|---|\n";
    let id = "| `environment_id` | integer | | Number of the row; primary key. | the store | |\n";
    let page = with_block(page, "trials", &format!("{head}{trials}"));
    with_block(&page, "environments", &format!("{head}{id}{environments}"))
}

#[test]
fn the_page_of_exports_lists_every_exported_column() {
    let path = root().join("docs/reference/exports.md");
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
        "| `axis:PATH` | number or text | One column for each axis of the sweep except the lr and the seed; a number if all of \
         its values are numbers. |\n\
         | `metric:NAME` | real | One column for each metric that a program reported under its own name: its last value. |\n",
    );
    hold(&path, &with_table(&page, "| column | type | meaning |\n", &rows));
}

/// Replaces what is between the two comments of a block.
pub(crate) fn with_block(page: &str, block: &str, text: &str) -> String {
    let (before, rest) = page.split_once(&format!("<!-- {block}: begin ")).expect("the begin of the block");
    let (comment, rest) = rest.split_once('\n').expect("a line");
    let end = format!("<!-- {block}: end -->");
    let (_, after) = rest.split_once(&end).expect("the end of the block");
    // A table must not touch the comments.
    format!("{before}<!-- {block}: begin {comment}\n\n{text}\n{end}{after}")
}

fn table<R>(columns: &[Column<R>], source: fn(&Column<R>) -> &'static str) -> String {
    let mut text = String::new();
    for column in columns.iter().filter(|column| column.source != Source::Cell) {
        let Column { name: column_name, kind, unit, meaning, output, .. } = column;
        let outputs = match output {
            Output::Database => "",
            Output::Show => "show",
            Output::Export | Output::Fingerprint => "show, export",
        };
        let row = format!(
            "| `{column_name}` | {} | {unit} | {meaning} | {} | {outputs} |",
            name(*kind),
            source(column)
        );
        writeln!(text, "{}", row.replace("|  |", "| |").replace("|  |", "| |")).expect("memory");
    }
    text
}

/// The type of a column in the databases.
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer | Kind::Time => "integer",
        Kind::Real => "real",
        Kind::Text | Kind::Axes | Kind::Files | Kind::Metrics | Kind::Json => "text",
    }
}

/// The columns of each table and view with their types: an empty type is not known.
type Schema = BTreeMap<String, Vec<(String, String)>>;

/// The tables of the page, by the headings over them.
fn described(page: &str) -> Schema {
    let mut schema = Schema::new();
    let (_, tables) = page.split_once("\n## Tables\n").expect("the section of the tables");
    let mut relation = "";
    for line in tables.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            relation = heading.trim_matches('`');
        } else if let Some(row) = line.strip_prefix("| `") {
            let (column, rest) = row.split_once("` | ").expect("a cell with the type");
            let kind = rest.split(" |").next().unwrap_or_default();
            schema.entry(relation.to_owned()).or_default().push((column.to_owned(), kind.to_owned()));
        }
    }
    schema
}

/// Compares the page with a database: rows are relation, column and type, in the order of the columns.
fn compare(page: &str, rows: impl IntoIterator<Item = (String, String, String)>) {
    let mut real = Schema::new();
    for (relation, column, kind) in rows {
        real.entry(relation).or_default().push((column, kind));
    }
    let mut described = described(page);
    assert_eq!(real.keys().collect::<Vec<_>>(), described.keys().collect::<Vec<_>>(), "tables of {PAGE}");
    for (relation, mut columns) in real {
        let mut on_page = described.remove(&relation).unwrap_or_default();
        // The columns of a trial are in the order of the list, and later migrations add columns behind all others.
        columns.sort();
        on_page.sort();
        let names = |columns: &[(String, String)]| columns.iter().map(|c| c.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&columns), names(&on_page), "columns of `{relation}` in {PAGE}");
        for ((column, real), (_, kind)) in columns.iter().zip(&on_page) {
            assert!(real.is_empty() || real == kind, "{PAGE}: `{relation}.{column}` is {real}, not {kind}");
        }
    }
}

/// The sweep of the page, trained.
fn trained(page: &str, store: &str) -> Sandbox {
    let (_, rest) = page.split_once("```yaml\n").expect("the sweep of the page");
    let (file, _) = rest.split_once("```").expect("its end");
    let sandbox = Sandbox::new();
    sandbox.write("small.yaml", file);
    sandbox.run(&["run", "small.yaml", "-q", "--store", store]).exits(0);
    sandbox
}

#[test]
fn the_page_describes_the_schema_of_sqlite() {
    let page = with_columns(&page());
    hold(&root().join(PAGE), &page);
    let sql = "select m.name || '|' || p.name || '|' || lower(p.type) from sqlite_master m join pragma_table_info(m.name) p \
               where m.type in ('table', 'view') and m.name not like 'sqlite_%' and m.name not like '_sqlx%'";
    let rows = trained(&page, "runs").texts(sql).into_iter().map(|row| {
        let mut cells = row.split('|').map(str::to_owned);
        let mut next = || cells.next().unwrap_or_default();
        (next(), next(), next())
    });
    compare(&page, rows);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "needs PostgreSQL")]
fn the_page_describes_the_schema_of_postgresql_and_its_queries_run_there() {
    let url = pgtest::shared().database();
    let page = page();
    let sandbox = trained(&page, &url);
    let rows = |sql: &str| sandbox.run(&["query", sql, "--format", "json", "--store", &url]).exits(0).json();
    let found = rows(
        "select table_name, column_name, data_type from information_schema.columns \
         where table_schema = 'public' and table_name not like '\\_sqlx%'",
    );
    let text = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    compare(
        &page,
        found.as_array().expect("rows").iter().map(|row| {
            let kind = match text(row, "data_type").as_str() {
                // Sums of integers are numeric.
                "bigint" | "integer" | "numeric" => "integer".to_owned(),
                "double precision" => "real".to_owned(),
                other => other.to_owned(),
            };
            (text(row, "table_name"), text(row, "column_name"), kind)
        }),
    );
    let queries: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ sweep query \"")).collect();
    assert!(!queries.is_empty(), "{PAGE} has no queries");
    queries.iter().for_each(|query| drop(rows(query.trim_end_matches('"'))));
}
