//! Files that appear under their final names only when they are complete.

use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Creates a file for `path` under a temporary name in the same folder.
///
/// # Errors
/// The folder can't be written.
pub fn begin(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".writing-");
    // By default only the owner could read the file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Renames a complete file to its final name.
///
/// # Errors
/// The file can't be written to the disk or renamed.
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
