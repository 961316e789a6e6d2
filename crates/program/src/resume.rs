//! What is kept beside a checkpoint of the program's own, so that the run goes on as if nothing had happened: the digest so
//! far and what the schedule's rules remember. The checkpoint itself is the program's.

use std::path::{Path, PathBuf};

use schedule::State;
use serde::{Deserialize, Serialize};
use trainer::Digest;
use trainer::checkpoint::{CheckpointError, Folder, write};

use crate::run::Run;

const VERSION: u32 = 1;

/// See the module. A file of the folder of checkpoints.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SideCar {
    program_checkpoint: u32,
    trial_id: String,
    /// The first step that is not in it.
    step: u64,
    path: PathBuf,
    /// Bits of the first loss.
    first_loss: Option<u64>,
    digest: String,
    schedule: State,
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
        first_loss: run.first_loss.map(f64::to_bits),
        digest: run.digest.hex(),
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
    let found: SideCar =
        serde_json::from_slice(&bytes).map_err(|error| unusable(&path, &error.to_string()))?;
    if found.trial_id != run.trial.id || found.program_checkpoint != VERSION {
        return Err(unusable(&path, "it is of another trial or version"));
    }
    if !found.path.exists() {
        return Err(unusable(&path, &format!("{} is gone", found.path.display())));
    }
    run.digest = Digest::from_hex(&found.digest).ok_or_else(|| unusable(&path, "its digest is none"))?;
    run.first_loss = found.first_loss.map(f64::from_bits);
    run.state = found.schedule;
    run.next = found.step;
    Ok(Resume { step: found.step, path: found.path })
}

fn unusable(path: &Path, reason: &str) -> CheckpointError {
    CheckpointError::Unusable { path: path.to_owned(), reason: reason.to_owned() }
}
