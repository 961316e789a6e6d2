//! Files that appear under their names when they are complete: nobody ever sees half a file.

use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Begins a file that is to be called `path`, under another name in the same folder.
///
/// # Errors
/// The folder can't be written.
pub fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    // Else only the owner could read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Gives a file that is complete its name.
///
/// # Errors
/// It can't be written to the disk, or not be renamed.
pub fn finish(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    fault::point("output.rename")?;
    file.persist(path).map_err(|error| error.error)?;
    fault::point("output.renamed")
}

/// The folder of a path.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
