//! Reads recorded runs: CSV files with the columns step, lr and loss.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};
use predict::{Losses, Run};
use schedule::problem::listed;
use sweep::source::read;

use super::args::MOST_STEPS;
use crate::exit::Failure;

/// A recorded run.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) name: String,
    /// One lr per update.
    pub(super) lrs: Vec<f64>,
    /// Updates so far, and the loss then. Empty if the file has no losses.
    losses: Vec<(f64, f64)>,
}

/// Largest file to read.
const MOST_BYTES: usize = 256 << 20;

impl Recorded {
    /// Reads a file. A loss may be empty, so that a file can have the lr of every step and the loss of some. Between two rows the lr is on
    /// a straight line. Before the first row it rises from 0, or is constant if the first step is as near to 0 as to the second row.
    ///
    /// # Errors
    /// The file can't be read, or a row is wrong.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let source = read(path, "CSV file with the columns step, lr and loss", MOST_BYTES)?;
        let rows = rows(&source.name, &source.text)?;
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let losses = rows.iter().filter_map(|row| Some((row.step as f64, row.loss?))).collect();
        Ok(Self { name: stem.unwrap_or(&source.name).to_owned(), lrs: lrs(&rows), losses })
    }

    /// The run for a fit; `None` if it has too few losses.
    pub(super) fn run(&self, kind: Losses) -> Option<Run> {
        Run::new(self.name.clone(), &self.lrs, &self.losses, kind)
    }
}

/// A row of the file.
#[derive(Debug, Clone, Copy)]
struct Row {
    step: u64,
    lr: f64,
    loss: Option<f64>,
}

fn rows(file: &str, text: &str) -> Result<Vec<Row>, Failure> {
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(text.as_bytes());
    let failed = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        Failure::usage(format_args!("{file}:{line}: {error}"))
    };
    let headers = reader.headers().map_err(failed)?.clone();
    let column = |name: &str| headers.iter().position(|header| header.eq_ignore_ascii_case(name));
    let missing = |name: &str| {
        let found = if headers.is_empty() { "none".to_owned() } else { listed(headers.iter()) };
        Failure::usage(format_args!(
            "{file}:1: expected the columns step, lr and loss; `{name}` is missing, found {found}"
        ))
    };
    let step = column("step").ok_or_else(|| missing("step"))?;
    let lr = column("lr").ok_or_else(|| missing("lr"))?;
    let loss = column("loss");
    let mut rows: Vec<Row> = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let bad = |name: &str, expected: &str, column: usize| {
            Failure::usage(format_args!(
                "{file}:{line}: column `{name}`: expected {expected}, found `{}`",
                cell(column)
            ))
        };
        let number = |column: usize| cell(column).parse::<f64>().ok();
        let after = rows.last().map(|row| row.step);
        let step = number(step)
            .filter(|step| step.fract() == 0.0 && (0.0..=MOST_STEPS as f64).contains(step))
            .map(|step| step as u64)
            .filter(|step| after.is_none_or(|last| *step > last))
            .ok_or_else(|| bad("step", "a whole number, larger in each row", step))?;
        let lr = number(lr)
            .filter(|lr| lr.is_finite() && *lr >= 0.0)
            .ok_or_else(|| bad("lr", "a number, at least 0", lr))?;
        let loss = match loss.filter(|column| !cell(*column).is_empty()) {
            Some(column) => {
                let number = number(column).filter(|loss| loss.is_finite());
                Some(number.ok_or_else(|| bad("loss", "a finite number, or nothing", column))?)
            }
            None => None,
        };
        rows.push(Row { step, lr, loss });
    }
    match rows.iter().any(|row| row.lr > 0.0) {
        true => Ok(rows),
        false => Err(Failure::usage(format_args!("{file}: no row has an lr above 0"))),
    }
}

/// The lr of each update, up to the last row.
fn lrs(rows: &[Row]) -> Vec<f64> {
    let [first, rest @ ..] = rows else { return Vec::new() };
    let spacing = rest.first().map_or(u64::MAX, |second| second.step - first.step);
    let warm = |t: u64| first.lr * (t + 1) as f64 / (first.step + 1) as f64;
    let mut lrs: Vec<f64> =
        (0..first.step).map(|t| if first.step <= spacing { first.lr } else { warm(t) }).collect();
    lrs.push(first.lr);
    for pair in rows.windows(2) {
        let [from, to] = pair else { continue };
        let length = (to.step - from.step) as f64;
        let line = |t: u64| from.lr + (to.lr - from.lr) * (t - from.step) as f64 / length;
        lrs.extend((from.step + 1..to.step).map(line));
        lrs.push(to.lr);
    }
    lrs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_rows(text: &str) -> Result<Vec<Row>, String> {
        rows("a.csv", text).map_err(|failure| match failure {
            Failure::Usage(message) => message,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn lrs_between_rows_are_on_a_line() {
        let rows = read_rows("step,lr,loss\n4,0.4,3\n6,0.2,\n7,0.3,2\n").expect("rows");
        let lrs: Vec<f64> = lrs(&rows).iter().map(|lr| (lr * 1e6).round() / 1e6).collect();
        assert_eq!(lrs, [0.08, 0.16, 0.24, 0.32, 0.4, 0.3, 0.2, 0.3]);
        let regular = read_rows("step,lr\n10,1\n20,0\n").expect("rows");
        assert_eq!(super::lrs(&regular)[..11], [1.0; 11]);
    }

    #[test]
    fn a_wrong_row_is_named() {
        for (text, message) in [
            ("step,loss\n1,2\n", "a.csv:1: expected the columns step, lr and loss; `lr` is missing"),
            ("step,lr,loss\n1,x,2\n", "a.csv:2: column `lr`: expected a number, at least 0, found `x`"),
            (
                "step,lr,loss\n2,1,2\n2,1,2\n",
                "a.csv:3: column `step`: expected a whole number, larger in each row",
            ),
            ("step,lr,loss\n2,1,nan\n", "a.csv:2: column `loss`: expected a finite number, or nothing"),
            ("step,lr,loss\n2,1\n", "a.csv:2: "),
            ("step,lr,loss\n", "a.csv: no row has an lr above 0"),
            ("", "a.csv:1: expected the columns"),
        ] {
            let found = read_rows(text).expect_err(text);
            assert!(found.starts_with(message), "{text}: {found}");
        }
    }
}
