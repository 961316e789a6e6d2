//! The folder that a program receives when it starts: its trial as JSON, the lrs, and two named pipes. It is removed
//! when the program has ended; the log, checkpoints and outputs are next to it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use schedule::{Feedback, Schedule};
use serde::Serialize;
use spec::trial::{Config, Trial};

use crate::OUTPUTS;
use crate::groups::GroupFile;
use crate::resume::Resume;

/// Prefix of the names of these folders.
const PREFIX: &str = "run-";

/// Names of the pipes.
const REPORT: &str = "report";
const ANSWERS: &str = "answers";

/// The folder for one start of a program. It is removed when the value is dropped.
pub(crate) struct RunFolder {
    _dir: tempfile::TempDir,
    pub(crate) trial: PathBuf,
    pub(crate) report: PathBuf,
    pub(crate) answers: PathBuf,
}

/// The content of the file that `SWEEP_TRIAL` names.
#[derive(Serialize)]
struct TrialFile<'a> {
    protocol: u32,
    id: &'a str,
    seed: u64,
    schedule: &'a str,
    base_lr: f64,
    steps: u64,
    steps_per_epoch: Option<u64>,
    evaluate_every: u64,
    closed_loop: bool,
    lr: Option<&'a Path>,
    lr_text: Option<&'a Path>,
    momentum: Option<&'a Path>,
    /// `null` for a schedule without parameter groups.
    groups: Option<Vec<GroupFile>>,
    params: &'a serde_json::Value,
    checkpoints: &'a Path,
    outputs: &'a Path,
    checkpoint_after: &'a [u64],
    resume: Option<&'a Resume>,
    loaded: bool,
}

/// The part of the checkpoints in a start of a program.
pub(crate) struct Checkpoints<'a> {
    /// The folder for new ones.
    pub(crate) folder: &'a Path,
    /// The steps after which they are needed, ascending.
    pub(crate) after: &'a [u64],
    /// The one to resume from.
    pub(crate) resume: Option<&'a Resume>,
}

impl RunFolder {
    /// Writes all files into a new folder in `within`, the trial's folder.
    pub(crate) fn new(
        trial: &Trial,
        params: &serde_json::Value,
        within: &Path,
        checkpoints: &Checkpoints<'_>,
    ) -> std::io::Result<Self> {
        remove_leftovers(within);
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(within)?;
        let path = |name: &str| dir.path().join(name);
        let config = &trial.config;
        let schedule = &config.schedule;
        let steps = config.task.steps;
        let closed_loop = schedule.feedback() == Feedback::ClosedLoop;
        let (lr, lr_text, momentum) = (path("lr.npy"), path("lr.txt"), path("momentum.npy"));
        if !closed_loop {
            let rates = lrs(schedule, steps);
            write_npy(&lr, &rates)?;
            let mut text = BufWriter::new(File::create(&lr_text)?);
            // The shortest digits that parse to the same number.
            rates.iter().try_for_each(|rate| writeln!(text, "{rate:?}"))?;
            text.flush()?;
        }
        let momenta = momenta(schedule, steps);
        if !momenta.is_empty() {
            write_npy(&momentum, &momenta)?;
        }
        let trial_file = TrialFile {
            protocol: 1,
            id: &trial.id,
            seed: trial.seed,
            schedule: &config.schedule_name,
            base_lr: config.base_lr,
            steps,
            steps_per_epoch: config.task.steps_per_epoch,
            evaluate_every: config.task.evaluate_every,
            closed_loop,
            lr: (!closed_loop).then_some(&lr),
            lr_text: (!closed_loop).then_some(&lr_text),
            momentum: (!momenta.is_empty()).then_some(&momentum),
            groups: groups(config, dir.path())?,
            params,
            checkpoints: checkpoints.folder,
            outputs: &within.join(OUTPUTS),
            checkpoint_after: checkpoints.after,
            resume: checkpoints.resume,
            loaded: true,
        };
        let json = serde_json::to_vec_pretty(&trial_file).map_err(std::io::Error::other)?;
        std::fs::write(path("trial.json"), json)?;
        let (trial, report, answers) = (path("trial.json"), path(REPORT), path(ANSWERS));
        Ok(Self { _dir: dir, trial, report, answers })
    }
}

/// The lr of each step of an open-loop schedule.
fn lrs(schedule: &Schedule, steps: u64) -> Vec<f64> {
    let state = schedule.start();
    (0..steps).map(|t| schedule.lr(t, &state)).collect()
}

/// The momentum of each step; empty if the schedule does not cycle it.
fn momenta(schedule: &Schedule, steps: u64) -> Vec<f64> {
    (0..steps).map_while(|t| schedule.momentum(t)).collect()
}

/// Writes the lrs and momenta of each parameter group; `None` for a schedule without groups.
fn groups(config: &Config, dir: &Path) -> std::io::Result<Option<Vec<GroupFile>>> {
    let schedule = &config.schedule;
    let steps = config.task.steps;
    let open_loop = schedule.feedback() == Feedback::OpenLoop;
    let mut all = Vec::new();
    for (i, group) in schedule.groups().enumerate() {
        let Some(own) = schedule.of_group(i) else { continue };
        let (lr, momentum) = (dir.join(format!("lr-{i}.npy")), dir.join(format!("momentum-{i}.npy")));
        if open_loop {
            write_npy(&lr, &lrs(&own, steps))?;
        }
        let momenta = momenta(&own, steps);
        let is_cycled = !momenta.is_empty();
        if is_cycled {
            write_npy(&momentum, &momenta)?;
        }
        all.push(GroupFile {
            name: group.name.to_owned(),
            base_lr: group.base_lr,
            keeps_ratio: group.keeps_ratio,
            lr: open_loop.then_some(lr),
            momentum: is_cycled.then_some(momentum),
        });
    }
    Ok((!all.is_empty()).then_some(all))
}

/// Removes the folders of earlier attempts that were killed; no other process trains this trial now. A program of
/// such an attempt may still wait to open its pipes: opening them here lets it continue, and its first report fails.
fn remove_leftovers(within: &Path) {
    let Ok(entries) = std::fs::read_dir(within) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            for pipe in [REPORT, ANSWERS] {
                let _ = open_pipe(&entry.path().join(pipe));
            }
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Opens a pipe for reading and writing, so that it stays open when a program closes its end. Never blocks.
pub(crate) fn open_pipe(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

/// Writes numbers in version 1.0 of NumPy's format: shape (n,), little-endian float64.
fn write_npy(path: &Path, numbers: &[f64]) -> std::io::Result<()> {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({},), }}", numbers.len());
    // The header is padded to a multiple of 64 bytes and ends with a newline.
    let padded = (10 + header.len() + 1).next_multiple_of(64);
    header.push_str(&" ".repeat(padded - 10 - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(std::io::Error::other)?;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for number in numbers {
        file.write_all(&number.to_le_bytes())?;
    }
    file.flush()
}
