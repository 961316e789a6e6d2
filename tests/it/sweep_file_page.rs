//! The page of the sweep file, whose tables are made from the JSON Schema: see `generated`.

use std::fmt::Write;

use serde_json::Value;

use crate::database_page::with_block;
use crate::generated::{cell, hold};
use crate::support::root;

const PAGE: &str = "docs/reference/sweep-file.md";
const HEAD: &str = "| key | value | default | meaning |\n|---|---|---|---|\n";

#[test]
fn the_page_describes_every_key_of_the_sweep_file() {
    let schema = spec::schema::sweep_file(trainer::catalogue());
    let mut page = std::fs::read_to_string(root().join(PAGE)).expect("a page");
    let keys = schema["properties"].as_object().expect("the keys of a file");
    let mut overview = HEAD.to_owned();
    for (key, form) in keys {
        let cells = cells(&schema, key, form, has(&schema["required"], key));
        let name = if page.contains(&format!("\n## `{key}`\n")) {
            format!("[`{key}`](#{key})")
        } else {
            format!("`{key}`")
        };
        writeln!(overview, "| {name} | {cells} |").expect("memory");
        let mut rows = Vec::new();
        collect(&schema, key, form, &mut rows);
        if !rows.is_empty() {
            page = with_block(&page, &format!("keys {key}"), &format!("{HEAD}{}", written(&rows)));
        }
    }
    hold(&root().join(PAGE), &with_block(&page, "keys", &overview));
}

/// A key inside one of the values of a key of the file.
struct Row {
    path: String,
    /// The value, default and meaning.
    cells: String,
    /// The forms of the mapping that have the key, where not all do: kinds, or the key that only one form requires.
    forms: Vec<String>,
}

/// Adds the keys inside a value.
fn collect(schema: &Value, path: &str, form: &Value, rows: &mut Vec<Row>) {
    let kind = |form: &Value| form["properties"]["kind"]["const"].as_str().map(str::to_owned);
    let mut forms = alternatives(schema, form);
    forms.retain(|form| form["properties"].is_object());
    let kinds: Vec<String> = forms.iter().copied().filter_map(kind).collect();
    if !kinds.is_empty() {
        let cells = format!("{} | required | which {path} it is", code(&kinds));
        rows.push(Row { path: format!("{path}.kind"), cells, forms: Vec::new() });
        forms.retain(|form| kind(form).is_some());
    }
    let first = rows.len();
    for form in &forms {
        let name = kind(form).or(form["required"][0].as_str().map(str::to_owned)).unwrap_or_default();
        for (key, value) in
            form["properties"].as_object().into_iter().flatten().filter(|(key, _)| *key != "kind")
        {
            let path = format!("{path}.{key}");
            let mut cells = cells(schema, key, value, has(&form["required"], key));
            if forms.len() > 1 && *key == name {
                cells = cells.replace("| required |", "| one of the forms |");
            }
            match rows.iter_mut().find(|row| row.path == path && row.cells == cells) {
                Some(row) => row.forms.push(name.clone()),
                None => rows.push(Row { path: path.clone(), cells, forms: vec![name.clone()] }),
            }
            if kinds.is_empty() {
                collect(schema, &path, value, rows);
            }
        }
    }
    // Rows of keys that are further inside have forms of their mapping.
    let is_here = |row: &Row| row.path.rsplit_once('.').is_some_and(|(parent, _)| parent == path);
    for row in rows.iter_mut().skip(first).filter(|row| is_here(row) && row.forms.len() == forms.len()) {
        row.forms.clear();
    }
}

fn written(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { path, cells, forms } in rows {
        let is_form = forms.iter().any(|form| path.ends_with(&format!(".{form}")));
        let forms = if forms.is_empty() || is_form { String::new() } else { format!(" ({})", code(forms)) };
        writeln!(text, "| `{path}`{forms} | {cells} |").expect("memory");
    }
    text
}

/// Value, default and meaning of a key.
fn cells(schema: &Value, key: &str, form: &Value, is_required: bool) -> String {
    let default = match &form["default"] {
        Value::Null if is_required => "required".to_owned(),
        Value::Null => "—".to_owned(),
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    };
    let meaning = form["description"].as_str().unwrap_or_default();
    let words = match key {
        "allow" => "name of a [lint](lints.md), or a list of them".to_owned(),
        "schedules" => "mapping from names to [schedules](schedules.md)".to_owned(),
        _ => words(schema, form),
    };
    format!("{} | {default} | {}", cell(&words), cell(meaning))
}

fn has(list: &Value, key: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|item| item == key))
}

/// The form that a reference names.
fn resolved<'a>(schema: &'a Value, form: &'a Value) -> &'a Value {
    let name = form["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.map_or(form, |name| &schema["$defs"][name])
}

/// The forms that a value may have, except an axis of such values.
fn alternatives<'a>(schema: &'a Value, form: &'a Value) -> Vec<&'a Value> {
    let form = resolved(schema, form);
    let each = form["anyOf"].as_array().or(form["oneOf"].as_array());
    match each {
        Some(each) => each.iter().flat_map(|form| alternatives(schema, form)).collect(),
        None if is_axis(form) => Vec::new(),
        None => vec![form],
    }
}

fn is_axis(form: &Value) -> bool {
    form["properties"].as_object().is_some_and(|keys| keys.contains_key("values"))
}

/// The values of a form in words.
fn words(schema: &Value, form: &Value) -> String {
    if let Some(name) = form["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/a_")) {
        return name.replace('_', " ");
    }
    if let Some(each) = form["anyOf"].as_array().or(form["oneOf"].as_array()) {
        let mut all: Vec<String> = Vec::new();
        for form in each.iter().filter(|form| !is_axis(resolved(schema, form))) {
            let words = words(schema, form);
            if !words.is_empty() && !all.contains(&words) {
                all.push(words);
            }
        }
        return all.join(", or ");
    }
    let form = resolved(schema, form);
    if let Some(values) = form["enum"].as_array() {
        let values: Vec<String> = values.iter().map(plain).collect();
        return code(&values);
    }
    match form["type"].as_str() {
        Some("array") if form["items"].is_null() => "list".to_owned(),
        Some("array") => {
            let each = words(schema, &form["items"]);
            if each.contains(' ') { format!("list, each: {each}") } else { format!("list of {each}s") }
        }
        Some("object") if form["additionalProperties"].is_object() => {
            format!("mapping to {}", words(schema, &form["additionalProperties"]))
        }
        Some("object") => "mapping".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("integer") => whole(form),
        Some("string") => match form["pattern"].as_str() {
            Some(pattern) if pattern.contains('%') => "share as in `\"20%\"`".to_owned(),
            Some(_) => "duration as in `30m`".to_owned(),
            None => "text".to_owned(),
        },
        Some(other) => other.to_owned(),
        None => plain(&form["const"]),
    }
}

fn whole(form: &Value) -> String {
    match (&form["minimum"], &form["maximum"]) {
        (Value::Null, _) => "whole number".to_owned(),
        (least, Value::Null) => format!("whole number of at least {least}"),
        (least, most) => format!("whole number from {least} to {most}"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn code(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
