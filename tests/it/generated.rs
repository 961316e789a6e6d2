//! Pages that are made from the table of schedules: they must be what the table says. To write them anew:
//! `SWEEP_UPDATE=1 cargo test -p end-to-end generated`.

use std::fmt::Write;
use std::path::Path;

use schedule::catalogue::{CLOCK, Default, ENTRIES, Entry, Holds, Param};
use schedule::combine::{COMBINATORS, Combinator};
use schedule::lint::LINTS;

use crate::support::root;

const BEGIN: &str = "<!-- schedules: begin (made from the table of schedules; a test holds it) -->\n";
const END: &str = "<!-- schedules: end -->\n";

/// Compares a page, or writes it where that was asked for.
pub(crate) fn hold(path: &Path, expected: &str) {
    if std::env::var_os("SWEEP_UPDATE").is_some() {
        std::fs::write(path, expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == expected, "{} is not what the table says; see the head of this test", path.display());
}

#[test]
fn the_readme_lists_every_schedule() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).expect("a README");
    let (before, rest) = readme.split_once(BEGIN).expect("the begin of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    hold(&path, &format!("{before}{BEGIN}{}{END}{after}", short_table()));
}

#[test]
fn the_page_of_schedules_describes_every_schedule() {
    hold(&root().join("docs/schedules.md"), &page());
}

#[test]
fn the_page_of_lints_describes_every_lint() {
    hold(&root().join("docs/lints.md"), &lints());
}

fn lints() -> String {
    let mut text = String::from(
        "# Lints\n\nMade from the table in `crates/schedule/src/lint.rs`; a test holds it.\n\n\
         `sweep check`, `sweep plan` and `sweep run` warn of schedules that are legal and probably not meant, each \
         with its line, its mend and the lint's name. With `--deny-warnings` any warning is a mistake and the exit \
         code 2. What a loss may change is not guessed at: of a closed-loop schedule only that is said which holds \
         whatever the losses.\n\n\
         To silence a lint, name it; several names stand behind each other with commas:\n\n\
         ```yaml\n\
         # sweep: allow(mid-cycle)        at the head of the file: in all of it\n\
         name: mine\n\
         schedules:\n  \
         a: {kind: cyclic, min: 0.1x, up: 300}   # sweep: allow(mid-cycle): of this line, and of what begins on it\n  \
         # sweep: allow(horizon-mismatch): of the next line, and of what begins on it\n  \
         b:\n    \
         kind: cosine\n    \
         to: 0.1x\n    \
         over: 500\n  \
         c: {allow: [horizon-mismatch], kind: cosine, over: 500}   # a key: in this schedule\n\
         allow: [same-schedule]                  # in all of the file\n\
         ```\n\n\
         A key `allow` may stand in any mapping that is a schedule. It changes no trial: its id stays the same.\n",
    );
    for lint in LINTS {
        write!(text, "\n## `{}`\n\nWarns when {}.\n\n", lint.name, lint.what).expect("memory");
        if !lint.example.is_empty() {
            writeln!(text, "- As in: `{}` in a run of 1000 steps", lint.example).expect("memory");
        }
        writeln!(text, "- Mend: {}", lint.fix).expect("memory");
    }
    text
}

/// Text inside a table's cell.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn short_table() -> String {
    let mut text = String::from("\n| schedule | what it does | as in |\n|---|---|---|\n");
    for entry in ENTRIES {
        row(&mut text, entry.kind, entry.summary, entry.example);
    }
    text.push_str("\nand, made of others:\n\n| key | what it does | as in |\n|---|---|---|\n");
    for combinator in COMBINATORS {
        row(&mut text, combinator.key, combinator.summary, combinator.example);
    }
    text.push_str("\n[docs/schedules.md](docs/schedules.md) has their formulas, parameters and sources.\n\n");
    text.push_str(
        "Names that you already know work too, with their library's parameters, or as a call pasted from a Python program: \
         `{kind: torch.OneCycleLR, total_steps: 1500}`, `\"optax.cosine_decay_schedule(0.1, 1500)\"`. \
         [docs/libraries.md](docs/libraries.md) lists those of torch, optax, keras, transformers and timm.\n\n",
    );
    text
}

fn row(text: &mut String, name: &str, summary: &str, example: &str) {
    writeln!(text, "| `{name}` | {} | `{}` |", cell(summary), cell(example)).expect("memory");
}

fn page() -> String {
    let mut text = String::from(
        "# Schedules\n\nMade from the table in `crates/schedule/src/catalogue.rs`; a test holds it.\n\n\
         t counts updates from 0 and lr(t) is the value that update t uses. s is the same within the part of the \
         run that a schedule stands in, and p the progress through a ramp. A learning rate is absolute (`0.01`) or \
         a multiple of the base lr (`0.1x`); a length is a number of steps (`100`), a share of what it stands in \
         (`\"10%\"`, rounded half up), `\"2 epochs\"` or `\"500 steps\"`.\n\n\
         The names that torch, optax, keras, transformers and timm give to these, with their own parameters, are in \
         [libraries.md](libraries.md).\n\n",
    );
    writeln!(
        text,
        "Every schedule also takes `{}`: {}; and `allow`: names of [lints](lints.md) to silence in it.\n",
        CLOCK.name, CLOCK.doc
    )
    .expect("memory");
    let part = |title: &str, entries: Vec<&Entry>| {
        let mut text = format!("## {title}\n\n");
        entries.into_iter().for_each(|entry| describe(&mut text, entry));
        text
    };
    let of = |keep: &dyn Fn(&Entry) -> bool| ENTRIES.iter().copied().filter(|entry| keep(entry)).collect();
    text.push_str(&part("Ramps: from one lr to another", of(&|entry| entry.is_ramp())));
    text.push_str(&part("Functions of the clock", of(&|entry| !entry.is_ramp() && !entry.is_rule())));
    text.push_str(&part("Rules that watch training", of(&|entry| entry.is_rule())));
    text.push_str("## Combinators: schedules made of schedules\n\n");
    COMBINATORS.iter().for_each(|combinator| combine(&mut text, combinator));
    text
}

fn describe(text: &mut String, entry: &Entry) {
    let names: Vec<String> = entry.aliases.iter().map(|alias| format!("`{alias}`")).collect();
    write!(
        text,
        "### `{}`\n\n{}.\n\n`{}`\n\n- {}\n",
        entry.kind, entry.summary, entry.example, entry.formula
    )
    .expect("memory");
    writeln!(text, "- Source: {}", entry.source).expect("memory");
    if !names.is_empty() {
        writeln!(text, "- Known elsewhere as {}", names.join(", ")).expect("memory");
    }
    params(text, entry.all_params());
}

fn combine(text: &mut String, combinator: &Combinator) {
    write!(text, "### `{}`\n\n{}.\n\n`{}`\n", combinator.key, combinator.summary, combinator.example)
        .expect("memory");
    params(text, combinator.params.iter());
    for group in combinator.groups {
        let shaped =
            if group.shaped { ", and `shape`: the kind of a ramp, with its own parameters" } else { "" };
        writeln!(text, "`{}`: {}{shaped}", group.key, group.doc).expect("memory");
        params(text, group.params.iter());
    }
}

fn params<'a>(text: &mut String, params: impl Iterator<Item = &'a Param>) {
    let mut rows = String::new();
    for param in params {
        let default = match param.default {
            Default::Required => "required".to_owned(),
            Default::Is(value) => format!("`{value}`"),
            Default::Absent => "—".to_owned(),
        };
        let (holds, doc) = (cell(&holds(&param.holds)), cell(param.doc));
        writeln!(rows, "| `{}` | {holds} | {default} | {doc} |", param.name).expect("memory");
    }
    if !rows.is_empty() {
        write!(text, "\n| parameter | holds | default | |\n|---|---|---|---|\n{rows}").expect("memory");
    }
    text.push('\n');
}

pub(crate) fn holds(holds: &Holds) -> String {
    match holds {
        Holds::Lr => "a learning rate".to_owned(),
        Holds::PositiveLr => "a learning rate above 0".to_owned(),
        Holds::LrOr(word) => format!("a learning rate, or `{word}`"),
        Holds::Length(least) => format!("a length of at least {least}"),
        Holds::Number(range) => range.words.to_owned(),
        Holds::Whole(least) => format!("a whole number of at least {least}"),
        Holds::Integer => "a whole number".to_owned(),
        Holds::Expression => "an expression".to_owned(),
        Holds::Flag => "`true` or `false`".to_owned(),
        Holds::Choice(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        Holds::Lengths => "a list of lengths".to_owned(),
        Holds::Factors => "a list of numbers above 0".to_owned(),
        Holds::Lrs => "a list of learning rates".to_owned(),
        Holds::Points => "a list of `[length, learning rate]`".to_owned(),
        Holds::Momentum => "`{min, max}`".to_owned(),
    }
}
