//! Labelled examples in files of the user's own: tables (csv), NumPy's archives (npz), IDX files. All that is wrong with them
//! is found before training, and said with its place.

use candle_core::npy::NpzTensors;
use candle_core::{DType, Tensor};
use spec::trial::{Found, Source, Table};

use super::files::{DataError, MOST_BYTES, bytes_of};
use super::idx;
use super::labelled::{Labelled, Split};
use crate::random::Stream;
use crate::run::first_line;

/// What stands where a label is missing.
const MISSING: [&str; 7] = ["", "na", "n/a", "nan", "null", "none", "?"];

/// What NumPy's arrays may be, for those who have others.
const READ: &str = "arrays in C order of bool, uint8, int16, int32, int64, uint32 or floats are read: `numpy.ascontiguousarray` \
                    and `.astype` make them";

/// Different labels that there may be.
const MOST_CLASSES: usize = 10_000;

/// Examples as they stand in a file.
struct Raw {
    blake3: String,
    values: Values,
    inputs: usize,
    /// The class of each example: the place of its label in the sorted list of labels.
    labels: Vec<u32>,
    /// The labels in their order.
    names: Vec<String>,
}

enum Values {
    Bytes(Vec<u8>),
    /// As exact as they are given: they are scaled before they become f32.
    Numbers(Vec<f64>),
}

/// What is in some files.
///
/// # Errors
/// What is wrong with them, in words.
pub fn look(source: &Source) -> Result<Found, String> {
    let raw = raw(source)?;
    Ok(Found {
        blake3: raw.blake3,
        examples: raw.labels.len(),
        inputs: raw.inputs,
        classes: raw.names.len(),
        bytes: matches!(raw.values, Values::Bytes(_)),
    })
}

/// The examples that a trial was planned with. Which are for validation and test was drawn once, the same for all trials: a
/// table is often sorted by its labels.
pub(super) fn read(table: &Table, [train, valid, test]: [usize; 3]) -> Result<Labelled, DataError> {
    let mut raw = raw(&table.source).map_err(DataError::Own)?;
    if let Values::Bytes(bytes) = &mut raw.values
        && bytes.iter().max() == Some(&1)
    {
        // Black and white, as from an array of bool.
        bytes.iter_mut().for_each(|byte| *byte *= 255);
    }
    if raw.blake3 != table.blake3 {
        return Err(DataError::Changed(name(&table.source).to_owned()));
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
        Values::Numbers(numbers) => Some(columns(numbers, &parts[0], inputs)),
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
    Ok(Labelled::new(train, valid, test, inputs).described(raw.names, columns))
}

/// Mean and standard deviation of each column in the training part; 1 for a column that is always the same.
fn columns(numbers: &[f64], train: &[usize], inputs: usize) -> Vec<(f64, f64)> {
    let of = |column: usize| {
        let column = || train.iter().filter_map(move |i| numbers.get(i * inputs + column));
        let n = train.len().max(1) as f64;
        // The first number is taken off, so that sums of large numbers that differ little are exact enough.
        let first = column().next().copied().unwrap_or(0.0);
        let mean = column().map(|x| (x - first) / n).sum::<f64>();
        let largest = column().fold(0.0f64, |most, x| most.max((x - first - mean).abs()));
        // Squares of very large or small numbers are none. By a power of two nothing is rounded.
        let unit = f64::from_bits(largest.to_bits() >> 52 << 52);
        let squares = column().map(|x| ((x - first - mean) / unit).powi(2) / n);
        let deviation = unit * squares.sum::<f64>().sqrt();
        (first + mean, if deviation.is_normal() && (1.0 / deviation).is_finite() { deviation } else { 1.0 })
    };
    (0..inputs).map(of).collect()
}

fn name(source: &Source) -> &str {
    match source {
        Source::Csv { file, .. } | Source::Npz { file, .. } | Source::Idx { file, .. } => file,
    }
}

fn raw(source: &Source) -> Result<Raw, String> {
    let raw = match source {
        Source::Csv { file, label } => csv(file, label),
        Source::Npz { file, x, y } => npz(file, x, y),
        Source::Idx { file, labels } => two_idx(file, labels),
    }?;
    let file = name(source);
    if raw.inputs == 0 {
        return Err(format!("{file}: an example has no numbers"));
    }
    match raw.labels.len() {
        0 => return Err(format!("{file}: there are no examples")),
        1 => {
            return Err(format!(
                "{file}: there is one example; some are needed to train on and some to validate"
            ));
        }
        _ => {}
    }
    match raw.names.len() {
        0 | 1 => Err(format!("{file}: all labels are the same; two different ones at least are needed")),
        n if n > MOST_CLASSES => Err(format!(
            "{file}: {n} different labels; {MOST_CLASSES} are the most, and numbers can't be predicted"
        )),
        _ => Ok(raw),
    }
}

/// Classes of labels, in the order of the labels.
fn classes<T: Ord + Clone + ToString>(labels: &[T]) -> (Vec<u32>, Vec<String>) {
    let mut sorted = labels.to_vec();
    sorted.sort();
    sorted.dedup();
    let class = |label| sorted.binary_search(label).unwrap_or_default() as u32;
    (labels.iter().map(class).collect(), sorted.iter().map(T::to_string).collect())
}

fn csv(file: &str, label: &str) -> Result<Raw, String> {
    let bytes = bytes_of(file, MOST_BYTES)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let said = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        let what = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("this line has {len} cells, the first one has {expected_len}")
            }
            csv::ErrorKind::Utf8 { .. } => "this is not UTF-8 text".to_owned(),
            _ => error.to_string(),
        };
        format!("{file}:{line}: {what}")
    };
    let headers = reader.headers().map_err(said)?.clone();
    let is_label = |name: &str| name.trim_start_matches('\u{feff}') == label;
    let columns: Vec<usize> = (0..headers.len()).filter(|i| headers.get(*i).is_some_and(is_label)).collect();
    let [column] = columns[..] else {
        let all: Vec<&str> = headers.iter().collect();
        let near = schedule::problem::nearest(label, all.iter().copied());
        let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let listed = match all.len() {
            0 => String::new(),
            1..=20 => format!(" (there are {})", all.join(", ")),
            n => format!(" (there are {n})"),
        };
        let parted = all.len() == 1 && all.iter().any(|name| name.contains([';', '\t']));
        let hint = if parted { "; cells are parted by commas" } else { &near };
        return Err(match columns.len() {
            0 if all.is_empty() => format!("{file} is empty; a line of column names was expected"),
            0 => format!("{file} has no column `{label}`{listed}{hint}"),
            n => format!("{file} has {n} columns `{label}`"),
        });
    };
    let (mut numbers, mut labels) = (Vec::new(), Vec::new());
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(said)? {
        let line = record.position().map_or(0, csv::Position::line);
        for (i, cell) in record.iter().enumerate() {
            let place = || format!("{file}:{line}: column `{}`", headers.get(i).unwrap_or_default());
            if i == column {
                if MISSING.contains(&cell.to_lowercase().as_str()) {
                    return Err(format!("{}: the label is missing, found `{cell}`", place()));
                }
                if cell.parse::<f64>().is_ok_and(|number| number.fract() != 0.0) {
                    return Err(format!(
                        "{}: a label is a word or a whole number, found `{cell}`; classes can be learnt, numbers not",
                        place()
                    ));
                }
                labels.push(cell.to_owned());
                continue;
            }
            match cell.parse::<f64>() {
                Ok(number) if number.is_finite() => numbers.push(number),
                _ => return Err(format!("{}: expected a number, found `{cell}`", place())),
            }
        }
    }
    // Whole numbers in their own order: 10 comes after 9.
    let whole: Option<Vec<i64>> = labels.iter().map(|label| whole(label)).collect();
    let (labels, names) = whole.map_or_else(|| classes(&labels), |whole| classes(&whole));
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    Ok(Raw { blake3, values: Values::Numbers(numbers), inputs: headers.len() - 1, labels, names })
}

/// A whole number, also where it is written as `1.0`.
fn whole(label: &str) -> Option<i64> {
    // Up to here each whole number is an f64 of its own.
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= 9e15;
    label.parse().ok().or_else(|| label.parse::<f64>().ok().filter(exact).map(|number| number as i64))
}

fn npz(file: &str, x: &str, y: &str) -> Result<Raw, String> {
    let bytes = bytes_of(file, MOST_BYTES)?;
    let said = |error: &dyn std::fmt::Display| format!("{file}: {}", first_line(error));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes))
        .map_err(|error| said(&format!("no NumPy archive: {error}")))?;
    let names = archive.file_names().flatten().map(|name| name.trim_end_matches(".npy").to_owned());
    let names: Vec<String> = names.collect();
    for name in [x, y] {
        let Ok(mut entry) = archive.by_name(&format!("{name}.npy")) else {
            return Err(said(&format!("no array `{name}` (there are {})", names.join(", "))));
        };
        if entry.size() > MOST_BYTES {
            return Err(said(&format!("the array `{name}` has more than {MOST_BYTES} bytes")));
        }
        // To the end, where its checksum is compared; candle stops before.
        let read = std::io::copy(&mut entry, &mut std::io::sink())
            .map_err(|error| said(&format!("the array `{name}` is damaged: {error}")))?;
        let about = NpzTensors::new(file).and_then(|arrays| arrays.get_shape_and_dtype(name));
        let (shape, dtype) = about.map_err(|error| {
            said(&format!("the array `{name}` can't be read: {}; {READ}", first_line(&error)))
        })?;
        let size = dtype.size_in_bytes() as u64;
        let numbers = shape.dims().iter().try_fold(size, |n, dim| n.checked_mul(*dim as u64));
        // Else a header could ask for any amount of memory.
        if numbers.is_none_or(|numbers| numbers > read) {
            return Err(said(&format!("the array `{name}` is shorter than its header says")));
        }
    }
    let arrays = NpzTensors::new(file).map_err(|error| said(&error))?;
    let array = |name: &str| -> Result<Tensor, String> {
        let found = arrays.get(name);
        let found = found.map_err(|error| {
            said(&format!("the array `{name}` can't be read: {}; {READ}", first_line(&error)))
        })?;
        found.ok_or_else(|| said(&format!("no array `{name}`")))
    };
    let (examples, labels) = (array(x)?, array(y)?);
    let [count, rest @ ..] = examples.dims() else {
        return Err(said(&format!("`{x}` is a single number")));
    };
    if labels.dims() != [*count] {
        return Err(said(&format!(
            "`{x}` has the shape {:?}, so that `{y}` should have the shape [{count}], and has {:?}",
            examples.dims(),
            labels.dims()
        )));
    }
    let inputs = rest.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim)).unwrap_or(0);
    let flat = examples.flatten_all().map_err(|error| said(&error))?;
    let values = if flat.dtype() == DType::U8 {
        Values::Bytes(flat.to_vec1().map_err(|error| said(&error))?)
    } else {
        let numbers: Vec<f64> =
            flat.to_dtype(DType::F64).and_then(|x| x.to_vec1()).map_err(|error| said(&error))?;
        if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
            let example = at / inputs.max(1);
            return Err(said(&format!(
                "`{x}`: example {example} holds {}, which is no finite number",
                numbers[at]
            )));
        }
        Values::Numbers(numbers)
    };
    let labels: Vec<f64> =
        labels.to_dtype(DType::F64).and_then(|y| y.to_vec1()).map_err(|error| said(&error))?;
    if let Some(at) = labels.iter().position(|label| label.fract() != 0.0 || label.abs() > 1e15) {
        return Err(said(&format!("`{y}`: label {at} is {}; whole numbers were expected", labels[at])));
    }
    let (labels, names) = classes(&labels.iter().map(|label| *label as i64).collect::<Vec<_>>());
    let blake3 = blake3::hash(&bytes);
    // The arrays were read from the file once more.
    if blake3::hash(&bytes_of(file, MOST_BYTES)?) != blake3 {
        return Err(said(&"it was changed while it was read"));
    }
    Ok(Raw { blake3: blake3.to_hex().to_string(), values, inputs, labels, names })
}

fn two_idx(file: &str, labels_file: &str) -> Result<Raw, String> {
    let read = |file: &str| -> Result<_, String> {
        let bytes = bytes_of(file, MOST_BYTES)?;
        let (dims, numbers) = idx::parse_any(&bytes).map_err(|error| format!("{file}: {error}"))?;
        Ok((blake3::hash(&bytes), dims, numbers))
    };
    let (first_hash, dims, values) = read(file)?;
    let (second_hash, label_dims, labels) = read(labels_file)?;
    let [count, rest @ ..] = &dims[..] else { return Err(format!("{file} holds a single number")) };
    if label_dims != [*count] {
        return Err(format!(
            "{file} has the dimensions {dims:?}, so that {labels_file} should have [{count}], and has {label_dims:?}"
        ));
    }
    let inputs = rest.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim as usize)).unwrap_or(0);
    let mut hasher = blake3::Hasher::new();
    hasher.update(first_hash.as_bytes()).update(second_hash.as_bytes());
    let (labels, names) = classes(&labels);
    let blake3 = hasher.finalize().to_hex().to_string();
    Ok(Raw { blake3, values: Values::Bytes(values), inputs, labels, names })
}
