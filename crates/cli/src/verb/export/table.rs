//! Writes a table as CSV, JSON Lines or Parquet, in blocks of rows.

use std::path::Path;

use report::{Cell, Rows, lines};

use crate::exit::{Failure, Outcome};
use crate::output::Output;
use crate::screen;
use dashboard::exported::Column;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Jsonl,
    Parquet,
}

/// See the module.
pub(crate) struct Table {
    columns: Vec<String>,
    sink: Sink,
}

enum Sink {
    Csv(Output),
    Jsonl(Output),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::Writer>),
}

impl Table {
    /// Opens a table for writing.
    pub(crate) fn open(form: Form, path: Option<&Path>, columns: &[Column]) -> Result<Self, Failure> {
        if form == Form::Parquet {
            check_parquet(path)?;
        }
        let output = path.map_or_else(|| Ok(Output::stdout()), Output::file)?;
        let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
        let sink = match form {
            Form::Csv => {
                let mut output = output;
                output.append(lines::csv_header(&names).as_bytes())?;
                Sink::Csv(output)
            }
            Form::Jsonl => Sink::Jsonl(output),
            #[cfg(feature = "parquet")]
            Form::Parquet => Sink::Parquet(Box::new(super::parquet::Writer::new(output, columns)?)),
            #[cfg(not(feature = "parquet"))]
            Form::Parquet => return Err(not_built()),
        };
        Ok(Self { columns: names, sink })
    }

    /// Appends rows.
    pub(crate) fn write(&mut self, rows: Vec<Vec<Cell>>) -> Outcome {
        let rows = Rows { columns: self.columns.clone(), rows, ..Rows::default() };
        match &mut self.sink {
            Sink::Csv(output) => output.append(lines::csv(&rows).as_bytes()),
            Sink::Jsonl(output) => output.append(lines::json(&rows).as_bytes()),
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.write(rows.rows),
        }
    }

    /// Completes the table.
    pub(crate) fn finish(self) -> Outcome {
        match self.sink {
            Sink::Csv(output) | Sink::Jsonl(output) => output.finish(),
            #[cfg(feature = "parquet")]
            Sink::Parquet(writer) => writer.finish(),
        }
    }
}

/// Parquet is binary, and an optional feature of the build.
fn check_parquet(path: Option<&Path>) -> Outcome {
    if cfg!(not(feature = "parquet")) {
        return Err(not_built());
    }
    if path.is_none() && screen::is_terminal() {
        return Err(Failure::usage("Parquet is binary: write it to a file with -o FILE"));
    }
    Ok(())
}

fn not_built() -> Failure {
    Failure::usage(
        "this build can't write Parquet: rebuild with `cargo install --path crates/cli --features parquet`, or use \
         --to csv",
    )
}
