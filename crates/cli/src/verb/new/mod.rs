//! `sweep new`: writes a commented sweep file for a built-in task, a table or a PyTorch script.

mod tasks;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use schedule::problem::listed;
use spec::trial::Source;
use sweep::notes;
use sweep::source::read;

use self::tasks::{ADAM, SGD, Task};
use crate::args::path;
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;
use crate::output::Output;
use crate::shell::{quoted, store_option};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sweep file to write (`-` writes to standard output)
    #[arg(default_value = DEFAULT_FILE, value_parser = path())]
    pub file: PathBuf,
    /// Built-in task to train [default: mnist]
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["csv", "pytorch"])]
    pub task: Option<Task>,
    /// Table to train on: numbers with a header line, and one column of classes
    #[arg(long, value_name = "FILE", conflicts_with = "pytorch", value_parser = path())]
    pub csv: Option<PathBuf>,
    /// Column of the table that holds the classes to predict
    #[arg(long, value_name = "COLUMN", requires = "csv")]
    pub label: Option<String>,
    /// PyTorch script that trains a model
    #[arg(long, value_name = "FILE", value_parser = path())]
    pub pytorch: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    pub force: bool,
}

/// The file to write if none is given.
const DEFAULT_FILE: &str = "sweep.yaml";

/// Largest script to read.
const MOST_BYTES: usize = 16 << 20;

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let is_stdout = args.file == Path::new("-");
    if !is_stdout && !args.force && args.file.exists() {
        return Err(Failure::usage(format_args!(
            "{} already exists; overwrite it with --force",
            args.file.display()
        )));
    }
    let mut template = match (&args.csv, &args.label, &args.pytorch) {
        (Some(csv), Some(label), _) => of_csv(csv, label, global)?,
        (Some(csv), None, _) => return Err(no_label(csv)),
        (_, _, Some(script)) => of_pytorch(script)?,
        _ => of_task(args.task.unwrap_or(Task::Mnist)),
    };
    let name =
        if is_stdout { DEFAULT_FILE.to_owned() } else { quoted(&one_line(&args.file.to_string_lossy())) };
    template.fields.push(("FILE", name.clone()));
    // Two files with one name share a sweep, so a named file gives its name to the sweep.
    if !is_stdout && args.file != Path::new(DEFAULT_FILE) {
        template.fields.retain(|(key, _)| *key != "NAME");
        template.fields.push(("NAME", text_value(&stem(&args.file))));
    }
    let text = template.filled();
    if is_stdout {
        return print(&text);
    }
    Output::file(&args.file)?.write_whole(text.as_bytes())?;
    if !global.quiet {
        let store = store_option(global);
        say(format_args!(
            "wrote {name}; next:\n  sweep{store} check {name}\n  sweep{store} plan {name}\n  sweep{store} {name}"
        ));
    }
    Ok(())
}

/// A sweep file with values still to be filled in.
struct Template {
    /// The part before the learning rates, with `@KEYS@` for values.
    head: &'static str,
    fields: Vec<(&'static str, String)>,
}

impl Template {
    fn filled(&self) -> String {
        let text = format!("{}{}", self.head, include_str!("common.yaml"));
        // Every second piece is a key. Values are not searched for keys.
        let value =
            |key: &str| self.fields.iter().find(|(known, _)| *known == key).map(|(_, value)| value.as_str());
        let pieces = text.split('@').enumerate();
        pieces.map(|(i, piece)| if i % 2 == 1 { value(piece).unwrap_or_default() } else { piece }).collect()
    }
}

fn of_task(task: Task) -> Template {
    let name = task.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let about = task.describe();
    let fields = [
        ("TITLE", about.title),
        ("NAME", name.as_str()),
        ("TASK", about.sections),
        ("BUDGET", about.budget),
        ("LRS", about.lrs),
    ];
    let fields = fields.map(|(key, value)| (key, value.to_owned())).to_vec();
    Template { head: include_str!("built_in.yaml"), fields }
}

/// The file for a table. Batch size and budget follow from the number of rows.
fn of_csv(csv: &Path, label: &str, global: &Global) -> Result<Template, Failure> {
    let file = existing(csv, "CSV file")?;
    let source = Source::Csv { file: file.clone(), label: label.to_owned() };
    let found = trainer::data::inspect_table(&source).map_err(Failure::usage)?;
    if !global.quiet {
        notes::row_number(&source).iter().for_each(|note| say(format_args!("note: {note}")));
    }
    let Size { has_test, batch, epochs, steps } = Size::of(found.examples);
    let fields = vec![
        ("TITLE", one_line(&file)),
        ("NAME", text_value(&stem(csv))),
        ("ROWS", found.examples.to_string()),
        ("INPUTS", found.inputs.to_string()),
        ("CLASSES", found.classes.to_string()),
        ("CSV", text_value(&file)),
        ("LABEL", text_value(label)),
        ("TESTING", if has_test { " and for the test".to_owned() } else { String::new() }),
        ("TEST", if has_test { ", test: \"20%\"".to_owned() } else { String::new() }),
        ("BATCH", batch.to_string()),
        ("EPOCHS", epochs.to_string()),
        ("STEPS", steps.to_string()),
        ("LRS", ADAM.to_owned()),
    ];
    Ok(Template { head: include_str!("csv.yaml"), fields })
}

/// The error for a table without `--label`: only its owner knows which column holds the classes.
fn no_label(csv: &Path) -> Failure {
    let columns = existing(csv, "CSV file")
        .and_then(|file| trainer::data::table_columns(&file).map_err(Failure::usage));
    match columns {
        Ok(columns) => Failure::usage(format_args!(
            "which column of {} holds the classes to predict? Name it with `--label COLUMN`; its columns are {}",
            csv.display(),
            listed(columns.iter().map(String::as_str))
        )),
        Err(failure) => failure,
    }
}

/// How a table is trained.
struct Size {
    has_test: bool,
    batch: usize,
    epochs: usize,
    steps: usize,
}

/// Steps that a small network needs for a table, roughly.
const STEPS: usize = 2000;
/// Tables with fewer rows get no test part.
const LEAST_WITH_TEST: usize = 50;

impl Size {
    fn of(rows: usize) -> Self {
        let has_test = rows >= LEAST_WITH_TEST;
        let part = rows / 5;
        let train = rows - if has_test { 2 * part } else { part };
        // A power of two, with at least 8 batches in an epoch.
        let batch = 1 << (train / 8).clamp(1, 128).ilog2();
        let per_epoch = (train / batch).max(1);
        let epochs = STEPS.div_ceil(per_epoch).clamp(2, 100);
        Self { has_test, batch, epochs, steps: epochs * per_epoch }
    }
}

fn of_pytorch(script: &Path) -> Result<Template, Failure> {
    let file = existing(script, "script")?;
    let text = read(script, "Python script", MOST_BYTES)?.text;
    let fields = vec![
        ("TITLE", one_line(&file)),
        ("NAME", text_value(&stem(script))),
        ("SCRIPT", text_value(&file)),
        ("LINES", if text.contains("sweep_trial") { "" } else { include_str!("lines.txt") }.to_owned()),
        ("LRS", if text.contains("Adam") { ADAM } else { SGD }.to_owned()),
    ];
    Ok(Template { head: include_str!("pytorch.yaml"), fields })
}

/// The name of a file that exists.
fn existing(file: &Path, what: &str) -> Result<String, Failure> {
    if !file.is_file() {
        return Err(Failure::usage(format_args!("{what} not found: {}", file.display())));
    }
    let name = file.to_str().map(str::to_owned);
    name.ok_or_else(|| Failure::usage(format_args!("the name {} is not UTF-8", file.display())))
}

fn stem(file: &Path) -> String {
    file.file_stem().map_or_else(|| "sweep".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// A text as YAML reads it back: plain, or in quotes.
fn text_value(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    let is_value = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if is_word && !is_value.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

/// A file's name within a comment.
fn one_line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_size_and_budget_follow_from_the_rows() {
        for (rows, expected) in [
            (2, (false, 1, 100, 200)),
            (40, (false, 4, 100, 800)),
            (150, (true, 8, 100, 1100)),
            (1600, (true, 64, 100, 1500)),
            (60_000, (true, 128, 8, 2248)),
            (10_000_000, (true, 128, 2, 93_750)),
        ] {
            let size = Size::of(rows);
            assert_eq!((size.has_test, size.batch, size.epochs, size.steps), expected, "{rows}");
        }
    }

    #[test]
    fn texts_are_quoted_where_yaml_needs_it() {
        for (text, value) in [
            ("wine.csv", "wine.csv"),
            ("a b", "\"a b\""),
            ("no", "\"no\""),
            ("1", "\"1\""),
            ("a\"b", "\"a\\\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(text_value(text), value);
        }
    }
}
