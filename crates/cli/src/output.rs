//! The destination of data: stdout, or a file that appears under its name when it is complete.

use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use sweep::atomic_file;
use tempfile::NamedTempFile;

use crate::exit::{Failure, Outcome};

/// See the module.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout(BufWriter<Stdout>),
    /// Written under a temporary name and then renamed, so that nobody reads half a file.
    File(BufWriter<NamedTempFile>, PathBuf),
    /// `/dev/null` or a named pipe, which is written to and not replaced.
    Device(BufWriter<File>, PathBuf),
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout()))
    }

    /// Creates or replaces a file.
    pub(crate) fn file(path: &Path) -> Result<Self, Failure> {
        // A symbolic link stays; its target is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if path.is_dir() {
            return Err(Failure::usage(format_args!("can't write {}: it is a directory", path.display())));
        }
        let failed = |error| failure(&path, error);
        if path.exists() && !path.is_file() {
            let device = File::options().write(true).open(&path).map_err(failed)?;
            return Ok(Self::Device(BufWriter::new(device), path));
        }
        let file = atomic_file::begin(&path).map_err(failed)?;
        Ok(Self::File(BufWriter::new(file), path))
    }

    /// Writes a whole file.
    pub(crate) fn write_whole(mut self, bytes: &[u8]) -> Outcome {
        self.append(bytes)?;
        self.finish()
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Outcome {
        self.write_all(bytes).map_err(|error| self.failure(error))
    }

    /// Completes the output: a file appears under its name.
    pub(crate) fn finish(mut self) -> Outcome {
        self.flush().map_err(|error| self.failure(error))?;
        let Self::File(file, path) = self else { return Ok(()) };
        let file = file.into_inner().map_err(io::IntoInnerError::into_error);
        let finished = file.and_then(|file| atomic_file::finish(file, &path));
        finished.map_err(|error| failure(&path, error))
    }

    fn failure(&self, error: io::Error) -> Failure {
        match self {
            Self::Stdout(_) if error.kind() == io::ErrorKind::BrokenPipe => Failure::ReaderClosed,
            Self::Stdout(_) => Failure::failed(format_args!("can't write to stdout: {error}")),
            Self::File(_, path) | Self::Device(_, path) => failure(path, error),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file, _) => file.write(bytes),
            Self::Device(device, _) => device.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(file, _) => file.flush(),
            Self::Device(device, _) => device.flush(),
        }
    }
}

/// A missing folder is wrong input; anything else is a failure.
pub(crate) fn failure(path: &Path, error: io::Error) -> Failure {
    let message = format!("can't write {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::Usage(message),
        _ => Failure::Failed(message),
    }
}
