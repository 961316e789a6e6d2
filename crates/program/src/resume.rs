//! What is kept beside a checkpoint of the program's own, so that the run goes on as if nothing had happened: the digest so
//! far and what the schedule's rules remember. The checkpoint itself is the program's.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use schedule::State;
use serde::{Deserialize, Serialize};
use trainer::Digest;
use trainer::checkpoint::{CheckpointError, Folder, write};

use crate::run::Run;
use crate::source::first_changed;

/// Version of the form. A file of another version is set aside, and its trial starts over.
const VERSION: u32 = 2;

/// See the module. A file of the folder of checkpoints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SideCar {
    program_checkpoint: u32,
    trial_id: String,
    /// The first step that is not in it.
    step: u64,
    path: PathBuf,
    /// What could be seen of the checkpoint from outside when it was reported: a program may have written another one in its
    /// place since.
    marks: String,
    /// Bits of the first loss.
    first_loss: Option<u64>,
    digest: String,
    /// The files that the program had loaded, with their hashes.
    #[serde(default)]
    loaded: BTreeMap<String, String>,
    schedule: State,
}

/// Read before the rest, which other versions have in another form.
#[derive(Debug, Deserialize)]
struct Version {
    program_checkpoint: u32,
}

/// Where a program goes on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Resume {
    /// The next step.
    pub(crate) step: u64,
    /// What it reported.
    pub(crate) path: PathBuf,
}

/// Writes down where a run is. Gives the file name.
///
/// # Errors
/// It can't be written.
pub(crate) fn save(folder: &Folder, run: &Run<'_>, path: &Path) -> Result<String, CheckpointError> {
    let side_car = SideCar {
        program_checkpoint: VERSION,
        trial_id: run.trial.id.clone(),
        step: run.next,
        path: path.to_owned(),
        marks: marks(path),
        first_loss: run.first_loss.map(f64::to_bits),
        digest: run.digest.hex(),
        loaded: run.loaded.clone(),
        schedule: run.state.clone(),
    };
    let file = format!("{}-{}-{}.json", folder.writer, run.trial.id, run.next);
    let bytes = serde_json::to_vec(&side_car)
        .map_err(|error| unusable(&folder.dir.join(&file), &error.to_string()))?;
    write(folder, &file, &bytes)?;
    Ok(file)
}

/// Sets a run to where a file says it was.
///
/// # Errors
/// The file, or the program's checkpoint, is missing or of no use.
pub(crate) fn load(dir: &Path, file: &str, run: &mut Run<'_>) -> Result<Resume, CheckpointError> {
    let path = dir.join(file);
    let bytes = std::fs::read(&path).map_err(|error| CheckpointError::Io { path: path.clone(), error })?;
    let torn = |error: serde_json::Error| unusable(&path, &error.to_string());
    let Version { program_checkpoint: version } = serde_json::from_slice(&bytes).map_err(torn)?;
    if version != VERSION {
        return Err(unusable(
            &path,
            &format!("another version of sweep wrote it (format {version}, this version reads {VERSION})"),
        ));
    }
    let found: SideCar = serde_json::from_slice(&bytes).map_err(torn)?;
    if found.trial_id != run.trial.id || !run.trial.config.schedule.accepts_state(&found.schedule) {
        return Err(unusable(&path, "it is of another trial"));
    }
    if !found.path.exists() {
        return Err(unusable(&path, &format!("{} is gone", found.path.display())));
    }
    if marks(&found.path) != found.marks {
        return Err(unusable(&path, &format!("{} was changed since it was reported", found.path.display())));
    }
    if let Some(name) = first_changed(&found.loaded) {
        return Err(unusable(&path, &format!("{name}, which the program had loaded, was changed since")));
    }
    run.loaded = found.loaded;
    run.digest = Digest::from_hex(&found.digest).ok_or_else(|| unusable(&path, "its digest is none"))?;
    run.first_loss = found.first_loss.map(f64::from_bits);
    run.state = found.schedule;
    run.next = found.step;
    Ok(Resume { step: found.step, path: found.path })
}

/// Names, sizes and times of a file or of all in a folder, as a hash.
fn marks(path: &Path) -> String {
    fn add(path: &Path, hasher: &mut blake3::Hasher) {
        let Ok(about) = std::fs::symlink_metadata(path) else { return };
        let time =
            about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update(&about.ino().to_le_bytes());
        if about.is_dir() {
            let mut within: Vec<PathBuf> =
                std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            within.sort();
            within.iter().for_each(|path| add(path, hasher));
        } else {
            hasher.update(&about.len().to_le_bytes());
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
