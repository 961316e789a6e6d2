//! Checkpoints: everything that the riders of a lane need to go on with the same bits. Two files: the tensors
//! (safetensors) and a side-car (JSON) that names them by their hash. Each is written beside, synced and
//! renamed, the side-car last, so that a side-car is always complete.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor, Var};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use schedule::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use spec::trial::Trial;

use crate::digest::Digest;
use crate::model::Parameter;
use crate::rider::Rider;
use crate::riders::Riders;
use crate::state::RunState;
use crate::{BITS, TrainError};

/// Version of the form. A checkpoint of another version is set aside, and its trials start over.
const VERSION: u32 = 3;

/// Files that are being written begin so.
const TEMPORARY: &str = ".writing-";

/// Ending of the names of files that were set aside.
const ASIDE: &str = "unusable";

/// Where a process writes its checkpoints. Several may write into one folder: the number of each begins the names of its
/// files.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder.
    pub dir: PathBuf,
    /// Who writes; no two that write at the same time have the same number.
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

/// What stands in the side-car beside its own hash.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    version: u32,
    /// Of the arithmetic that trained so far.
    #[serde(default = "first_bits")]
    bits: u32,
    /// The first step that is not in it.
    step: u64,
    /// Bits of the loss at step 0.
    first_loss: u32,
    digest: String,
    riders: Vec<SavedRider>,
    /// File name of the tensors, and the hash of its bytes.
    tensors: String,
    tensors_blake3: String,
}

/// Of checkpoints that do not say it.
fn first_bits() -> u32 {
    1
}

/// Read before the rest, which other versions have in another form.
#[derive(Debug, Deserialize)]
struct Version {
    version: u32,
}

/// The state of a trial's schedule.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRider {
    trial_id: String,
    schedule: State,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SideCar {
    /// Of the body's text as it stands in the file.
    blake3: String,
    body: Box<RawValue>,
}

/// Why a checkpoint can't be written or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk is full, the folder is gone, ...
    #[error("checkpoint {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is torn, of another version or of another run.
    #[error("checkpoint {} can't be used: {reason}", path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What a lane puts into a checkpoint.
pub(crate) struct Content<'a> {
    pub(crate) state: &'a RunState,
    pub(crate) riders: &'a Riders,
}

impl Content<'_> {
    /// Name and value of each tensor. What the rules of a trial keep has its id before the name.
    fn tensors(&self) -> Vec<(String, Var)> {
        let mut all = self.state.tensors();
        for rider in self.riders.iter() {
            all.extend(kept(rider, self.state.model.parameters()));
        }
        all
    }
}

/// The tensors that the rules of a trial keep, by their names in a checkpoint.
fn kept<'a>(rider: &'a Rider, parameters: &'a [Parameter]) -> impl Iterator<Item = (String, Var)> + 'a {
    let named = rider.kept.iter().flat_map(|kept| kept.named(parameters));
    named.map(|(name, var)| (format!("{}.{name}", rider.trial.id), var.clone()))
}

/// Writes a checkpoint and gives the file name of its side-car.
///
/// # Errors
/// A file can't be written; an earlier checkpoint is not touched.
pub(crate) fn save(folder: &Folder, content: &Content<'_>) -> Result<String, CheckpointError> {
    let dir = &folder.dir;
    let RunState { step, first_loss, digest, .. } = content.state;
    let first = content.riders.leader().map_or("none", |rider| rider.trial.id.as_str());
    let stem = format!("{}-{first}-{step}", folder.writer);
    let tensors = format!("{stem}.safetensors");
    let values: Vec<(String, Tensor)> =
        content.tensors().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
    let bytes = serialize(&values)
        .map_err(|reason| CheckpointError::Unusable { path: dir.join(&tensors), reason })?;
    let saved =
        |rider: &Rider| SavedRider { trial_id: rider.trial.id.clone(), schedule: rider.state.clone() };
    let body = Body {
        version: VERSION,
        bits: BITS,
        step: *step,
        first_loss: first_loss.to_bits(),
        digest: digest.hex(),
        riders: content.riders.iter().map(saved).collect(),
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

/// Tensors as a safetensors file.
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

/// Writes a file of the folder: beside, synced and renamed, so that it is whole or not there.
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
/// It is missing, torn or of another version.
pub fn load(dir: &Path, file: &str) -> Result<Checkpoint, CheckpointError> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|error| CheckpointError::Io { path, error })
    };
    let path = dir.join(file);
    let unusable = |reason: String| CheckpointError::Unusable { path: path.clone(), reason };
    if !is_plain(file) {
        return Err(unusable("its name is no file name".to_owned()));
    }
    let torn = |error: serde_json::Error| unusable(format!("its side-car is torn: {error}"));
    let SideCar { blake3, body } = serde_json::from_slice(&read(file)?).map_err(torn)?;
    let Version { version } = serde_json::from_str(body.get()).map_err(torn)?;
    if version != VERSION {
        return Err(unusable(format!(
            "another version of sweep wrote it (format {version}, this version reads {VERSION})"
        )));
    }
    if *blake3::hash(body.get().as_bytes()).to_hex() != *blake3 {
        return Err(unusable("its side-car was changed".to_owned()));
    }
    let body: Body = serde_json::from_str(body.get()).map_err(torn)?;
    if body.bits != BITS {
        return Err(unusable(format!(
            "it was trained with version {} of the arithmetic, this program has {BITS}: one run has one",
            body.bits
        )));
    }
    if !is_plain(&body.tensors) {
        return Err(unusable("its tensors' name is no file name".to_owned()));
    }
    let bytes = read(&body.tensors)?;
    if *blake3::hash(&bytes).to_hex() != *body.tensors_blake3 {
        return Err(unusable("its tensors are torn".to_owned()));
    }
    let digest = Digest::from_hex(&body.digest).ok_or_else(|| unusable("its digest is none".to_owned()))?;
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
            return Err(format!("the tensor {name} is not f32"));
        }
        let numbers = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let tensor = Tensor::from_vec::<_, f32>(numbers, view.shape(), &Device::Cpu);
        all.push((name.to_owned(), tensor.map_err(|error| error.to_string())?));
    }
    Ok(all)
}

/// Removes a checkpoint that is no longer needed. One that can't be removed only takes space.
pub fn remove(dir: &Path, file: &str) {
    if !is_plain(file) {
        return;
    }
    for path in [dir.join(file), dir.join(file).with_extension("safetensors")] {
        let removed = fault::point("checkpoint.remove").and_then(|()| std::fs::remove_file(&path));
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("can't remove {}: {error}", path.display());
        }
    }
}

/// Gives the files of a checkpoint that can't be used other names, under which nothing looks for them.
pub fn set_aside(dir: &Path, file: &str) {
    if !is_plain(file) {
        return;
    }
    for path in [dir.join(file), dir.join(file).with_extension("safetensors")] {
        let mut aside = path.clone().into_os_string();
        aside.push(".");
        aside.push(ASIDE);
        // What is not there is no checkpoint either.
        let _ = std::fs::rename(&path, aside);
    }
}

/// Removes the files in a folder of checkpoints that belong to none of these side-cars, and were not written by one of
/// the processes that are at work: a kill between writing a checkpoint and telling of it leaves them. `all`: those too
/// that were set aside. Gives how many files and bytes went.
pub fn remove_others(dir: &Path, side_cars: &[String], at_work: &[i64], all: bool) -> (usize, u64) {
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
        // Whatever else people keep there is not ours.
        let unknown =
            writer.is_some() && matches!(kind, Some("json" | "safetensors")) && !known.contains(side_car);
        let writes = writer.is_some_and(|writer| at_work.contains(&writer));
        if (temporary || unknown || (all && kind == Some(ASIDE))) && !writes {
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            // What can't be removed only takes space.
            if std::fs::remove_file(path).is_ok() {
                removed = (removed.0 + 1, removed.1 + bytes);
            }
        }
    }
    removed
}

impl Checkpoint {
    /// Sets a state of the same kind to this one.
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
        let found = self.body.riders.iter().find(|rider| rider.trial_id == trial.id);
        let found = found.filter(|found| trial.config.schedule.accepts_state(&found.schedule));
        found.map(|found| &found.schedule).ok_or_else(|| CheckpointError::Unusable {
            path: self.path.clone(),
            reason: format!("it is not of trial {}", trial.id),
        })
    }

    /// Sets what a trial's rules keep.
    pub(crate) fn restore_kept(&self, rider: &Rider, parameters: &[Parameter]) -> Result<(), TrainError> {
        kept(rider, parameters).try_for_each(|(name, var)| self.tensor(&name, &var))
    }

    /// Sets a variable to the tensor of this name.
    fn tensor(&self, name: &str, var: &Var) -> Result<(), TrainError> {
        match self.tensors.iter().find(|(known, _)| known == name) {
            Some((_, tensor)) => Ok(var.set(&tensor.to_device(var.device())?)?),
            None => Err(CheckpointError::Unusable {
                path: self.path.clone(),
                reason: format!("it lacks the tensor {name}"),
            }
            .into()),
        }
    }
}
