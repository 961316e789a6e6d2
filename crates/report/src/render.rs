//! Renders rows: a table for people, CSV and JSON for programs.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value as Json};

use crate::lines;
use crate::rows::{Cell, Format, Rows, printable};

impl Rows {
    /// The rows in the given format, ending with a line break.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Json => self.json(),
            Format::Csv => self.csv(),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().map(|name| printable(name)));
        for row in &self.rows {
            table.add_row(self.columns.iter().zip(row).map(|(column, cell)| self.shown(column, cell)));
        }
        for (i, column) in table.column_iter_mut().enumerate() {
            let number = |row: &Vec<Cell>| {
                matches!(row.get(i), Some(Cell::Integer(_) | Cell::Real(_) | Cell::Null | Cell::Bool(_)))
            };
            if !self.rows.is_empty() && self.rows.iter().all(number) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            column.set_padding((0, 2));
        }
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn json(&self) -> String {
        let names = lines::unique(&self.columns);
        let objects: Vec<Json> = self
            .rows
            .iter()
            .map(|row| {
                let fields = names.iter().zip(row).map(|(name, cell)| (name.clone(), cell.json()));
                Json::Object(fields.collect::<Map<_, _>>())
            })
            .collect();
        // A tree of JSON values always has a text.
        format!("{}\n", serde_json::to_string_pretty(&objects).unwrap_or_default())
    }

    fn csv(&self) -> String {
        lines::csv_header(&self.columns) + &lines::csv(self)
    }
}
