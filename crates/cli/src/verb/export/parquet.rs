//! Writes Parquet files with the crate's low-level writer. All columns are nullable, and numbers keep all their bits.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use report::Cell;

use crate::exit::{Failure, Outcome};
use crate::output::Output;
use dashboard::exported::{Column, Kind};

/// Rows of a row group.
const GROUP: usize = 1 << 16;

/// See the module.
pub(crate) struct Writer {
    file: SerializedFileWriter<Output>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Cell>>,
}

impl Writer {
    pub(crate) fn new(output: Output, columns: &[Column]) -> Result<Self, Failure> {
        let schema = schema(columns).map_err(failed)?;
        let properties = Arc::new(WriterProperties::builder().build());
        let file = SerializedFileWriter::new(output, Arc::new(schema), properties).map_err(failed)?;
        Ok(Self { file, kinds: columns.iter().map(|(_, kind)| *kind).collect(), rows: Vec::new() })
    }

    pub(crate) fn write(&mut self, rows: Vec<Vec<Cell>>) -> Outcome {
        self.rows.extend(rows);
        if self.rows.len() >= GROUP { self.group().map_err(failed) } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Outcome {
        self.group().and_then(|()| self.file.into_inner()).map_err(failed)?.finish()
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (i, kind) in self.kinds.iter().enumerate() {
            let Some(mut column) = group.next_column()? else { break };
            let cells = rows.iter().map(|row| row.get(i).unwrap_or(&Cell::Null));
            write(&mut column, *kind, cells)?;
            column.close()?;
        }
        group.close().map(|_| ())
    }
}

fn schema(columns: &[Column]) -> Result<Type, ParquetError> {
    let field = |(name, kind): &Column| {
        let (physical, logical) = match kind {
            Kind::Integer => (Physical::INT64, None),
            Kind::Real => (Physical::DOUBLE, None),
            Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(name, physical);
        let field = field.with_logical_type(logical).with_repetition(Repetition::OPTIONAL);
        field.build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    Type::group_type_builder("sweep").with_fields(fields).build()
}

/// Writes one column of a row group: its values, and for each row whether it has one.
fn write<'a>(
    column: &mut SerializedColumnWriter<'_>,
    kind: Kind,
    cells: impl Iterator<Item = &'a Cell>,
) -> Result<(), ParquetError> {
    fn gather<'a, T>(
        cells: impl Iterator<Item = &'a Cell>,
        value: impl Fn(&Cell) -> Option<T>,
    ) -> (Vec<T>, Vec<i16>) {
        let all: Vec<Option<T>> = cells.map(value).collect();
        let levels = all.iter().map(|value| i16::from(value.is_some())).collect();
        (all.into_iter().flatten().collect(), levels)
    }
    match kind {
        Kind::Integer => {
            let whole = |cell: &Cell| if let Cell::Integer(i) = cell { Some(*i) } else { None };
            let (values, levels) = gather(cells, whole);
            column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Kind::Real => {
            let real = |cell: &Cell| if let Cell::Real(x) = cell { Some(*x) } else { None };
            let (values, levels) = gather(cells, real);
            column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
        }
        Kind::Text => {
            let text = |cell: &Cell| {
                if let Cell::Text(text) = cell { Some(ByteArray::from(text.as_str())) } else { None }
            };
            let (values, levels) = gather(cells, text);
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        }
    }
    Ok(())
}

/// Errors of the file arrive wrapped. A closed reader of stdout is not a failure.
fn failed(error: ParquetError) -> Failure {
    if let ParquetError::External(inner) = &error
        && let Some(inner) = inner.downcast_ref::<std::io::Error>()
        && inner.kind() == std::io::ErrorKind::BrokenPipe
    {
        return Failure::ReaderClosed;
    }
    Failure::failed(format_args!("can't write Parquet: {error}"))
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    #[test]
    fn a_written_file_can_be_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("t.parquet");
        let columns = [("n", Kind::Integer), ("x", Kind::Real), ("axis:a", Kind::Text)];
        let columns = columns.map(|(name, kind)| (name.to_owned(), kind));
        let mut writer = Writer::new(Output::file(&path).expect("a file"), &columns).expect("a writer");
        let count = GROUP + 5;
        for i in 0..count {
            let x = if i % 2 == 0 { f64::NAN } else { f64::INFINITY };
            let text = if i == 3 { "é\0".into() } else { Cell::Null };
            writer.write(vec![vec![i.into(), x.into(), text]]).expect("it is written");
        }
        writer.finish().expect("it is complete");
        let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("a file")).expect("Parquet");
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let rows: Vec<Vec<Field>> = reader
            .get_row_iter(None)
            .expect("rows")
            .map(|row| row.expect("a row").get_column_iter().map(|(_, field)| field.clone()).collect())
            .collect();
        assert_eq!(rows.len(), count);
        assert_eq!(rows[3], [Field::Long(3), Field::Double(f64::INFINITY), Field::Str("é\0".to_owned())]);
        assert_eq!(rows[count - 1][2], Field::Null);
        assert!(matches!(rows[4][1], Field::Double(x) if x.is_nan()));
    }
}
