//! Tables in CSV files: a line of column names, then an example in each line.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Raw, Values, classes};
use crate::data::files::{MOST_BYTES, bytes_of};

/// What a missing label is written as.
const MISSING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

/// Reads a table whose column `label` holds the classes, and all others numbers.
///
/// # Errors
/// What is wrong with it, with its line and column.
pub(super) fn read(file: &str, label: &str) -> Result<Raw, String> {
    let bytes = bytes_of(file, MOST_BYTES)?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|error| unreadable(file, &error))?.clone();
    let column = label_column(file, label, &headers)?;
    let (mut numbers, mut labels) = (Vec::new(), Vec::new());
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| unreadable(file, &error))? {
        let line = record.position().map_or(0, csv::Position::line);
        for (i, cell) in record.iter().enumerate() {
            let place = || format!("{file}:{line}: column `{}`", headers.get(i).unwrap_or_default());
            if i == column {
                labels.push(class(cell).map_err(|error| format!("{}: {error}", place()))?);
            } else {
                numbers.push(number(cell).map_err(|error| format!("{}: {error}", place()))?);
            }
        }
    }
    // Whole numbers in their own order: 10 comes after 9.
    let whole: Option<Vec<i64>> = labels.iter().map(|label| whole(label)).collect();
    let (labels, names) = whole.map_or_else(|| classes(&labels), |whole| classes(&whole));
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    Ok(Raw { blake3, values: Values::Numbers(numbers), inputs: headers.len() - 1, labels, names })
}

fn unreadable(file: &str, error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("this line has {len} cells, the first one has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "this is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    format!("{file}:{line}: {what}")
}

/// The place of the one column with this name.
fn label_column(file: &str, label: &str, headers: &StringRecord) -> Result<usize, String> {
    let is_label = |name: &str| name.trim_start_matches('\u{feff}') == label;
    let columns: Vec<usize> = (0..headers.len()).filter(|i| headers.get(*i).is_some_and(is_label)).collect();
    let all: Vec<&str> = headers.iter().collect();
    match columns[..] {
        [column] => Ok(column),
        [] if all.is_empty() => Err(format!("{file} is empty; a line of column names was expected")),
        [] => Err(format!("{file} has no column `{label}`{}", known_columns(label, &all))),
        _ => Err(format!("{file} has {} columns `{label}`", columns.len())),
    }
}

/// The columns that there are, and what was probably meant.
fn known_columns(label: &str, all: &[&str]) -> String {
    let listed = match all.len() {
        1..=20 => format!(" (there are {})", all.join(", ")),
        n => format!(" (there are {n})"),
    };
    if all.len() == 1 && all.iter().any(|name| name.contains([';', '\t'])) {
        return format!("{listed}; cells are parted by commas");
    }
    let near = schedule::problem::nearest(label, all.iter().copied());
    near.map_or(listed.clone(), |near| format!("{listed}; did you mean `{near}`?"))
}

fn class(cell: &str) -> Result<String, String> {
    if MISSING.contains(&cell.to_lowercase().as_str()) {
        return Err(format!("the label is missing, found `{cell}`"));
    }
    if cell.parse::<f64>().is_ok_and(|number| number.fract() != 0.0) {
        return Err(format!(
            "a label is a word or a whole number, found `{cell}`; classes can be learnt, numbers not"
        ));
    }
    Ok(cell.to_owned())
}

fn number(cell: &str) -> Result<f64, String> {
    let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("expected a number, found `{cell}`"))
}

/// A whole number, also where it is written as `1.0`.
fn whole(label: &str) -> Option<i64> {
    // Up to here each whole number is an f64 of its own.
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= 9e15;
    label.parse().ok().or_else(|| label.parse::<f64>().ok().filter(exact).map(|number| number as i64))
}
