//! The output of a trial's program: all attempts, in one file.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use store::{Status, TrialRecord};

use crate::stored::retrained;
use crate::{Context, Error};

/// Opens the log of a trial. `checkpoints`: the folder that was given to `run --checkpoints`.
///
/// # Errors
/// The trial has no log, or it can't be read. The message has the reason.
pub fn open(
    row: &TrialRecord,
    checkpoints: Option<&Path>,
    context: &Context,
) -> Result<(File, PathBuf), Error> {
    let id = &row.trial_id;
    if retrained(row, context)?.config.task.program().is_none() {
        return Err(Error::usage(format_args!(
            "trial {id} has no log: sweep trained it itself, without a program"
        )));
    }
    let path = context.store.trials(checkpoints).join(id).join(program::LOG);
    match File::open(&path) {
        Ok(log) => Ok((log, path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why = if row.status == Status::Queued {
                "it has not started yet"
            } else {
                "it ran on another machine or in another folder"
            };
            Err(Error::usage(format_args!("trial {id} has no log at {}: {why}", path.display())))
        }
        Err(error) => Err(Error::failed(format_args!("can't read {}: {error}", path.display()))),
    }
}

/// The last `bytes` bytes of a log as text, and whether there is more before them. Starts at the beginning of a line.
///
/// # Errors
/// The file can't be read.
pub fn end(log: &mut File, bytes: u64) -> std::io::Result<(String, bool)> {
    let length = log.metadata()?.len();
    let start = length.saturating_sub(bytes);
    log.seek(SeekFrom::Start(start))?;
    let mut read = Vec::new();
    log.take(bytes).read_to_end(&mut read)?;
    let from =
        if start == 0 { 0 } else { read.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) };
    let text = String::from_utf8_lossy(read.get(from..).unwrap_or_default()).into_owned();
    Ok((text, start > 0))
}
