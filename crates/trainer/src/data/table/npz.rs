//! Arrays in NumPy archives (npz).

use candle_core::npy::NpzTensors;
use candle_core::{DType, Tensor};

use super::{Raw, Values, classes};
use crate::contained::first_line;
use crate::data::files::{MAX_BYTES, read_user_file};

/// The supported arrays, for error messages.
const SUPPORTED_ARRAYS: &str = "supported are arrays in C order of bool, uint8, int16, int32, int64, uint32 or floats; convert \
                                others with `numpy.ascontiguousarray` and `.astype`";

/// Reads the examples from the array `x` and their classes from the array `y`.
///
/// # Errors
/// A message for the user: what is wrong with the file.
pub(super) fn read(file: &str, x: &str, y: &str) -> Result<Raw, String> {
    let bytes = read_user_file(file, MAX_BYTES)?;
    let blake3 = blake3::hash(&bytes);
    let in_file = |error: String| format!("{file}: {error}");
    check_arrays(file, &bytes, [x, y]).map_err(in_file)?;
    let raw = read_arrays(file, x, y).map_err(in_file)?;
    // candle read the arrays from the file again, so it must still be the same.
    if blake3::hash(&read_user_file(file, MAX_BYTES)?) != blake3 {
        return Err(in_file("the file changed while it was read".to_owned()));
    }
    Ok(Raw { blake3: blake3.to_hex().to_string(), ..raw })
}

/// Checks that each array is complete and as large as its header says. Otherwise a header could request any amount of memory.
fn check_arrays(file: &str, bytes: &[u8], names: [&str; 2]) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))
        .map_err(|error| first_line(&format!("not a NumPy archive: {error}")))?;
    let names_in_file: Vec<String> =
        archive.file_names().flatten().map(|name| name.trim_end_matches(".npy").to_owned()).collect();
    for name in names {
        let Ok(mut entry) = archive.by_name(&format!("{name}.npy")) else {
            return Err(format!("no array `{name}` (arrays: {})", names_in_file.join(", ")));
        };
        if entry.size() > MAX_BYTES {
            return Err(format!("array `{name}` is too large: more than {MAX_BYTES} bytes"));
        }
        // Read to the end, where the checksum is compared; candle stops before it.
        let read = std::io::copy(&mut entry, &mut std::io::sink())
            .map_err(|error| first_line(&format!("array `{name}` is damaged: {error}")))?;
        let about = NpzTensors::new(file).and_then(|arrays| arrays.get_shape_and_dtype(name));
        let (shape, dtype) = about.map_err(|error| array_error(name, &error))?;
        let size = dtype.size_in_bytes() as u64;
        let numbers = shape.dims().iter().try_fold(size, |n, dim| n.checked_mul(*dim as u64));
        if numbers.is_none_or(|numbers| numbers > read) {
            return Err(format!("array `{name}` is shorter than its header says"));
        }
    }
    Ok(())
}

fn array_error(name: &str, error: &candle_core::Error) -> String {
    format!("can't read array `{name}`: {}; {SUPPORTED_ARRAYS}", first_line(error))
}

/// Reads the arrays. The caller sets the hash.
fn read_arrays(file: &str, x: &str, y: &str) -> Result<Raw, String> {
    let arrays = NpzTensors::new(file).map_err(|error| first_line(&error))?;
    let array = |name: &str| -> Result<Tensor, String> {
        let found = arrays.get(name).map_err(|error| array_error(name, &error))?;
        found.ok_or_else(|| format!("no array `{name}`"))
    };
    let (examples, labels) = (array(x)?, array(y)?);
    let [count, rest @ ..] = examples.dims() else {
        return Err(format!("`{x}`: expected an array, found a single number"));
    };
    if labels.dims() != [*count] {
        return Err(format!(
            "array `{x}` has shape {:?}, so `{y}` needs one label for each of its {count} examples, shape [{count}]; found {:?}",
            examples.dims(),
            labels.dims()
        ));
    }
    let inputs = rest.iter().try_fold(1usize, |n, dim| n.checked_mul(*dim)).unwrap_or(0);
    let values = values(&examples, x, inputs)?;
    let (labels, names) = classes(&integers(&labels, y)?);
    Ok(Raw { blake3: String::new(), values, inputs, labels, names })
}

fn values(examples: &Tensor, x: &str, inputs: usize) -> Result<Values, String> {
    let flat = examples.flatten_all().map_err(|error| first_line(&error))?;
    if flat.dtype() == DType::U8 {
        return Ok(Values::Bytes(flat.to_vec1().map_err(|error| first_line(&error))?));
    }
    let numbers = to_f64(&flat)?;
    if let Some((at, number)) = numbers.iter().enumerate().find(|(_, number)| !number.is_finite()) {
        let example = at / inputs.max(1);
        return Err(format!("`{x}`: expected finite numbers, found {number} in example {example}"));
    }
    Ok(Values::Numbers(numbers))
}

fn integers(labels: &Tensor, y: &str) -> Result<Vec<i64>, String> {
    let labels = to_f64(labels)?;
    let is_integer = |label: f64| label.fract() == 0.0 && label.abs() <= 1e15;
    match labels.iter().enumerate().find(|(_, label)| !is_integer(**label)) {
        Some((at, label)) => Err(format!("`{y}`: expected integers, found {label} at index {at}")),
        None => Ok(labels.into_iter().map(|label| label as i64).collect()),
    }
}

fn to_f64(array: &Tensor) -> Result<Vec<f64>, String> {
    array.to_dtype(DType::F64).and_then(|array| array.to_vec1()).map_err(|error| first_line(&error))
}
