//! Rows as lines for other programs: CSV and JSON Lines. Each row is written independently, so that a table that is too large
//! for memory can be written in pieces.

use serde_json::{Map, Value as Json};

use crate::rows::{Cell, Rows};

/// The header line of a CSV file.
pub fn csv_header(columns: &[String]) -> String {
    records(std::iter::once(columns.to_vec()))
}

/// Rows as CSV (RFC 4180), without a header. Numbers that are not finite are `inf`, `-inf` or `NaN`.
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

/// Rows as JSON Lines: an object per row. Numbers that are not finite are null, because JSON can't represent them.
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

/// Makes column names unique: if a join gives several columns the same name, the later ones get a number.
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
    fn rows_are_csv_and_json_lines_with_numbers_that_are_not_finite() {
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
