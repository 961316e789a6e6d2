//! Checkpoints: everything that the members of a lane need to resume with the same bits. A checkpoint is two files: the tensors
//! (safetensors) and a side-car (JSON) with their hash. Each is written to a temporary file, synced and renamed. The side-car comes
//! last, so a side-car always belongs to a complete checkpoint.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use schedule::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spec::trial::Trial;

use crate::digest::Digest;
use crate::member::Member;
use crate::members::Members;
use crate::model::Parameter;
use crate::state::RunState;
use crate::{BITS, TrainError};

/// Version of the format. A checkpoint of another version is set aside, and its trials start over.
const VERSION: u32 = 3;

/// Prefix of the names of files that are being written.
const TEMPORARY: &str = ".writing-";

/// Extension of the folder with a program's files, which this process has copied.
const FILES: &str = "files";

/// Extension of files that were set aside.
const ASIDE: &str = "unusable";

/// Where a process writes its checkpoints. Several processes may write to one folder: file names begin with the writer's number.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder.
    pub dir: PathBuf,
    /// Number of the writing process, unique among the processes that write at the same time.
    pub writer: i64,
}

/// A checkpoint in memory.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    body: Body,
    digest: Digest,
    tensors: Vec<(String, Tensor)>,
}

/// The content of the side-car, without its hash.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    version: u32,
    /// Version of the arithmetic that trained so far.
    #[serde(default = "first_bits")]
    bits: u32,
    /// The next step.
    step: u64,
    /// Bits of the loss at step 0.
    first_loss: u32,
    digest: String,
    #[serde(rename = "riders")]
    members: Vec<SavedMember>,
    /// File name of the tensors, and the hash of its bytes.
    tensors: String,
    tensors_blake3: String,
}

/// The version of checkpoints without the field.
fn first_bits() -> u32 {
    1
}

/// Read before the rest, whose format may differ in other versions.
#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
}

/// The state of a trial's schedule.
#[derive(Debug, Serialize, Deserialize)]
struct SavedMember {
    trial_id: String,
    schedule: State,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SideCar {
    /// Hash of the body's text as it is in the file.
    blake3: String,
    body: Box<RawValue>,
}

/// Why a checkpoint can't be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk is full, the folder is gone, ...
    #[error("checkpoint {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// It is damaged, or of another version or run.
    #[error("checkpoint {} can't be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
}

/// The parts of a lane that a checkpoint holds.
pub(crate) struct Content<'a> {
    pub(crate) state: &'a RunState,
    pub(crate) members: &'a Members,
}

impl Content<'_> {
    /// Name and value of each tensor. Names of tensors that a trial's rules keep begin with the trial id.
    fn tensors(&self) -> Vec<(String, Var)> {
        let mut all = self.state.tensors();
        for member in self.members.iter() {
            all.extend(kept(member, self.state.model.parameters()));
        }
        all
    }
}

/// The tensors that the rules of a trial keep, by their names in a checkpoint.
fn kept<'a>(member: &'a Member, parameters: &'a [Parameter]) -> impl Iterator<Item = (String, Var)> + 'a {
    let named = member.kept.iter().flat_map(|kept| kept.named(parameters));
    named.map(|(name, var)| (format!("{}.{name}", member.trial.id), var.clone()))
}

/// Writes a checkpoint and returns the file name of its side-car.
///
/// # Errors
/// A file can't be written; an earlier checkpoint is not touched.
pub(crate) fn save(folder: &Folder, content: &Content<'_>) -> Result<String, CheckpointError> {
    let dir = &folder.dir;
    let RunState { step, first_loss, digest, .. } = content.state;
    let first = content.members.leader().map_or("none", |member| member.trial.id.as_str());
    let stem = format!("{}-{first}-{step}", folder.writer);
    let tensors = format!("{stem}.safetensors");
    let values: Vec<(String, Tensor)> =
        content.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
    let bytes = serialize(&values)
        .map_err(|reason| CheckpointError::Unusable { path: dir.join(&tensors), reason })?;
    let saved =
        |member: &Member| SavedMember { trial_id: member.trial.id.clone(), schedule: member.state.clone() };
    let body = Body {
        version: VERSION,
        bits: BITS,
        step: *step,
        first_loss: first_loss.to_bits(),
        digest: digest.hex(),
        members: content.members.iter().map(saved).collect(),
        tensors_blake3: blake3::hash(&bytes).to_hex().to_string(),
        tensors: tensors.clone(),
    };
    let side_car = side_car(&body)
        .map_err(|error| CheckpointError::Unusable { path: dir.join(&tensors), reason: error.to_string() })?;
    let file = format!("{stem}.json");
    write(folder, &tensors, &bytes)?;
    write(folder, &file, &side_car)?;
    let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
    let synced = synced.and_then(|()| fault::point("checkpoint.saved"));
    synced.map_err(|error| CheckpointError::Io { path: dir.clone(), error })?;
    Ok(file)
}

fn side_car(body: &Body) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::value::to_raw_value(body)?;
    let blake3 = blake3::hash(body.get().as_bytes()).to_hex().to_string();
    serde_json::to_vec(&SideCar { blake3, body })
}

/// Encodes tensors as a safetensors file.
pub(crate) fn serialize(tensors: &[(String, Tensor)]) -> Result<Vec<u8>, String> {
    let mut parts = Vec::new();
    for (name, tensor) in tensors {
        let numbers = tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        let numbers = numbers.map_err(|error| error.to_string())?;
        let bytes: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        parts.push((name, tensor.dims().to_vec(), bytes));
    }
    let views: Result<Vec<_>, _> = parts
        .iter()
        .map(|(name, dims, bytes)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), bytes)?)))
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| error.to_string())?;
    safetensors::serialize(views, None).map_err(|error| error.to_string())
}

/// Writes a file in the folder atomically: to a temporary file that is synced and renamed.
///
/// # Errors
/// It can't be written.
pub fn write(folder: &Folder, file: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
    let path = folder.dir.join(file);
    let prefix = format!("{TEMPORARY}{}-", folder.writer);
    let temporary = tempfile::Builder::new().prefix(&prefix).tempfile_in(&folder.dir);
    let written = temporary.and_then(|mut temporary| {
        fault::write_all("checkpoint.write", &mut temporary, bytes)?;
        fault::point("checkpoint.written")?;
        temporary.as_file().sync_all()?;
        fault::point("checkpoint.rename")?;
        temporary.persist(&path).map_err(|error| error.error)?;
        fault::point("checkpoint.renamed")
    });
    written.map_err(|error| CheckpointError::Io { path, error })
}

/// Reads the checkpoint with this side-car.
///
/// # Errors
/// It is missing, damaged or of another version.
pub fn load(dir: &Path, file: &str) -> Result<Checkpoint, CheckpointError> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|error| CheckpointError::Io { path, error })
    };
    let path = dir.join(file);
    let unusable = |reason: String| CheckpointError::Unusable { path: path.clone(), reason };
    if !is_plain(file) {
        return Err(unusable("the name of the side-car is not a plain file name".to_owned()));
    }
    let torn = |error: serde_json::Error| unusable(format!("the side-car is damaged: {error}"));
    let SideCar { blake3, body } = serde_json::from_slice(&read(file)?).map_err(torn)?;
    let Version { version } = serde_json::from_str(body.get()).map_err(torn)?;
    if version != VERSION {
        return Err(unusable(format!(
            "written by another version of sweep (format {version}; this version reads format {VERSION})"
        )));
    }
    if *blake3::hash(body.get().as_bytes()).to_hex() != *blake3 {
        return Err(unusable("the side-car was modified".to_owned()));
    }
    let body: Body = serde_json::from_str(body.get()).map_err(torn)?;
    if body.bits != BITS {
        return Err(unusable(format!(
            "trained with arithmetic version {}, this program has version {BITS}; a run can't mix versions",
            body.bits
        )));
    }
    if !is_plain(&body.tensors) {
        return Err(unusable("the name of the tensor file is not a plain file name".to_owned()));
    }
    let bytes = read(&body.tensors)?;
    if *blake3::hash(&bytes).to_hex() != *body.tensors_blake3 {
        return Err(unusable("the tensor file is damaged".to_owned()));
    }
    let digest =
        Digest::from_hex(&body.digest).ok_or_else(|| unusable("the digest is invalid".to_owned()))?;
    let tensors = deserialize(&bytes).map_err(unusable)?;
    Ok(Checkpoint { path, body, digest, tensors })
}

fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|plain| plain == name)
}

fn deserialize(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for (name, view) in tensors.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(format!("tensor `{name}` is not f32"));
        }
        let numbers = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let tensor = Tensor::from_vec::<_, f32>(numbers, view.shape(), &Device::Cpu);
        all.push((name.to_owned(), tensor.map_err(|error| error.to_string())?));
    }
    Ok(all)
}

/// The folder for a program's files that belong to a side-car. It is removed with the side-car.
pub fn files_of(dir: &Path, file: &str) -> PathBuf {
    dir.join(file).with_extension(FILES)
}

/// Removes a file, or a folder with everything in it.
fn remove_path(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

/// Removes a checkpoint that is no longer needed. A failure only costs disk space, so it is a warning.
pub fn remove(dir: &Path, file: &str) {
    if !is_plain(file) {
        return;
    }
    for path in [dir.join(file), dir.join(file).with_extension("safetensors"), files_of(dir, file)] {
        let removed = fault::point("checkpoint.remove").and_then(|()| remove_path(&path));
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("can't remove {}: {error}", path.display());
        }
    }
}

/// Renames the files of an unusable checkpoint, so that they are not used again.
pub fn set_aside(dir: &Path, file: &str) {
    if !is_plain(file) {
        return;
    }
    for path in [dir.join(file), dir.join(file).with_extension("safetensors"), files_of(dir, file)] {
        let mut aside = path.clone().into_os_string();
        aside.push(".");
        aside.push(ASIDE);
        // A missing file needs no renaming.
        let _ = std::fs::rename(&path, aside);
    }
}

/// Removes the files in a folder of checkpoints that belong to none of these side-cars and were not written by an active writer. A
/// kill between writing a checkpoint and storing its row leaves such files. With `all`, also removes files that were set aside.
/// Returns the number of files and bytes removed.
pub fn remove_others(dir: &Path, side_cars: &[String], active_writers: &[i64], all: bool) -> (usize, u64) {
    let Ok(entries) = std::fs::read_dir(dir) else { return (0, 0) };
    let known: HashSet<&str> = side_cars.iter().map(String::as_str).collect();
    let mut removed = (0, 0);
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let side_car = path.with_extension("json");
        let side_car = side_car.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let temporary = name.starts_with(TEMPORARY);
        let kind = path.extension().and_then(|kind| kind.to_str());
        let writer = name.strip_prefix(TEMPORARY).unwrap_or(name).split('-').next();
        let writer = writer.and_then(|writer| writer.parse::<i64>().ok());
        // Other files in the folder belong to the user.
        let unknown = writer.is_some()
            && matches!(kind, Some("json" | "safetensors" | FILES))
            && !known.contains(side_car);
        let is_active = writer.is_some_and(|writer| active_writers.contains(&writer));
        if (temporary || unknown || (all && kind == Some(ASIDE))) && !is_active {
            let (files, bytes) = size(&path);
            // A file that can't be removed only costs disk space.
            if remove_path(&path).is_ok() {
                removed = (removed.0 + files, removed.1 + bytes);
            }
        }
    }
    removed
}

/// Number of files at a path, and their size in bytes.
pub fn size(path: &Path) -> (usize, u64) {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return (0, 0) };
    if !metadata.is_dir() {
        return (1, metadata.len());
    }
    let within = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path()));
    within.fold((0, 0), |(files, bytes), (more, size)| (files + more, bytes + size))
}

impl Checkpoint {
    /// Restores this state into `state`, which must be of the same task.
    pub(crate) fn restore(&self, state: &mut RunState) -> Result<(), TrainError> {
        for (name, var) in state.tensors() {
            self.tensor(&name, &var)?;
        }
        state.step = self.body.step;
        state.first_loss = f32::from_bits(self.body.first_loss);
        state.digest = self.digest;
        Ok(())
    }

    /// The state of a trial's schedule.
    pub(crate) fn schedule_state(&self, trial: &Trial) -> Result<&State, CheckpointError> {
        let found = self.body.members.iter().find(|member| member.trial_id == trial.id);
        let found = found.filter(|found| trial.config.schedule.accepts_state(&found.schedule));
        found.map(|found| &found.schedule).ok_or_else(|| CheckpointError::Unusable {
            path: self.path.clone(),
            reason: format!("it has no state of trial {}", trial.id),
        })
    }

    /// Restores the tensors that a trial's rules keep.
    pub(crate) fn restore_kept(&self, member: &Member, parameters: &[Parameter]) -> Result<(), TrainError> {
        kept(member, parameters).try_for_each(|(name, var)| self.tensor(&name, &var))
    }

    /// Sets a variable to the tensor of this name.
    fn tensor(&self, name: &str, var: &Var) -> Result<(), TrainError> {
        match self.tensors.iter().find(|(known, _)| known == name) {
            Some((_, tensor)) => Ok(var.set(&tensor.to_device(var.device())?)?),
            None => Err(CheckpointError::Unusable {
                path: self.path.clone(),
                reason: format!("tensor `{name}` is missing"),
            }
            .into()),
        }
    }
}
