//! Notes on a plan: what may be a mistake in the files that it names, and what to do. A note is neither an error nor a lint.

use spec::Plan;
use spec::trial::{Dataset, Program, Source, Trial};

/// Columns of tables that look like numbers of the rows.
pub fn row_numbers(plan: &Plan) -> Vec<String> {
    distinct(plan, table).into_iter().filter_map(row_number).collect()
}

fn table(trial: &Trial) -> Option<&Source> {
    match &trial.config.task.network()?.data.as_ref()?.dataset {
        Dataset::Table(table) => Some(&table.source),
        _ => None,
    }
}

/// The note on one table.
pub fn row_number(source: &Source) -> Option<String> {
    let Source::Csv { file, .. } = source else { return None };
    // A table that can't be read any more is an error when it is loaded.
    let found = trainer::data::row_numbers(source).ok()?;
    let column = match found.first()?.as_str() {
        "" => "the column without a name".to_owned(),
        name => format!("column `{name}`"),
    };
    Some(format!(
        "{file}: {column} looks like a row number (a different integer in each row) and is used as a feature; if it is one, remove \
         it from the file"
    ))
}

/// Python scripts of programs that do not seem to report to `sweep`.
pub fn scripts_that_do_not_report(plan: &Plan) -> Vec<String> {
    distinct(plan, |trial| trial.config.task.program()).into_iter().filter_map(script).collect()
}

/// A program that reports contains one of these: the import of the package, or the variable with the pipe of the protocol.
const MARKS: [&str; 2] = ["sweep_trial", "SWEEP_REPORT"];

fn script(program: &Program) -> Option<String> {
    let is_script = |word: &&String| word.ends_with(".py") && !word.starts_with('-');
    let script = program.command.iter().find(is_script)?;
    // Any of the files that are known to belong to the program may report.
    let texts: Vec<Vec<u8>> = program.files.keys().filter_map(|file| std::fs::read(file).ok()).collect();
    let is_whole = program.files.keys().all(|file| std::path::Path::new(file).is_file());
    let reports = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        MARKS.iter().any(|mark| text.contains(mark))
    };
    if !is_whole || texts.is_empty() || texts.iter().any(|text| reports(text)) {
        return None;
    }
    Some(format!(
        "{script} neither imports `sweep_trial` nor uses SWEEP_REPORT; if no module that it imports does, it reports no losses and \
         each of its trials fails (`sweep new --pytorch {script} -` prints the lines to add)"
    ))
}

/// The different values over all trials, in order.
fn distinct<'a, T: PartialEq + ?Sized>(
    plan: &'a Plan,
    of: impl Fn(&'a Trial) -> Option<&'a T>,
) -> Vec<&'a T> {
    let mut all: Vec<&T> = Vec::new();
    for value in plan.trials.iter().filter_map(of) {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}
