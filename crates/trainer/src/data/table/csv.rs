//! Tables in CSV files: a line of column names, then one example per line.

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Raw, Values, classes};
use crate::data::files::{MAX_BYTES, read_user_file};

/// Texts that mean a missing label.
const MISSING_LABELS: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

/// Reads a table whose column `label` holds the classes, and whose other columns hold numbers.
///
/// # Errors
/// A message for the user, with line and column.
pub(super) fn read(file: &str, label: &str) -> Result<Raw, String> {
    let bytes = read_user_file(file, MAX_BYTES)?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|error| csv_error(file, &error))?.clone();
    let column = label_column(file, label, &headers)?;
    let (mut numbers, mut labels) = (Vec::new(), Vec::new());
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(file, &error))? {
        let line = record.position().map_or(0, csv::Position::line);
        for (i, cell) in record.iter().enumerate() {
            let place = || format!("{file}:{line}: column `{}`", headers.get(i).unwrap_or_default());
            if i == column {
                labels.push(parse_label(cell).map_err(|error| format!("{}: {error}", place()))?);
            } else {
                numbers.push(parse_number(cell).map_err(|error| format!("{}: {error}", place()))?);
            }
        }
    }
    // Integer labels are sorted as numbers: 10 comes after 9.
    let integers: Option<Vec<i64>> = labels.iter().map(|label| parse_integer(label)).collect();
    let (labels, names) = integers.map_or_else(|| classes(&labels), |integers| classes(&integers));
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    Ok(Raw { blake3, values: Values::Numbers(numbers), inputs: headers.len() - 1, labels, names })
}

fn csv_error(file: &str, error: &csv::Error) -> String {
    let line = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("expected {expected_len} cells as in the first line, found {len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    format!("{file}:{line}: {what}")
}

/// The index of the only column with this name.
fn label_column(file: &str, label: &str, headers: &StringRecord) -> Result<usize, String> {
    let is_label = |name: &str| name.trim_start_matches('\u{feff}') == label;
    let columns: Vec<usize> = (0..headers.len()).filter(|i| headers.get(*i).is_some_and(is_label)).collect();
    let all: Vec<&str> = headers.iter().collect();
    match columns[..] {
        [column] => Ok(column),
        [] if all.is_empty() => Err(format!("{file} is empty; expected a line of column names")),
        [] => Err(format!("{file} has no column `{label}`{}", known_columns(label, &all))),
        _ => Err(format!("{file} has {} columns named `{label}`", columns.len())),
    }
}

/// Lists the existing columns, and suggests the most similar one.
fn known_columns(label: &str, all: &[&str]) -> String {
    let listed = match all.len() {
        1..=20 => format!(" (columns: {})", all.join(", ")),
        n => format!(" ({n} columns)"),
    };
    if all.len() == 1 && all.iter().any(|name| name.contains([';', '\t'])) {
        return format!("{listed}; cells must be separated by commas");
    }
    let near = schedule::problem::nearest(label, all.iter().copied());
    near.map_or(listed.clone(), |near| format!("{listed}; did you mean `{near}`?"))
}

fn parse_label(cell: &str) -> Result<String, String> {
    if MISSING_LABELS.contains(&cell.to_lowercase().as_str()) {
        return Err(format!("missing label: found `{cell}`"));
    }
    if cell.parse::<f64>().is_ok_and(|number| number.fract() != 0.0) {
        return Err(format!(
            "expected a word or an integer as label, found `{cell}`: tables are for classification; to \
             predict numbers, use your own program (`sweep new --pytorch FILE`)"
        ));
    }
    Ok(cell.to_owned())
}

fn parse_number(cell: &str) -> Result<f64, String> {
    let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("expected a number, found `{cell}`"))
}

/// An integer, which may be written as `1.0`.
fn parse_integer(label: &str) -> Option<i64> {
    // Up to 9e15 an f64 represents every integer exactly.
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= 9e15;
    label.parse().ok().or_else(|| label.parse::<f64>().ok().filter(exact).map(|number| number as i64))
}
