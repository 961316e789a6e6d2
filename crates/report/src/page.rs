//! The list of all schedules, and the page of one schedule: text for a terminal, rows and JSON for programs. All texts come from
//! the tables of the crate `schedule`.

use schedule::catalogue::{CLOCK, Default, Param};
use schedule::index::{FAMILIES, Item};
use serde_json::{Value as Json, json};

use crate::plot::Figure;
use crate::wrap::wrapped;
use crate::{Cell, Rows};

/// All schedules that have a page, one line each, grouped by family.
pub fn list(width: usize) -> String {
    let names = FAMILIES.iter().flat_map(|family| family.items()).map(|item| item.name().len());
    let column = names.max().unwrap_or(0) + 2;
    let mut text = String::new();
    for family in FAMILIES {
        text.push_str(&format!("{}\n", family.title()));
        for item in family.items() {
            listed(&mut text, item.name(), item.summary(), column, width);
        }
        text.push('\n');
    }
    text.push_str("`sweep schedules NAME` shows one of them with formula, parameters and plot\n");
    text
}

/// The list as rows.
pub fn rows() -> Rows {
    let mut rows = Rows::new(["family", "name", "summary", "example", "formula", "source", "aliases"]);
    for item in FAMILIES.iter().flat_map(|family| family.items()) {
        rows.rows.push(vec![
            Cell::from(item.family().name()),
            item.name().into(),
            item.summary().into(),
            item.example().into(),
            item.formula().into(),
            item.source().into(),
            item.aliases().join(" ").into(),
        ]);
    }
    rows
}

/// The page of one schedule. `figure` shows its example; `run` describes the example's run.
pub fn page(item: &Item, figure: &Figure, run: &str, width: usize) -> String {
    let column = 12;
    let mut text = format!("{}\n", item.name());
    wrapped(item.summary(), width).iter().for_each(|line| text.push_str(&format!("{line}\n")));
    text.push_str(&format!("\n  {}\n\n", item.example()));
    text.push_str(&figure.text(width));
    wrapped(run, width).iter().for_each(|line| text.push_str(&format!("{line}\n")));
    let mut section = |title: &str, lines: &[(&str, &str)]| {
        if !lines.is_empty() {
            text.push_str(&format!("\n{title}\n"));
            lines.iter().for_each(|(name, words)| listed(&mut text, name, words, column, width));
        }
    };
    if let Some(formula) = item.formula() {
        section("formula", &[("", formula)]);
        section("where", &item.symbols());
    }
    let ends = item.ends();
    section("at the end", &[("before", ends.before), ("last step", ends.at), ("after", ends.after)]);
    if let Some(note) = item.note() {
        section("note", &[("", note)]);
    }
    section("source", &[("", item.source())]);
    section("also known as", &[("", &item.aliases().join(", "))]);
    for (group, params) in item.params() {
        let params = params.into_iter().chain(group.is_none().then_some(&CLOCK));
        match group {
            None => text.push_str("\nparameters\n"),
            Some(group) => {
                let shape =
                    if group.shaped { "; `shape` may be any ramp, with the ramp's parameters" } else { "" };
                let title = format!("`{}`: {}{shape}", group.key, group.doc);
                text.push('\n');
                wrapped(&title, width).iter().for_each(|line| text.push_str(&format!("{line}\n")));
            }
        }
        params.for_each(|param| listed(&mut text, param.name, &described(param), column + 4, width));
    }
    text
}

fn described(param: &Param) -> String {
    let default = match param.default {
        Default::Required => " (required)".to_owned(),
        Default::Is(value) => format!(" (default {value})"),
        Default::Absent => String::new(),
    };
    format!("{}{default}: {}", param.ty.to_string().replace('`', ""), param.doc)
}

/// Appends a name and its description, wrapped into a column.
fn listed(text: &mut String, name: &str, words: &str, column: usize, width: usize) {
    let column = if name.is_empty() { 2 } else { column + 2 };
    let lines = wrapped(words, width.saturating_sub(column).max(20));
    let gap = column.saturating_sub(4);
    let mut lines = lines.iter();
    match lines.next() {
        // A long name gets its own line.
        Some(first) if name.chars().count() > gap => {
            text.push_str(&format!("  {name}\n{:column$}{first}\n", ""));
        }
        Some(first) => text.push_str(&format!("  {name:gap$}{:1$}{first}\n", "", column - 2 - gap)),
        None => text.push_str(&format!("  {name}\n")),
    }
    lines.for_each(|line| text.push_str(&format!("{:column$}{line}\n", "")));
}

/// The page of one schedule for programs.
pub fn json(item: &Item) -> Json {
    let ends = item.ends();
    let params = item.params().into_iter().flat_map(|(group, params)| {
        params.into_iter().map(move |param| {
            json!({
                "in": group.map(|group| group.key),
                "name": param.name,
                "type": param.ty.to_string(),
                "required": param.default == Default::Required,
                "default": match param.default { Default::Is(value) => Some(value), _ => None },
                "doc": param.doc,
            })
        })
    });
    json!({
        "name": item.name(),
        "family": item.family().name(),
        "summary": item.summary(),
        "example": item.example(),
        "formula": item.formula(),
        "symbols": item.symbols().into_iter().map(|(symbol, meaning)| (symbol.to_owned(), meaning.into())).collect::<serde_json::Map<_, Json>>(),
        "ends": { "before": ends.before, "last_step": ends.at, "after": ends.after },
        "note": item.note(),
        "source": item.source(),
        "aliases": item.aliases(),
        "parameters": params.collect::<Vec<_>>(),
    })
}
