//! Tables of cells, and how a cell is shown.

use serde_json::Value as Json;

use crate::escape::is_bidi_mark;

/// A table of results.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rows {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Cell>>,
    /// Whether tables show base lrs in full, to be copied into SQL, and not with four digits.
    pub exact_lrs: bool,
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No value: an empty field in CSV, null in JSON.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text.
    Text(String),
    /// `true` or `false`.
    Bool(bool),
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns.
    Table,
    /// An array of objects.
    Json,
    /// RFC 4180 with a header line.
    Csv,
}

impl Rows {
    /// A table without rows.
    pub fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self { columns: columns.into_iter().map(str::to_owned).collect(), ..Self::default() }
    }

    /// A cell of a table, as a value of `column`.
    pub(crate) fn shown(&self, column: &str, cell: &Cell) -> String {
        match cell {
            Cell::Real(x) if column == "base_lr" && self.exact_lrs => crate::exact_lr(*x),
            Cell::Real(x) if matches!(column, "base_lr" | "lr") => crate::short(*x),
            other => other.plain(),
        }
    }

    /// Removes a column.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(at) = self.columns.iter().position(|column| column == name) {
            self.columns.remove(at);
            self.rows.iter_mut().filter(|row| at < row.len()).for_each(|row| {
                row.remove(at);
            });
        }
    }
}

impl Cell {
    /// The cell for display: rounded, and without control characters that a terminal would execute.
    pub fn plain(&self) -> String {
        match self {
            Cell::Real(x) if x.is_finite() => crate::rounded(*x, DIGITS),
            Cell::Text(text) => printable(text),
            other => other.raw(),
        }
    }

    pub(crate) fn raw(&self) -> String {
        match self {
            Cell::Null => String::new(),
            Cell::Integer(i) => i.to_string(),
            Cell::Real(x) => format!("{x}"),
            Cell::Text(text) => text.clone(),
            Cell::Bool(b) => b.to_string(),
        }
    }

    /// Infinity has no number in JSON: it is written as text.
    pub(crate) fn json(&self) -> Json {
        match self {
            Cell::Null => Json::Null,
            Cell::Integer(i) => Json::from(*i),
            Cell::Real(x) if x.is_finite() => Json::from(*x),
            Cell::Real(x) => Json::from(x.to_string()),
            Cell::Text(text) => Json::from(text.as_str()),
            Cell::Bool(b) => Json::from(*b),
        }
    }
}

/// Significant digits of a number that is not a learning rate.
const DIGITS: usize = 7;

pub(crate) fn printable(text: &str) -> String {
    let show = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_control() || is_bidi_mark(c) => '\u{fffd}'.to_string(),
        c => c.to_string(),
    };
    text.chars().map(show).collect()
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

macro_rules! cell_from {
    ($($from:ty => $make:expr),* $(,)?) => {
        $(impl From<$from> for Cell {
            fn from(value: $from) -> Self {
                $make(value)
            }
        })*
    };
}

cell_from! {
    f64 => Cell::Real,
    i64 => Cell::Integer,
    bool => Cell::Bool,
    String => Cell::Text,
    &str => |text: &str| Cell::Text(text.to_owned()),
    usize => |n: usize| Cell::Integer(i64::try_from(n).unwrap_or(i64::MAX)),
    u64 => |n: u64| Cell::Integer(i64::try_from(n).unwrap_or(i64::MAX)),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Rows {
        let mut rows = Rows::new(["name", "n", "loss"]);
        rows.rows.push(vec!["a,\"b\"".into(), 3_usize.into(), 0.1.into()]);
        rows.rows.push(vec!["\u{1b}[2Jc".into(), 12_usize.into(), Cell::Null]);
        rows
    }

    #[test]
    fn tables_align_numbers_right_and_replace_control_characters() {
        assert_eq!(sample().render(Format::Table), "name    n  loss\na,\"b\"   3   0.1\n\u{fffd}[2Jc  12\n");
    }

    #[test]
    fn numbers_are_rounded_in_tables_only() {
        let mut rows = Rows::new(["base_lr", "loss"]);
        rows.rows.push(vec![0.001_778_279_410_038_923.into(), 3.214_159_265_358_979e-7.into()]);
        assert_eq!(rows.render(Format::Table), " base_lr         loss\n0.001778  3.214159e-7\n");
        rows.exact_lrs = true;
        assert_eq!(
            rows.render(Format::Table),
            "             base_lr         loss\n0.001778279410038923  3.214159e-7\n"
        );
        assert_eq!(rows.render(Format::Csv), "base_lr,loss\n0.001778279410038923,0.0000003214159265358979\n");
    }

    #[test]
    fn json_keeps_every_column_in_order() {
        let mut rows = Rows::new(["b", "a", "b"]);
        rows.rows.push(vec![1_usize.into(), 2_usize.into(), 3_usize.into()]);
        let json: Json = serde_json::from_str(&rows.render(Format::Json)).expect("JSON");
        assert_eq!(json[0].to_string(), r#"{"b":1,"a":2,"b_2":3}"#);
    }

    #[test]
    fn csv_quotes_and_json_keeps_full_precision() {
        assert_eq!(sample().render(Format::Csv), "name,n,loss\n\"a,\"\"b\"\"\",3,0.1\n\u{1b}[2Jc,12,\n");
        let json: Json = serde_json::from_str(&sample().render(Format::Json)).expect("JSON");
        assert_eq!(json[0]["loss"], 0.1);
        assert_eq!(json[1]["loss"], Json::Null);
    }
}
