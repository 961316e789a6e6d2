//! Tables in CSV files: a line of column names, then one example per line.

use std::collections::HashSet;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::{Raw, Values, classes};
use crate::data::files::{MAX_BYTES, read_user_file};

/// Texts that mean a missing value.
const MISSING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

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

/// The names of the columns.
///
/// # Errors
/// A message for the user.
pub(super) fn columns(file: &str) -> Result<Vec<String>, String> {
    let bytes = read_user_file(file, MAX_BYTES)?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes.as_slice());
    let headers = reader.headers().map_err(|error| csv_error(file, &error))?;
    match headers.len() {
        0 => Err(format!("{file} is empty; expected a line of column names")),
        _ => Ok(headers.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect()),
    }
}

/// Names of columns that number the rows in many tables. pandas writes the column without a name.
const ROW_NUMBERS: [&str; 10] =
    ["id", "idx", "index", "row", "row_id", "rowid", "row_number", "rownames", "unnamed: 0", ""];

/// The features that look like numbers of the rows: by their name, and because they are integers that differ in all rows.
pub(super) fn row_numbers(file: &str, label: &str) -> Result<Vec<String>, String> {
    let all = columns(file)?;
    let named = |name: &str| name != label && ROW_NUMBERS.contains(&name.to_lowercase().as_str());
    let mut found: Vec<(usize, HashSet<i64>)> = (0..all.len())
        .filter(|i| all.get(*i).is_some_and(|name| named(name)))
        .map(|i| (i, HashSet::new()))
        .collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = read_user_file(file, MAX_BYTES)?;
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(bytes.as_slice());
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| csv_error(file, &error))? {
        found.retain_mut(|(i, seen)| {
            record.get(*i).and_then(parse_integer).is_some_and(|number| seen.insert(number))
        });
    }
    Ok(found.into_iter().filter_map(|(i, _)| all.get(i).cloned()).collect())
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
    if MISSING.contains(&cell.to_lowercase().as_str()) {
        return Err(format!("missing label: found `{cell}`; fill in the class, or remove the row"));
    }
    if cell.parse::<f64>().is_ok_and(|number| number.fract() != 0.0) {
        return Err(format!(
            "expected a word or an integer as label, found `{cell}`: tables are for classification; to \
             predict numbers, use a custom program (`sweep new --pytorch FILE`)"
        ));
    }
    Ok(cell.to_owned())
}

fn parse_number(cell: &str) -> Result<f64, String> {
    if MISSING.contains(&cell.to_lowercase().as_str()) {
        let found = if cell.is_empty() { "an empty cell".to_owned() } else { format!("`{cell}`") };
        return Err(format!(
            "missing value: expected a number, found {found}; fill in a number (such as the mean of the column), or remove the row"
        ));
    }
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(format!("expected a finite number, found `{cell}`")),
        Err(_) => Err(format!(
            "expected a number, found `{cell}`; all columns except the label hold numbers: replace words by numbers (for a category, \
             one column of 0 and 1 for each value), or remove the column"
        )),
    }
}

/// An integer, which may be written as `1.0`.
fn parse_integer(label: &str) -> Option<i64> {
    // Up to 9e15 an f64 represents every integer exactly.
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= 9e15;
    label.parse().ok().or_else(|| label.parse::<f64>().ok().filter(exact).map(|number| number as i64))
}
