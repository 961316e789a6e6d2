//! Hashes of the files of a program. A trial depends on the bytes of these files and on nothing else of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use spec::trial::Program;

/// The blake3 hash of a file in hex, or of all files in a folder with their names. Skips names that begin with a dot,
/// and Python's `__pycache__`. `None` if nothing can be read.
pub fn hash(name: &str) -> Option<String> {
    let path = Path::new(name);
    let hash = if path.is_dir() { of_folder(path) } else { of_file(path) };
    hash.map(|hash| hash.to_hex().to_string())
}

fn of_folder(path: &Path) -> Option<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    for file in files(path)? {
        let within = file.strip_prefix(path).ok()?.to_string_lossy().into_owned();
        hasher.update(&(within.len() as u64).to_le_bytes());
        hasher.update(within.as_bytes());
        hasher.update(of_file(&file)?.as_bytes());
    }
    Some(hasher.finalize())
}

fn of_file(path: &Path) -> Option<blake3::Hash> {
    let file = std::fs::File::open(path)
        .ok()
        .filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).ok()?;
    Some(hasher.finalize())
}

/// All files of a folder, in an order that does not depend on the file system.
fn files(dir: &Path) -> Option<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "__pycache__" {
            continue;
        }
        // Links to folders are skipped, as they could form a cycle.
        match entry.file_type().ok()? {
            kind if kind.is_dir() => all.append(&mut files(&entry.path())?),
            _ if entry.path().is_file() => all.push(entry.path()),
            _ => {}
        }
    }
    all.sort();
    Some(all)
}

/// The files among these that are not part of the identity of the program's trials, with their hashes. Names are
/// relative to the working folder for files in it. Skips files that can't be read.
pub(crate) fn loaded(program: &Program, names: &[String]) -> Vec<(String, String)> {
    let Ok(here) = std::env::current_dir() else { return Vec::new() };
    let known: Vec<PathBuf> =
        program.files.keys().filter_map(|name| std::path::absolute(name).ok()).collect();
    let hashed = |name: &String| {
        let path = std::path::absolute(name).ok()?;
        // A folder in `files` includes all files in it.
        if known.iter().any(|known| path.starts_with(known)) {
            return None;
        }
        let name = path.strip_prefix(&here).unwrap_or(&path).to_string_lossy().into_owned();
        let hash = hash(&name)?;
        Some((name, hash))
    };
    names.iter().filter_map(hashed).collect()
}

/// The first of these files that has changed or no longer exists.
pub(crate) fn first_changed(files: &BTreeMap<String, String>) -> Option<&str> {
    let differs = |(name, known): &(&String, &String)| hash(name).as_ref() != Some(*known);
    files.iter().find(differs).map(|(name, _)| name.as_str())
}

/// The first file of a program that has changed since the sweep was planned.
pub(crate) fn changed(program: &Program) -> Option<&str> {
    first_changed(&program.files)
}
