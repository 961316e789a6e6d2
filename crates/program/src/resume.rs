//! Side-car files of a program's checkpoints: what sweep itself needs to resume the run as if it had not been
//! interrupted, that is the digest so far and the state of the schedule's rules. The program writes the checkpoint
//! itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use schedule::State;
use serde::{Deserialize, Serialize};
use trainer::Digest;
use trainer::checkpoint::{CheckpointError, Folder, files_of, write};

use crate::run::Run;
use crate::source::first_changed;

/// Version of the format. A file of another version is set aside, and its trial starts over.
const VERSION: u32 = 2;

/// The content of a side-car file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SideCar {
    program_checkpoint: u32,
    trial_id: String,
    /// The other trials that share its steps so far, and may resume from it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sharing: Vec<String>,
    /// The first step that is not in the checkpoint.
    step: u64,
    path: PathBuf,
    /// Fingerprint of the names, sizes and times of the checkpoint's files when it was reported. It shows whether the
    /// program has overwritten the checkpoint since.
    #[serde(rename = "marks")]
    fingerprint: String,
    /// The first loss, as bits.
    first_loss: Option<u64>,
    digest: String,
    /// The last value of each metric of the program's own, as bits.
    #[serde(default)]
    metrics: BTreeMap<String, u64>,
    /// The files that the program had loaded, with their hashes.
    #[serde(default)]
    loaded: BTreeMap<String, String>,
    schedule: State,
}

/// Read before the rest, whose format depends on the version.
#[derive(Debug, Deserialize)]
struct Version {
    program_checkpoint: u32,
}

/// Where a program resumes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Resume {
    /// The next step.
    pub(crate) step: u64,
    /// The path of the checkpoint that it reported.
    pub(crate) path: PathBuf,
    /// Whether other trials may resume from it too.
    #[serde(skip)]
    pub(crate) is_shared: bool,
}

/// Writes the side-car of a checkpoint. Returns its file name. Trials that share it continue at different times, so for them it names a
/// copy, which lasts as long as the side-car.
///
/// # Errors
/// The file or the copy can't be written.
pub(crate) fn save(folder: &Folder, run: &Run<'_>, path: &Path) -> Result<String, CheckpointError> {
    let file = format!("{}-{}-{}.json", folder.writer, run.trial.id, run.next);
    let sharing: Vec<String> = run.trial_ids().iter().filter(|id| **id != run.trial.id).cloned().collect();
    let copy = if sharing.is_empty() { None } else { Some(copy_into(&files_of(&folder.dir, &file), path)?) };
    let path = copy.as_deref().unwrap_or(path);
    let side_car = SideCar {
        program_checkpoint: VERSION,
        trial_id: run.trial.id.clone(),
        sharing,
        step: run.next,
        path: path.to_owned(),
        fingerprint: fingerprint(path),
        first_loss: run.first_loss.map(f64::to_bits),
        digest: run.digest.hex(),
        metrics: run.own.iter().map(|(name, value)| (name.clone(), value.to_bits())).collect(),
        loaded: run.loaded.clone(),
        schedule: run.state.clone(),
    };
    let bytes = serde_json::to_vec(&side_car)
        .map_err(|error| unusable(&folder.dir.join(&file), &error.to_string()))?;
    write(folder, &file, &bytes)?;
    Ok(file)
}

/// Restores a run from a side-car.
///
/// # Errors
/// The side-car or the program's checkpoint is missing or can't be used.
pub(crate) fn load(dir: &Path, file: &str, run: &mut Run<'_>) -> Result<Resume, CheckpointError> {
    let path = dir.join(file);
    let bytes = std::fs::read(&path).map_err(|error| CheckpointError::Io { path: path.clone(), error })?;
    let invalid = |error: serde_json::Error| unusable(&path, &error.to_string());
    let Version { program_checkpoint: version } = serde_json::from_slice(&bytes).map_err(invalid)?;
    if version != VERSION {
        return Err(unusable(
            &path,
            &format!("written by another version of sweep (format {version}, expected {VERSION})"),
        ));
    }
    let found: SideCar = serde_json::from_slice(&bytes).map_err(invalid)?;
    let is_own = found.trial_id == run.trial.id;
    let fits = if is_own {
        run.trial.config.schedule.accepts_state(&found.schedule)
    } else {
        found.sharing.contains(&run.trial.id)
    };
    if !fits {
        return Err(unusable(&path, "it belongs to another trial"));
    }
    if !found.path.exists() {
        return Err(unusable(&path, &format!("{} does not exist", found.path.display())));
    }
    if fingerprint(&found.path) != found.fingerprint {
        return Err(unusable(&path, &format!("{} has changed since it was reported", found.path.display())));
    }
    if let Some(name) = first_changed(&found.loaded) {
        return Err(unusable(&path, &format!("{name}, which the program had loaded, has changed since")));
    }
    run.loaded = found.loaded;
    run.own = found.metrics.into_iter().map(|(name, bits)| (name, f64::from_bits(bits))).collect();
    run.digest = Digest::from_hex(&found.digest).ok_or_else(|| unusable(&path, "its digest is invalid"))?;
    run.first_loss = found.first_loss.map(f64::from_bits);
    // Only open-loop trials share steps, and their schedules have no state that changes.
    if is_own {
        run.state = found.schedule;
    }
    run.next = found.step;
    Ok(Resume { step: found.step, path: found.path, is_shared: !found.sharing.is_empty() })
}

/// A copy of a checkpoint for the program to resume from, in a folder of its trial. The program may change or remove it. A checkpoint
/// that is already in the folder is not copied.
///
/// # Errors
/// The copy can't be written.
pub(crate) fn own_copy(resume: Resume, checkpoints: &Path) -> Result<Resume, CheckpointError> {
    if resume.path.starts_with(checkpoints) {
        return Ok(resume);
    }
    let path = copy_into(&checkpoints.join(format!("from-step-{}", resume.step)), &resume.path)?;
    Ok(Resume { path, ..resume })
}

/// Copies a file or folder into a new folder, which replaces an older one. The copy keeps its name, which programs may parse.
fn copy_into(folder: &Path, path: &Path) -> Result<PathBuf, CheckpointError> {
    let copied = || -> std::io::Result<PathBuf> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir_all(folder)?;
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let to = folder.join(name);
        copy(path, &to)?;
        fault::point("fork.before")?;
        Ok(to)
    };
    copied().map_err(|error| CheckpointError::Io { path: path.to_owned(), error })
}

/// Copies a file, or a folder with everything in it, to the disk.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !std::fs::metadata(from)?.is_dir() {
        std::fs::copy(from, to)?;
        return File::open(to)?.sync_all();
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// A hash of the names, sizes and times of a file, or of all files in a folder.
fn fingerprint(path: &Path) -> String {
    fn add(path: &Path, hasher: &mut blake3::Hasher) {
        let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
        let time = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .unwrap_or_default();
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(&metadata.ino().to_le_bytes());
        if metadata.is_dir() {
            let mut within: Vec<PathBuf> =
                std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            within.sort();
            within.iter().for_each(|path| add(path, hasher));
        } else {
            hasher.update(&metadata.len().to_le_bytes());
            hasher.update(&time.as_nanos().to_le_bytes());
        }
    }
    let mut hasher = blake3::Hasher::new();
    add(path, &mut hasher);
    hasher.finalize().to_hex().to_string()
}

fn unusable(path: &Path, reason: &str) -> CheckpointError {
    CheckpointError::Unusable { path: path.to_owned(), reason: reason.to_owned() }
}
