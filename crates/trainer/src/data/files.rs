//! The files of the published data sets: names, hashes of their bytes, and reading. Also reads the user's files.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use spec::trial::Dataset;

use super::idx::{self, IdxError};

/// One published file.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    name: &'static str,
    dims: &'static [u32],
    /// Hash of the decompressed bytes.
    sha256: &'static str,
}

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// The files of a data set: training images and labels, test images and labels.
pub(super) fn files_of(dataset: &Dataset) -> [File; 4] {
    let [a, b, c, d] = match dataset {
        // `digits` uses the files of MNIST; the others do not get here.
        Dataset::Mnist | Dataset::Digits | Dataset::Emma | Dataset::Table(_) | Dataset::Text(_) => [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ],
        Dataset::FashionMnist => [
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ],
    };
    [
        File { name: TRAIN_IMAGES, dims: &[60_000, 28, 28], sha256: a },
        File { name: TRAIN_LABELS, dims: &[60_000], sha256: b },
        File { name: TEST_IMAGES, dims: &[10_000, 28, 28], sha256: c },
        File { name: TEST_LABELS, dims: &[10_000], sha256: d },
    ]
}

/// Why a data set can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file was not found.
    #[error("data set `{dataset}` not found: no {file}.gz or {file} in {looked}; {hint}", looked = join_paths(looked))]
    Missing {
        /// The data set.
        dataset: &'static str,
        /// The file.
        file: &'static str,
        /// The folders that were searched.
        looked: Vec<PathBuf>,
        /// How to get it.
        hint: &'static str,
    },
    /// A file can't be read or decompressed.
    #[error("can't read {}: {error}; {hint}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
        /// How to get a correct one.
        hint: &'static str,
    },
    /// A file is not an IDX file of the right size.
    #[error("{} is not the published file: {error}; {hint}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The problem.
        error: IdxError,
        /// How to get a correct one.
        hint: &'static str,
    },
    /// A file of the user is invalid.
    #[error("{0}")]
    Invalid(String),
    /// A file of the user has changed.
    #[error("{0} has changed since the sweep was planned")]
    Changed(String),
    /// A custom task can't be built.
    #[error("{0}")]
    Task(String),
    /// A file has the right format but different bytes.
    #[error("{} is not the published file: expected SHA-256 {expected} of its decompressed bytes, found {found}; {hint}", path.display())]
    WrongHash {
        /// The file.
        path: PathBuf,
        /// The hash of the file.
        found: String,
        /// The hash of the published file.
        expected: &'static str,
        /// How to get a correct one.
        hint: &'static str,
    },
}

/// Reads the text of the novel `emma`.
pub(super) fn emma(dirs: &[PathBuf]) -> Result<String, DataError> {
    const NAME: &str = "emma.txt";
    const SHA256: &str = "b27b60d451a70cfc21a6444fd0e03a3915994fa9c54fdcc42779d9010ec0a8c2";
    const BYTES: u64 = 882_304;
    let (path, bytes) = find_file(&Dataset::Emma, NAME, BYTES, dirs)?;
    check_hash(&Dataset::Emma, &path, &bytes, SHA256)?;
    // The published bytes are ASCII.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Maximum size of a file of the user, in bytes.
pub(super) const MAX_BYTES: u64 = 2 << 30;

/// Reads a file of the user, decompressed. The error is a message for the user.
pub(super) fn read_user_file(file: &str, most: u64) -> Result<Vec<u8>, String> {
    let path = Path::new(file);
    if !path.exists() {
        return Err(format!(
            "file not found: {file} (paths are relative to the folder where `sweep` is started)"
        ));
    }
    match read_bytes(path, most) {
        Ok(bytes) if bytes.len() as u64 > most => Err(format!("{file} is too large: more than {most} bytes")),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("can't read {file}: {error}")),
    }
}

fn join_paths(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The name of a data set, and how to get it.
fn name_and_hint(dataset: &Dataset) -> (&'static str, &'static str) {
    const MNIST: &str = "its four files are in data/mnist of the sweep project: run sweep from the project's folder, or set \
                         --data-dir or SWEEP_DATA_DIR to the folder that contains mnist";
    match dataset {
        Dataset::Mnist | Dataset::Table(_) | Dataset::Text(_) => ("mnist", MNIST),
        Dataset::Emma => (
            "emma",
            "it is in data/emma of the sweep project: run sweep from the project's folder, or set --data-dir or \
             SWEEP_DATA_DIR to the folder that contains emma",
        ),
        Dataset::Digits => ("digits (the first images of mnist)", MNIST),
        Dataset::FashionMnist => (
            "fashion-mnist",
            "install the Debian package dataset-fashion-mnist, or put its four files into a folder fashion-mnist and set \
             --data-dir or SWEEP_DATA_DIR to the folder that contains it",
        ),
    }
}

/// Reads the numbers of one file from the first folder that has it, compressed or not, and checks them against the published hash.
pub(super) fn read(dataset: &Dataset, file: File, dirs: &[PathBuf]) -> Result<Vec<u8>, DataError> {
    let (_, hint) = name_and_hint(dataset);
    let size = 4 + 4 * file.dims.len() as u64 + file.dims.iter().map(|n| u64::from(*n)).product::<u64>();
    let (path, bytes) = find_file(dataset, file.name, size, dirs)?;
    let numbers = match idx::parse(&bytes, file.dims) {
        Ok(numbers) => numbers,
        Err(error) => return Err(DataError::Malformed { path, error, hint }),
    };
    check_hash(dataset, &path, &bytes, file.sha256)?;
    Ok(numbers)
}

/// The first file of this name, compressed or not, and its bytes.
fn find_file(
    dataset: &Dataset,
    file: &'static str,
    size: u64,
    dirs: &[PathBuf],
) -> Result<(PathBuf, Vec<u8>), DataError> {
    let (name, hint) = name_and_hint(dataset);
    let candidates = dirs.iter().flat_map(|dir| [dir.join(format!("{file}.gz")), dir.join(file)]);
    let Some(path) = candidates.into_iter().find(|path| path.exists()) else {
        return Err(DataError::Missing { dataset: name, file, looked: dirs.to_vec(), hint });
    };
    match read_bytes(&path, size) {
        Ok(bytes) => Ok((path, bytes)),
        Err(error) => Err(DataError::Unreadable { path, error, hint }),
    }
}

/// Checks that these are the published bytes.
fn check_hash(dataset: &Dataset, path: &Path, bytes: &[u8], expected: &'static str) -> Result<(), DataError> {
    let found: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    let (_, hint) = name_and_hint(dataset);
    Err(DataError::WrongHash { path: path.to_owned(), found, expected, hint })
}

/// Reads a file, decompressed: at most `size + 1` bytes, so that no file can exhaust the memory.
fn read_bytes(path: &Path, size: u64) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        GzDecoder::new(std::io::BufReader::new(file)).take(size + 1).read_to_end(&mut bytes)?;
    } else {
        file.take(size + 1).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A label file of the right size whose bytes are all 1.
    fn labels() -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 1, 0, 0, 39, 16];
        bytes.extend(std::iter::repeat_n(1, 10_000));
        bytes
    }

    fn error(bytes: Option<&[u8]>, name: &str) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        if let Some(bytes) = bytes {
            std::fs::write(dir.path().join(name), bytes).expect("a file");
        }
        let [.., labels] = files_of(&Dataset::Mnist);
        let error =
            read(&Dataset::Mnist, labels, &[dir.path().to_owned()]).expect_err("not the published file");
        let text = error.to_string();
        assert!(text.contains(TEST_LABELS) && text.contains(&*dir.path().to_string_lossy()), "{text}");
        assert!(text.contains("--data-dir"), "{text}");
        text
    }

    #[test]
    fn errors_name_wrong_short_and_missing_files() {
        let packed = |bytes: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("gzip")
        };
        let gz = format!("{TEST_LABELS}.gz");
        assert!(error(None, "").contains("not found"));
        assert!(error(Some(&labels()), TEST_LABELS).contains("SHA-256"));
        assert!(error(Some(&packed(&labels())), &gz).contains("SHA-256"));
        assert!(
            error(Some(&labels()[..500]), TEST_LABELS)
                .contains("expected 10000 bytes after the header, found 492")
        );
        assert!(error(Some(&packed(&labels())[..20]), &gz).contains("can't read"));
        assert!(error(Some(b"not gzip"), &gz).contains("can't read"));
        assert!(error(Some(b""), TEST_LABELS).contains("no header of an IDX file"));
        let long = [labels(), vec![0; 5]].concat();
        assert!(error(Some(&long), TEST_LABELS).contains("found 10001"));
    }
}
