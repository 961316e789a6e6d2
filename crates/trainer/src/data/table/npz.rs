//! Arrays in archives of NumPy.

use candle_core::npy::NpzTensors;
use candle_core::{DType, Tensor};

use super::{Raw, Values, classes};
use crate::contain::first_line;
use crate::data::files::{MOST_BYTES, bytes_of};

/// What NumPy's arrays may be, for those who have others.
const READ: &str = "arrays in C order of bool, uint8, int16, int32, int64, uint32 or floats are read: `numpy.ascontiguousarray` \
                    and `.astype` make them";

/// Reads the examples from the array `x` and their classes from the array `y`.
///
/// # Errors
/// What is wrong with them.
pub(super) fn read(file: &str, x: &str, y: &str) -> Result<Raw, String> {
    let bytes = bytes_of(file, MOST_BYTES)?;
    let blake3 = blake3::hash(&bytes);
    let said = |error: String| format!("{file}: {error}");
    check(file, &bytes, [x, y]).map_err(said)?;
    let raw = arrays(file, x, y).map_err(said)?;
    // The arrays were read from the file once more.
    if blake3::hash(&bytes_of(file, MOST_BYTES)?) != blake3 {
        return Err(said("it was changed while it was read".to_owned()));
    }
    Ok(Raw { blake3: blake3.to_hex().to_string(), ..raw })
}

/// Each array is whole, and as large as its header says: else a header could ask for any amount of memory.
fn check(file: &str, bytes: &[u8], names: [&str; 2]) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))
        .map_err(|error| first_line(&format!("no NumPy archive: {error}")))?;
    let there: Vec<String> =
        archive.file_names().flatten().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
    for name in names {
        let Ok(mut entry) = archive.by_name(&format!("{name}.npy")) else {
            return Err(format!("no array `{name}` (there are {})", there.join(", ")));
        };
        if entry.size() > MOST_BYTES {
            return Err(format!("the array `{name}` has more than {MOST_BYTES} bytes"));
        }
        // To the end, where its checksum is compared; candle stops before.
        let read = std::io::copy(&mut entry, &mut std::io::sink())
            .map_err(|error| first_line(&format!("the array `{name}` is damaged: {error}")))?;
        let about = NpzTensors::new(file).and_then(|arrays| arrays.get_shape_and_dtype(name));
        let (shape, dtype) = about.map_err(|error| unreadable(name, &error))?;
        let size = dtype.size_in_bytes() as u64;
        let numbers = shape.dims().iter().try_fold(size, |n, dim| n.checked_mul(*dim as u64));
        if numbers.is_none_or(|numbers| numbers > read) {
            return Err(format!("the array `{name}` is shorter than its header says"));
        }
    }
    Ok(())
}

fn unreadable(name: &str, error: &candle_core::Error) -> String {
    format!("the array `{name}` can't be read: {}; {READ}", first_line(error))
}

/// What the arrays hold; the hash is left to the caller.
fn arrays(file: &str, x: &str, y: &str) -> Result<Raw, String> {
    let arrays = NpzTensors::new(file).map_err(|error| first_line(&error))?;
    let array = |name: &str| -> Result<Tensor, String> {
        let found = arrays.get(name).map_err(|error| unreadable(name, &error))?;
        found.ok_or_else(|| format!("no array `{name}`"))
    };
    let (examples, labels) = (array(x)?, array(y)?);
    let [count, rest @ ..] = examples.dims() else { return Err(format!("`{x}` is a single number")) };
    if labels.dims() != [*count] {
        return Err(format!(
            "`{x}` has the shape {:?}, so that `{y}` should have the shape [{count}], and has {:?}",
            examples.dims(),
            labels.dims()
        ));
    }
    let inputs = rest.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim)).unwrap_or(0);
    let values = values(&examples, x, inputs)?;
    let (labels, names) = classes(&whole(&labels, y)?);
    Ok(Raw { blake3: String::new(), values, inputs, labels, names })
}

fn values(examples: &Tensor, x: &str, inputs: usize) -> Result<Values, String> {
    let flat = examples.flatten_all().map_err(|error| first_line(&error))?;
    if flat.dtype() == DType::U8 {
        return Ok(Values::Bytes(flat.to_vec1().map_err(|error| first_line(&error))?));
    }
    let numbers = floats(&flat)?;
    if let Some((at, number)) = numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
        let example = at / inputs.max(1);
        return Err(format!("`{x}`: example {example} holds {number}, which is no finite number"));
    }
    Ok(Values::Numbers(numbers))
}

fn whole(labels: &Tensor, y: &str) -> Result<Vec<i64>, String> {
    let labels = floats(labels)?;
    let is_whole = |label: f64| label.fract() == 0.0 && label.abs() <= 1e15;
    match labels.iter().enumerate().find(|(_, label)| !is_whole(**label)) {
        Some((at, label)) => Err(format!("`{y}`: label {at} is {label}; whole numbers were expected")),
        None => Ok(labels.into_iter().map(|label| label as i64).collect()),
    }
}

fn floats(array: &Tensor) -> Result<Vec<f64>, String> {
    array.to_dtype(DType::F64).and_then(|array| array.to_vec1()).map_err(|error| first_line(&error))
}
