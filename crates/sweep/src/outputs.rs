//! The folder of a trial with what its program has written to keep, such as the final weights.

use std::path::{Path, PathBuf};

use store::{Status, TrialRecord};

use crate::stored::retrained;
use crate::{Context, Error};

/// The folder of a trial. `checkpoints`: the folder that was given to `run --checkpoints`.
///
/// # Errors
/// The trial has no such folder on this machine. The message has the reason.
pub fn folder(row: &TrialRecord, checkpoints: Option<&Path>, context: &Context) -> Result<PathBuf, Error> {
    let id = &row.trial_id;
    if retrained(row, context)?.config.task.program().is_none() {
        return Err(Error::usage(format_args!(
            "trial {id} has no outputs: sweep trained it itself, without a program; `sweep export weights` exports its weights"
        )));
    }
    let folder = context.store.trials(checkpoints).join(id).join(program::OUTPUTS);
    if folder.is_dir() {
        return Ok(std::path::absolute(&folder).unwrap_or(folder));
    }
    let why = match row.status {
        Status::Queued => "it has not started yet",
        _ => "its program kept no files, or it ran on another machine or in another folder",
    };
    Err(Error::usage(format_args!("trial {id} has no outputs at {}: {why}", folder.display())))
}
