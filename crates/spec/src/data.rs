//! Reads the section `data`: a data set by name, or the user's own files and their split. The caller opens the files.

use schedule::fields::{Field, Fields, choice, text, whole};
use schedule::problem::{Problem, listed};
use schedule::tree::Value;

use crate::trial::{Data, DataInfo, Dataset, Source, Table, Text};
use crate::world::World;

/// The named data sets.
pub(crate) const DATASETS: [(&str, Dataset); 4] = [
    ("mnist", Dataset::Mnist),
    ("fashion-mnist", Dataset::FashionMnist),
    ("digits", Dataset::Digits),
    ("emma", Dataset::Emma),
];

/// The formats of the user's own data: keys of the mapping `dataset`.
pub(crate) const FORMS: [&str; 4] = ["csv", "npz", "idx", "text"];

/// Reads the section.
pub(crate) fn read(field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Data> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let dataset = fields.required("dataset", problems).and_then(|field| dataset(&field, world, problems));
    let size = fields.read_or("batch_size", 64, problems, whole(1));
    let limit = fields.read_or("limit", None, problems, |field| whole(1)(field).map(Some));
    fields.finish(problems);
    let limit = limit?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Some(Data { dataset: dataset?, batch_size: usize::try_from(size?).unwrap_or(usize::MAX), limit })
}

/// Checks limit and batch size against the number of examples. `context`: characters per window, for text.
pub(crate) fn check_sizes(
    data: &mut Data,
    field: &Field<'_>,
    context: usize,
    problems: &mut Vec<Problem>,
) -> bool {
    let place = |key: &str| field.tree.get(key).unwrap_or(field.tree).place;
    let path = |key: &str| format!("{}.{key}", field.path);
    let what = match &data.dataset {
        dataset if dataset.is_text() => "windows of text",
        Dataset::Table(_) => "examples",
        _ => "images",
    };
    let all = data.dataset.sizes(context, None);
    if data.limit.is_some_and(|limit| limit > all[0]) {
        let message = format!("expected at most {}, the number of training {what}", all[0]);
        problems.push(Problem::new(place("limit"), path("limit"), message));
        return false;
    }
    // A limit without effect is dropped, so that these runs have the same id as runs without a limit.
    data.limit = data.limit.filter(|limit| data.dataset.sizes(context, Some(*limit)) != all);
    let [train, valid, test] = data.dataset.sizes(context, data.limit);
    if data.batch_size > train {
        let message = format!("a batch of {} is larger than the {train} training {what}", data.batch_size);
        problems.push(Problem::new(place("batch_size"), path("batch_size"), message));
        return false;
    }
    let test_chars = if let Dataset::Text(text) = &data.dataset { text.test } else { 0 };
    for (part, is_short) in [("validation", valid == 0), ("test", test_chars > 0 && test == 0)] {
        if is_short {
            let message = format!(
                "the {part} part is too short for one window of {context} characters and the next character"
            );
            problems.push(Problem::new(place("dataset"), path("dataset"), message));
            return false;
        }
    }
    true
}

fn dataset(field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Dataset> {
    if let Value::Map(_) = field.tree.value {
        return user_files(field, world, problems);
    }
    let named = choice(&DATASETS)(field);
    named
        .map_err(|problem| match problem.hint {
            Some(_) => problems.push(problem),
            None => problems.push(problem.with_hint(
                "for your own data, use {csv: FILE, label: COLUMN}, {npz: FILE}, {idx: FILE, labels: FILE} or {text: FILE}",
            )),
        })
        .ok()
}

/// How many of the examples are held out.
#[derive(Debug, Clone, Copy, PartialEq)]
enum HeldOut {
    Share(f64),
    Count(usize),
}

impl HeldOut {
    fn is_requested(&self) -> bool {
        match self {
            Self::Share(share) => *share > 0.0,
            Self::Count(count) => *count > 0,
        }
    }

    fn of(self, all: usize) -> usize {
        match self {
            Self::Share(share) => (share * all as f64).round() as usize,
            Self::Count(count) => count,
        }
    }
}

fn held_out(field: &Field<'_>) -> Result<HeldOut, Problem> {
    let share = |text: &str| {
        let percent = text.trim().strip_suffix('%')?.trim().parse::<f64>().ok()?;
        (0.0..100.0).contains(&percent).then_some(HeldOut::Share(percent / 100.0))
    };
    let held_out = match (&field.tree.value, field.tree.integer()) {
        (_, Some(count @ 0..)) => Some(HeldOut::Count(usize::try_from(count).unwrap_or(usize::MAX))),
        (Value::Text(text), _) => share(text),
        _ => None,
    };
    held_out.ok_or_else(|| {
        let problem = field.expected("a percentage below 100% as in \"20%\", or a number of examples");
        match field.tree.value {
            Value::Float(share) if share > 0.0 && share < 1.0 => {
                let percent = (share * 1e11).round() / 1e9;
                problem.with_hint(format!("write \"{percent}%\""))
            }
            _ => problem,
        }
    })
}

/// The user's own files, and what is held out for validation and test.
struct Files {
    file: String,
    /// The table; `None` for a text, which has neither labels nor column names.
    source: Option<Source>,
    valid: HeldOut,
    test: HeldOut,
}

/// Numbers of examples.
struct Split {
    train: usize,
    valid: usize,
    test: usize,
}

fn user_files(field: &Field<'_>, world: &dyn World, problems: &mut Vec<Problem>) -> Option<Dataset> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let form = form(field, &mut fields, problems)?;
    let file_field = fields.required(form, problems)?;
    let Files { file, source, valid, test } = files(form, &file_field, fields, problems)?;
    let found = match &source {
        Some(source) => world.table(source),
        None => world.text(&file),
    };
    let found = found.map_err(|message| problems.push(file_field.problem(message))).ok()?;
    let what = if source.is_some() { "examples" } else { "characters" };
    let split = split(field, found.examples, valid, test, what);
    let Split { train, valid, test } = split.map_err(|problem| problems.push(problem)).ok()?;
    let DataInfo { blake3, inputs, classes, bytes, .. } = found;
    Some(match source {
        Some(source) => Dataset::Table(Table { source, blake3, inputs, classes, bytes, train, valid, test }),
        None => Dataset::Text(Text { file, blake3, alphabet: classes, train, valid, test }),
    })
}

/// The format that is given; exactly one is allowed.
fn form(field: &Field<'_>, fields: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Option<&'static str> {
    let given: Vec<&str> = FORMS.into_iter().filter(|form| field.tree.get(form).is_some()).collect();
    if let [form] = given[..] {
        return Some(form);
    }
    let problem = field.problem(match given[..] {
        [] => "expected one of `csv`, `npz`, `idx` and `text`".to_owned(),
        _ => format!("{} can't be combined: give only one of them", listed(given)),
    });
    problems.push(problem.with_hint(
        "as in {csv: FILE, label: COLUMN}, {npz: FILE}, {idx: FILE, labels: FILE} or {text: FILE}",
    ));
    for name in ["validation", "test"] {
        fields.read_or(name, HeldOut::Count(0), problems, held_out);
    }
    None
}

/// Reads the keys of a format.
fn files(
    form: &str,
    file_field: &Field<'_>,
    mut fields: Fields<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Files> {
    let file = file_name(file_field).map_err(|problem| problems.push(problem)).ok();
    let source = match form {
        "csv" => {
            let label = fields.read("label", problems, text);
            file.clone().zip(label).map(|(file, label)| Some(Source::Csv { file, label }))
        }
        "npz" => {
            let x = fields.read_or("x", "x".to_owned(), problems, text);
            let y = fields.read_or("y", "y".to_owned(), problems, text);
            file.clone().zip(x).zip(y).map(|((file, x), y)| Some(Source::Npz { file, x, y }))
        }
        "idx" => {
            let labels = fields.read("labels", problems, file_name);
            file.clone().zip(labels).map(|(file, labels)| Some(Source::Idx { file, labels }))
        }
        _ => Some(None),
    };
    let (for_valid, for_test) = if form == "text" { (0.1, 0.1) } else { (0.2, 0.0) };
    let valid = fields.read_or("validation", HeldOut::Share(for_valid), problems, held_out);
    let test = fields.read_or("test", HeldOut::Share(for_test), problems, held_out);
    fields.finish(problems);
    Some(Files { file: file?, source: source?, valid: valid?, test: test? })
}

/// Splits the examples into training, validation and test examples.
fn split(field: &Field<'_>, all: usize, valid: HeldOut, test: HeldOut, what: &str) -> Result<Split, Problem> {
    let has_test = test.is_requested();
    let (valid, test) = (valid.of(all), test.of(all));
    let rest = all.checked_sub(valid).and_then(|rest| rest.checked_sub(test));
    let Some(train) = rest.filter(|train| *train > 0) else {
        return Err(field.problem(format!(
            "no training examples are left: {valid} of {all} {what} are for validation, {test} for the test"
        )));
    };
    if test == 0 && has_test {
        return Err(
            field.problem(format!("the test part is empty: its share of {all} {what} is less than one"))
        );
    }
    if valid == 0 {
        let problem = field.problem(format!("none of {all} {what} are for validation"));
        return Err(problem.with_hint("schedules are compared by validation loss: use `validation: \"20%\"`"));
    }
    Ok(Split { train, valid, test })
}

fn file_name(field: &Field<'_>) -> Result<String, Problem> {
    match &field.tree.value {
        Value::Text(name) if !name.trim().is_empty() => Ok(name.clone()),
        _ => Err(field.expected("a file name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::testing::{catalogue, task};
    use crate::trial::Task;

    /// 150 rows of 4 numbers in 3 classes, and a text of 1000 characters.
    struct Stored;

    fn found(bytes: bool) -> DataInfo {
        DataInfo { blake3: "hash".to_owned(), examples: 150, inputs: 4, classes: 3, bytes }
    }

    impl World for Stored {
        fn catalogue(&self) -> &Catalogue {
            catalogue()
        }

        fn table(&self, source: &Source) -> Result<DataInfo, String> {
            match source {
                Source::Csv { label, .. } if label != "species" => Err(format!("unknown column `{label}`")),
                Source::Idx { .. } => Ok(DataInfo { inputs: 784, ..found(true) }),
                _ => Ok(found(false)),
            }
        }

        fn text(&self, _: &str) -> Result<DataInfo, String> {
            Ok(DataInfo { examples: 1000, classes: 30, ..found(false) })
        }
    }

    fn read(data: &str, model: &str) -> Result<Task, String> {
        let text = format!(
            "data: {data}\nmodel: {model}\noptimizer: {{kind: plain}}\nbudget: {{epochs: 2}}\nlr: 0.1\n\
             schedules: {{a: {{kind: constant}}}}\n"
        );
        task(&text, &Stored)
    }

    const ROWS: &str = "{kind: rows}";

    #[test]
    fn parts_are_shares_or_counts() {
        let sizes = |data: &str| {
            let task = read(&format!("{{dataset: {data}, batch_size: 10}}"), ROWS).expect(data);
            let data = task.network().and_then(|network| network.data.clone()).expect("data");
            (data.dataset.sizes(1, None), task.steps)
        };
        assert_eq!(sizes("{csv: a.csv, label: species}"), ([120, 30, 0], 24));
        assert_eq!(sizes("{csv: a.csv, label: species, validation: 10%, test: 50}"), ([85, 15, 50], 16));
        assert_eq!(sizes("{npz: a.npz, test: \"20%\"}"), ([90, 30, 30], 18));
    }

    #[test]
    fn a_text_is_split_into_windows() {
        let data = "{dataset: {text: a.txt}, batch_size: 4}";
        let task = read(data, "{kind: reader, context: 10}").expect("a text");
        // 800, 100, 100 characters.
        let data = task.network().and_then(|network| network.data.clone()).expect("data");
        assert_eq!(data.dataset.sizes(10, None), [79, 9, 9]);
        assert_eq!(task.steps, 38);
    }

    #[test]
    fn the_path_of_a_file_does_not_change_the_trial() {
        let json = |file: &str| {
            let task = read(&format!("{{dataset: {{csv: {file}, label: species}}, batch_size: 5}}"), ROWS)
                .expect("good");
            serde_json::to_string(&task.identity()).expect("JSON")
        };
        assert_eq!(json("a.csv"), json("b/c.csv"));
    }

    #[test]
    fn problems_name_the_key_and_the_mistake() {
        let reader = "{kind: reader}";
        for (data, model, words) in [
            ("{dataset: {csv: a.csv}}", ROWS, "data.dataset: missing key `label`"),
            ("{dataset: {csv: a.csv, label: kind}}", ROWS, "data.dataset.csv: unknown column `kind`"),
            ("{dataset: {csv: 3, label: kind}}", ROWS, "data.dataset.csv: expected a file name"),
            ("{dataset: {}}", ROWS, "data.dataset: expected one of `csv`, `npz`, `idx` and `text`"),
            ("{dataset: {csv: a, npz: b}}", ROWS, "data.dataset: `csv` and `npz` can't be combined"),
            (
                "{dataset: {npz: a, validation: 100}, batch_size: 500}",
                ROWS,
                "a batch of 500 is larger than the 50 training examples",
            ),
            ("{dataset: {npz: a, validation: 0}}", ROWS, "none of 150 examples are for validation"),
            ("{dataset: {npz: a, test: 0.1%}}", ROWS, "the test part is empty"),
            ("{dataset: {npz: a, validation: 60%, test: 60%}}", ROWS, "no training examples are left"),
            ("{dataset: {npz: a, validation: most}}", ROWS, "data.dataset.validation: expected a percentage"),
            ("{dataset: {npz: a, lable: 3}}", ROWS, "data.dataset.lable"),
            ("{dataset: minst}", ROWS, "did you mean `mnist`"),
            ("{dataset: mnist}", reader, "`reader` reads text"),
            ("{dataset: emma}", ROWS, "images or a table"),
            (
                "{dataset: {text: a.txt}, batch_size: 2}",
                "{kind: reader, context: 200}",
                "too short for one window of 200 characters",
            ),
        ] {
            let message = read(data, model).expect_err(data);
            assert!(message.contains(words), "{words} in\n{message}");
        }
    }
}
