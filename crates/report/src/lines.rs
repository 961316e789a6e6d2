//! Rows as lines, for other programs: CSV and JSON Lines. A part of the rows is a part of the text, so that
//! a table that is too large for memory can be written piece by piece.

use serde_json::{Map, Value as Json};

use crate::rows::{Cell, Rows};

/// The first line of a CSV file.
pub fn csv_header(columns: &[String]) -> String {
    records(std::iter::once(columns.to_vec()))
}

/// Rows as CSV (RFC 4180), without a header. What is no finite number is `inf`, `-inf` or `NaN`.
pub fn csv(rows: &Rows) -> String {
    records(rows.rows.iter().map(|row| row.iter().map(Cell::raw).collect()))
}

fn records(records: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for record in records {
        // Writing to memory does not fail.
        if writer.write_record(&record).is_err() {
            break;
        }
    }
    writer.into_inner().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// Rows as JSON Lines: an object a row. JSON has no word for what is no finite number: it is null.
pub fn json(rows: &Rows) -> String {
    let names = unique(&rows.columns);
    let line = |row: &Vec<Cell>| {
        let fields = names.iter().zip(row).map(|(name, cell)| (name.clone(), finite(cell)));
        format!("{}\n", Json::Object(fields.collect::<Map<_, _>>()))
    };
    rows.rows.iter().map(line).collect()
}

fn finite(cell: &Cell) -> Json {
    match cell {
        Cell::Real(x) if !x.is_finite() => Json::Null,
        other => other.json(),
    }
}

/// Names that are all different: of columns with one name, as a join gives them, the later ones get a number.
pub(crate) fn unique(columns: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in columns {
        let mut unique = name.clone();
        for i in 2.. {
            if !names.contains(&unique) {
                break;
            }
            unique = format!("{name}_{i}");
        }
        names.push(unique);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole_and_what_is_not_finite_is_said() {
        let mut rows = Rows::new(["name", "loss", "loss"]);
        rows.rows.push(vec!["a,\"b\"\n".into(), f64::NAN.into(), f64::NEG_INFINITY.into()]);
        rows.rows.push(vec![Cell::Null, 0.1.into(), 1e-300.into()]);
        let header = csv_header(&rows.columns);
        assert_eq!(header, "name,loss,loss\n");
        assert_eq!(csv(&rows), format!("\"a,\"\"b\"\"\n\",NaN,-inf\n,0.1,{}\n", 1e-300));
        let lines = json(&rows);
        assert_eq!(
            lines,
            "{\"name\":\"a,\\\"b\\\"\\n\",\"loss\":null,\"loss_2\":null}\n\
             {\"name\":null,\"loss\":0.1,\"loss_2\":1e-300}\n"
        );
    }
}
