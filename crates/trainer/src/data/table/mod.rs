//! Labelled examples in files of the user: CSV tables, NumPy archives (npz), IDX files. Errors are found before training and name
//! their place. Each format is read in its own module.

mod csv;
mod npz;

use spec::trial::{DataInfo, Source, Table};

use super::files::{DataError, MAX_BYTES, read_user_file};
use super::idx;
use super::labelled::{Labelled, Split};
use crate::random::Stream;

/// Maximum number of different labels.
const MAX_CLASSES: usize = 10_000;

/// Examples as they are in a file.
struct Raw {
    blake3: String,
    values: Values,
    inputs: usize,
    /// The class of each example: the index of its label in `names`.
    labels: Vec<u32>,
    /// The different labels, sorted.
    names: Vec<String>,
}

enum Values {
    Bytes(Vec<u8>),
    /// In full precision: they are scaled before they become f32.
    Numbers(Vec<f64>),
}

/// Inspects the files of a table: hash, number of examples, inputs and classes.
///
/// # Errors
/// A message for the user: what is wrong with the files.
pub fn inspect_table(source: &Source) -> Result<DataInfo, String> {
    let raw = read_raw(source)?;
    Ok(DataInfo {
        blake3: raw.blake3,
        examples: raw.labels.len(),
        inputs: raw.inputs,
        classes: raw.names.len(),
        bytes: matches!(raw.values, Values::Bytes(_)),
    })
}

/// The names of the columns of a CSV file.
///
/// # Errors
/// A message for the user: what is wrong with the file.
pub fn columns(file: &str) -> Result<Vec<String>, String> {
    csv::columns(file)
}

/// The features of a table that look like numbers of its rows, which say nothing about the classes of other rows.
///
/// # Errors
/// A message for the user: what is wrong with the file.
pub fn row_numbers(source: &Source) -> Result<Vec<String>, String> {
    match source {
        Source::Csv { file, label } => csv::row_numbers(file, label),
        Source::Npz { .. } | Source::Idx { .. } => Ok(Vec::new()),
    }
}

/// Loads the examples that a trial was planned with. The split into training, validation and test is random, because tables are
/// often sorted by label, and the same for all trials.
pub(super) fn read(table: &Table, [train, valid, test]: [usize; 3]) -> Result<Labelled, DataError> {
    let mut raw = read_raw(&table.source).map_err(DataError::Invalid)?;
    if let Values::Bytes(bytes) = &mut raw.values
        && bytes.iter().max() == Some(&1)
    {
        // Black and white, for example from an array of bool.
        bytes.iter_mut().for_each(|byte| *byte *= 255);
    }
    if raw.blake3 != table.blake3 {
        return Err(DataError::Changed(file_name(&table.source).to_owned()));
    }
    let count = u32::try_from(raw.labels.len()).unwrap_or(u32::MAX);
    let order = Stream::new(0, "split", "").permutation(count);
    let (for_valid, rest) = order.split_at(table.valid.min(order.len()));
    let (for_test, for_train) = rest.split_at(table.test.min(rest.len()));
    let part =
        |which: &[u32], most: usize| -> Vec<usize> { which.iter().take(most).map(|i| *i as usize).collect() };
    let parts = [part(for_train, train), part(for_valid, valid), part(for_test, test)];
    let labels = |which: &[usize]| which.iter().filter_map(|i| raw.labels.get(*i).copied()).collect();
    let inputs = raw.inputs;
    let columns = match &raw.values {
        Values::Bytes(_) => None,
        Values::Numbers(numbers) => Some(column_moments(numbers, &parts[0], inputs)),
    };
    let [train, valid, test] = match &raw.values {
        Values::Bytes(bytes) => parts.map(|which| {
            let rows = which.iter().filter_map(|i| bytes.get(i * inputs..(i + 1) * inputs));
            Split::bytes(rows.flatten().copied().collect(), labels(&which))
        }),
        Values::Numbers(numbers) => {
            let scales: Vec<(f64, f64)> =
                columns.iter().flatten().map(|(mean, deviation)| (*mean, 1.0 / deviation)).collect();
            parts.map(|which| {
                let rows = which.iter().filter_map(|i| numbers.get(i * inputs..(i + 1) * inputs));
                let scaled = rows.flat_map(|row| {
                    row.iter().zip(&scales).map(|(x, (mean, scale))| ((x - mean) * scale) as f32)
                });
                Split::numbers(scaled.collect(), labels(&which))
            })
        }
    };
    Ok(Labelled::new(train, valid, test, inputs).with_labels(raw.names, columns))
}

/// Mean and standard deviation of each column in the training part. The deviation of a constant column is set to 1.
fn column_moments(numbers: &[f64], train: &[usize], inputs: usize) -> Vec<(f64, f64)> {
    let of = |column: usize| {
        let column = || train.iter().filter_map(move |i| numbers.get(i * inputs + column));
        let n = train.len().max(1) as f64;
        // Subtract the first number first, so that sums of large numbers with small differences stay precise.
        let first = column().next().copied().unwrap_or(0.0);
        let mean = column().map(|x| (x - first) / n).sum::<f64>();
        let largest = column().fold(0.0f64, |most, x| most.max((x - first - mean).abs()));
        // Scale by a power of two, which is exact, so that squares of very large or small numbers stay in range.
        let unit = f64::from_bits(largest.to_bits() >> 52 << 52);
        let squares = column().map(|x| ((x - first - mean) / unit).powi(2) / n);
        let deviation = unit * squares.sum::<f64>().sqrt();
        (first + mean, if deviation.is_normal() && (1.0 / deviation).is_finite() { deviation } else { 1.0 })
    };
    (0..inputs).map(of).collect()
}

fn file_name(source: &Source) -> &str {
    match source {
        Source::Csv { file, .. } | Source::Npz { file, .. } | Source::Idx { file, .. } => file,
    }
}

fn read_raw(source: &Source) -> Result<Raw, String> {
    let raw = match source {
        Source::Csv { file, label } => csv::read(file, label),
        Source::Npz { file, x, y } => npz::read(file, x, y),
        Source::Idx { file, labels } => read_idx_pair(file, labels),
    }?;
    let file = file_name(source);
    if raw.inputs == 0 {
        return Err(format!("{file}: the examples have no numbers"));
    }
    match raw.labels.len() {
        0 => return Err(format!("{file}: no examples")),
        1 => {
            return Err(format!("{file}: only one example; training and validation need at least one each"));
        }
        _ => {}
    }
    match raw.names.len() {
        0 | 1 => Err(format!("{file}: all labels are equal; at least two classes are needed")),
        n if n > MAX_CLASSES => Err(format!(
            "{file}: {n} different labels; at most {MAX_CLASSES} classes are supported, and regression is not"
        )),
        _ => Ok(raw),
    }
}

/// The class of each label, and the names of the classes, sorted.
fn classes<T: Ord + Clone + ToString>(labels: &[T]) -> (Vec<u32>, Vec<String>) {
    let mut sorted = labels.to_vec();
    sorted.sort();
    sorted.dedup();
    let class = |label| sorted.binary_search(label).unwrap_or_default() as u32;
    (labels.iter().map(class).collect(), sorted.iter().map(T::to_string).collect())
}

fn read_idx_pair(file: &str, labels_file: &str) -> Result<Raw, String> {
    let read = |file: &str| -> Result<_, String> {
        let bytes = read_user_file(file, MAX_BYTES)?;
        let (dims, numbers) = idx::parse_any(&bytes).map_err(|error| format!("{file}: {error}"))?;
        Ok((blake3::hash(&bytes), dims, numbers))
    };
    let (first_hash, dims, values) = read(file)?;
    let (second_hash, label_dims, labels) = read(labels_file)?;
    let [count, rest @ ..] = &dims[..] else {
        return Err(format!("{file}: expected an array, found a single number"));
    };
    if label_dims != [*count] {
        return Err(format!(
            "{file} has dimensions {dims:?}, so {labels_file} must have dimensions [{count}], found {label_dims:?}"
        ));
    }
    let inputs = rest.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim as usize)).unwrap_or(0);
    let mut hasher = blake3::Hasher::new();
    hasher.update(first_hash.as_bytes()).update(second_hash.as_bytes());
    let (labels, names) = classes(&labels);
    let blake3 = hasher.finalize().to_hex().to_string();
    Ok(Raw { blake3, values: Values::Bytes(values), inputs, labels, names })
}
