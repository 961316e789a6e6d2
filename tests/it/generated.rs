//! Pages that are generated from the tables of schedules, lints and models. The tests fail when a page differs from its table.
//! `SWEEP_UPDATE=1 cargo test --release --workspace --test it -- page picture` writes the pages again.

use std::fmt::Write;
use std::path::Path;

use report::plot::{self, Size};
use schedule::catalogue::{CLOCK, Default, ENTRIES, Param};
use schedule::combine::COMBINATORS;
use schedule::index::{FAMILIES, Family, Item};
use schedule::lint::LINTS;
use schedule::preset::PRESETS;

use crate::support::root;

/// Compares a page with what it should be, after writing it where `SWEEP_UPDATE` is set.
pub(crate) fn hold(path: &Path, expected: &str) {
    if std::env::var_os("SWEEP_UPDATE").is_some() {
        std::fs::write(path, expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "{} is out of date: run this test with SWEEP_UPDATE=1", path.display());
}

/// Replaces the table under a head line of a page.
pub(crate) fn with_table(page: &str, head: &str, rows: &str) -> String {
    let (before, rest) = page.split_once(head).expect("the head of the table");
    let (rule, rest) = rest.split_once('\n').expect("a line under it");
    let (_, after) = rest.split_once("\n\n").expect("an end of the table");
    format!("{before}{head}{rule}\n{rows}\n{after}")
}

/// The parameters of a model with their defaults, as a cell.
fn keys(params: &[spec::catalogue::Param]) -> String {
    let key = |param: &spec::catalogue::Param| {
        let more = match param.ty {
            spec::catalogue::ParamType::Word(words) => {
                let others = words.iter().filter(|word| !param.default.contains(*word));
                format!(" (or {})", others.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
            }
            _ => String::new(),
        };
        format!("`{}: {}`{more}", param.name, param.default.trim_matches('"'))
    };
    params.iter().map(key).collect::<Vec<_>>().join(", ")
}

#[test]
fn the_page_of_tasks_lists_every_model() {
    let path = root().join("docs/reference/tasks.md");
    let page = std::fs::read_to_string(&path).expect("a page");
    let (mut models, mut tasks) = (String::new(), String::new());
    for model in &trainer::catalogue().models {
        let row =
            format!("| `{}` | {} | {} |", model.name, keys(model.params), model.doc).replace("|  |", "| |");
        match model.reads {
            spec::catalogue::Reads::Nothing => writeln!(tasks, "{row}").expect("memory"),
            _ => writeln!(models, "{row} {} |", model.loss).expect("memory"),
        }
    }
    let page = with_table(&page, "| `model.kind` | keys | what it is | loss |\n", &models);
    hold(&path, &with_table(&page, "| `task.kind` | keys | what it is |\n", &tasks));
}

#[test]
fn the_page_of_schedules_describes_every_schedule() {
    hold(&root().join("docs/reference/schedules.md"), &page());
}

#[test]
fn the_page_of_lints_describes_every_lint() {
    hold(&root().join("docs/reference/lints.md"), &lints());
}

fn lints() -> String {
    let mut text = String::from(
        "# Lints\n\n<!-- Made from the table in crates/schedule/src/lint.rs; a test holds it. -->\n\n\
         A lint is a warning about a schedule that is legal but probably not meant. `sweep check`, `sweep plan` and \
         `sweep run` print each warning with its line, the fix and the name of the lint. With `--deny-warnings` a warning \
         is an error, and the exit code is 2. A warning about a closed-loop schedule is true for all possible losses.\n\n\
         To silence a lint, name it. Commas separate several names:\n\n\
         ```yaml\n\
         # sweep: allow(mid-cycle)        at the head of the file: in the whole file\n\
         name: mine\n\
         schedules:\n  \
         a: {kind: cyclic, min: 0.1x, up: 300}   # sweep: allow(mid-cycle): for this line, and the value that begins on it\n  \
         # sweep: allow(horizon-mismatch): for the next line, and the value that begins on it\n  \
         b:\n    \
         kind: cosine\n    \
         to: 0.1x\n    \
         over: 500\n  \
         c: {allow: [horizon-mismatch], kind: cosine, over: 500}   # a key: in this schedule\n\
         allow: [same-schedule]                  # a key: in the whole file\n\
         ```\n\n\
         Every mapping that is a schedule accepts the key `allow`. It does not change the ids of trials.\n\n\
         The examples below are in a run of 1000 steps.\n",
    );
    for lint in LINTS {
        write!(text, "\n## `{}`\n\nWarns when {}.\n\n", lint.name, lint.what).expect("memory");
        if !lint.example.is_empty() {
            writeln!(text, "- Example: `{}`", lint.example).expect("memory");
        }
        writeln!(text, "- Fix: {}", lint.fix).expect("memory");
    }
    text
}

/// The size of a picture in the page.
const SIZE: Size = Size { width: 640, height: 230 };

/// The picture of an item's example.
fn picture(item: &Item) -> String {
    let tree = spec::yaml::read(item.example()).expect("an example is YAML");
    let mut problems = Vec::new();
    let node = interop::parse(&tree, item.name(), &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let schedule =
        node.resolve(&plot::RUN).unwrap_or_else(|problems| panic!("{}: {problems:?}", item.name()));
    plot::example(&schedule).page(SIZE).svg()
}

#[test]
fn every_schedule_has_an_image_and_no_image_is_left_over() {
    let folder = root().join("docs/reference/schedules");
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    let mut names: Vec<String> = Vec::new();
    for item in FAMILIES.into_iter().flat_map(Family::items) {
        let name = format!("{}.svg", item.name());
        let svg = picture(&item);
        assert!(svg.len() < 8_000, "{name} has {} bytes", svg.len());
        hold(&folder.join(&name), &svg);
        names.push(name);
    }
    names.sort();
    let files = std::fs::read_dir(&folder).expect("the folder");
    let mut found: Vec<String> =
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    found.sort();
    assert_eq!(found, names);
}

/// Text inside a table's cell.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// All schedules with a line each, linked to their descriptions.
fn short_table() -> String {
    let mut text = String::from("## All schedules\n\n| schedule | what it does | example |\n|---|---|---|\n");
    for entry in ENTRIES {
        row(&mut text, entry.kind, entry.summary, entry.example);
    }
    text.push_str("\nMade of other schedules:\n\n| key | what it does | example |\n|---|---|---|\n");
    for combinator in COMBINATORS {
        row(&mut text, combinator.key, combinator.summary, combinator.example);
    }
    text.push_str("\nNames for combinations, with what they expand to:\n\n| name | what it does | expansion |\n|---|---|---|\n");
    for preset in PRESETS {
        row(&mut text, preset.name, preset.summary, preset.expansion);
    }
    text.push('\n');
    text
}

fn row(text: &mut String, name: &str, summary: &str, example: &str) {
    writeln!(text, "| [`{name}`](#{name}) | {} | `{}` |", cell(summary), cell(example)).expect("memory");
}

fn page() -> String {
    let mut text = String::from(
        "# Schedules\n\n<!-- Made from the tables in crates/schedule/src; a test holds it. -->\n\n\
         `sweep schedules NAME` shows the same in a terminal, with a plot; `sweep lr SCHEDULE` prints the values. The numbers \
         are those of PyTorch, optax, Keras, transformers, timm and others: more than 200 trajectories printed by these \
         libraries are part of the tests. Their names for these schedules, with their own parameters, are in \
         [libraries.md](libraries.md).\n\n\
         - t counts updates from 0; update t uses lr(t). s is the step within the part of the run that a schedule covers, \
         and p the progress through a ramp, from 0 to 1.\n\
         - A learning rate is absolute (`0.01`) or a multiple of the base lr (`0.1x`).\n\
         - A length is a number of steps (`100`, `\"500 steps\"`), a share of the part of the run that the schedule \
         covers (`\"10%\"`, rounded half up), or a number of epochs (`\"2 epochs\"`).\n\
         - A schedule of a sweep file may have its own base lr, or an axis of them, next to its other keys: `lr: 0.3`, \
         `lr: {logspace: [0.01, 1, 5]}`. It replaces the file's `lr` for this schedule, both as the value of `1x` and as the \
         grid that `extend` extends. A call written as text is then the `body`: `{body: \"torch.StepLR(step_size=30)\", lr: 0.3}`.\n",
    );
    writeln!(
        text,
        "- Every schedule also takes `{}`: {}; and `allow`: names of [lints](lints.md) to silence in it.\n",
        CLOCK.name, CLOCK.doc
    )
    .expect("memory");
    text.push_str(&short_table());
    writeln!(
        text,
        "The pictures show the examples over {}. A schedule that watches training is shown over {}.\n",
        plot::RUN_WORDS,
        plot::bowl::WORDS
    )
    .expect("memory");
    for family in FAMILIES {
        writeln!(text, "## {}\n", family.title()).expect("memory");
        family.items().for_each(|item| describe(&mut text, &item));
    }
    text
}

fn describe(text: &mut String, item: &Item) {
    let (name, ends) = (item.name(), item.ends());
    write!(
        text,
        "### `{name}`\n\n{}.\n\n`{}`\n\n![lr over the run](schedules/{name}.svg)\n\n",
        item.summary(),
        item.example()
    )
    .expect("memory");
    let mut point = |line: String| writeln!(text, "- {line}").expect("memory");
    if let Some(formula) = item.formula() {
        point(escaped(formula));
    }
    for (symbol, meaning) in item.symbols() {
        point(format!("`{symbol}`: {meaning}"));
    }
    point(format!(
        "Before its end: {}. At its last step: {}. After it: {}",
        ends.before, ends.at, ends.after
    ));
    if let Some(note) = item.note() {
        point(note.to_owned());
    }
    point(format!("Source: {}", item.source()));
    if !item.aliases().is_empty() {
        let names: Vec<String> = item.aliases().iter().map(|alias| format!("`{alias}`")).collect();
        point(format!("Other names: {}", names.join(", ")));
    }
    for (group, list) in item.params() {
        if let Some(group) = group {
            let shaped =
                if group.shaped { ", and `shape`: the kind of a ramp, with its own parameters" } else { "" };
            writeln!(text, "\n`{}`: {}{shaped}", group.key, group.doc).expect("memory");
        }
        params(text, &list);
    }
    text.push('\n');
}

/// Markdown would take a pair of stars for emphasis.
fn escaped(text: &str) -> String {
    text.split('`')
        .enumerate()
        .map(|(i, part)| if i % 2 == 0 { part.replace('*', "\\*") } else { format!("`{part}`") })
        .collect()
}

fn params(text: &mut String, params: &[&Param]) {
    param_table(text, params.iter().map(|param| param_row(param)).collect());
}

/// A line of a table of parameters.
pub(crate) fn param_row(param: &Param) -> String {
    let default = match param.default {
        Default::Required => "required".to_owned(),
        Default::Is(value) => format!("`{value}`"),
        Default::Absent => "—".to_owned(),
    };
    let (holds, doc) = (cell(&param.ty.to_string()), cell(param.doc));
    format!("| `{}` | {holds} | {default} | {doc} |\n", param.name)
}

/// A table of parameters, where there are any.
pub(crate) fn param_table(text: &mut String, rows: String) {
    if !rows.is_empty() {
        write!(text, "\n| parameter | value | default | meaning |\n|---|---|---|---|\n{rows}")
            .expect("memory");
    }
}
