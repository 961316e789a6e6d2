//! Trained weights for other programs: a safetensors file with the names and shapes of PyTorch's modules.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use safetensors::SafeTensors;
use serde_json::{Map, Value as Json};

use crate::model::Parameter;
use crate::{Trained, checkpoint};

/// Prefix of the names of the optimizer's tensors.
pub(crate) const OPTIMIZER: &str = "optimizer.";
/// Metadata key: the number of updates that the optimizer has made.
pub(crate) const UPDATES: &str = "optimizer_updates";
/// Metadata key in a file that is kept for a trial: the hash of its weights.
const WEIGHTS: &str = "weights_hash";
/// Metadata key in a file that is kept for a trial: the hash of all its tensors and other metadata.
const CONTENT: &str = "content_hash";

/// The bytes of a weights file, the same for the same weights. `optimizer`: whether it includes the optimizer state. `metadata`:
/// keys and texts for the file's metadata.
///
/// # Errors
/// The device fails.
pub fn safetensors(
    trained: &Trained,
    optimizer: bool,
    metadata: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<u8>> {
    let Trained { parameters, moments, updates } = trained;
    let weights = parameters.iter().map(|parameter| Ok((parameter.name.clone(), as_pytorch(parameter)?)));
    let moments = moments.iter().filter(|_| optimizer);
    let moments = moments.map(|moment| Ok((format!("{OPTIMIZER}{}", moment.name), as_pytorch(moment)?)));
    let tensors = weights.chain(moments).collect::<Result<Vec<_>>>()?;
    let seen = optimizer.then(|| (UPDATES.to_owned(), updates.to_string()));
    let file = checkpoint::serialize(&tensors).map_err(candle_core::Error::msg)?;
    let metadata = metadata.into_iter().chain(seen).map(|(name, text)| (name, Json::from(text))).collect();
    with_metadata(&file, metadata)
        .ok_or_else(|| candle_core::Error::msg("the header of the weights file is damaged"))
}

/// Writes the metadata into the header: its length (8 bytes), a JSON object, spaces up to a multiple of 8. The `safetensors` crate
/// would write metadata in an order that differs from run to run.
fn with_metadata(file: &[u8], metadata: Map<String, Json>) -> Option<Vec<u8>> {
    let (length, rest) = file.split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let tensors: Map<String, Json> = serde_json::from_slice(header).ok()?;
    let mut all = Map::from_iter([("__metadata__".to_owned(), Json::Object(metadata))]);
    all.extend(tensors);
    let mut header = Json::Object(all).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Some([&(header.len() as u64).to_le_bytes(), header.as_slice(), data].concat())
}

/// The bytes of a file with the weights and the optimizer state of a trial, which other trials start from. `weights_hash` is the
/// trial's hash of its weights.
///
/// # Errors
/// The device fails.
pub fn kept_file(trained: &Trained, weights_hash: &str) -> Result<Vec<u8>> {
    let with = |more: Option<String>| {
        let metadata = more.map(|hash| (CONTENT.to_owned(), hash));
        let metadata = metadata.into_iter().chain([(WEIGHTS.to_owned(), weights_hash.to_owned())]);
        safetensors(trained, true, metadata)
    };
    with(content_hash(&with(None)?))
}

/// Whether a file is exactly what [`kept_file`] wrote for these weights.
pub fn is_kept_file(file: &[u8], weights_hash: &str) -> bool {
    let Ok((_, header)) = SafeTensors::read_metadata(file) else { return false };
    let text = |name: &str| header.metadata().as_ref()?.get(name).cloned();
    let content = content_hash(file);
    text(WEIGHTS).as_deref() == Some(weights_hash) && content.is_some() && text(CONTENT) == content
}

/// The hash of the tensors and metadata of a file, without the hash itself. `None` if it is not a safetensors file.
fn content_hash(file: &[u8]) -> Option<String> {
    let (_, header) = SafeTensors::read_metadata(file).ok()?;
    let tensors = SafeTensors::deserialize(file).ok()?;
    let mut hasher = blake3::Hasher::new();
    let mut hash_part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let texts: BTreeMap<&String, &String> = header.metadata().iter().flatten().collect();
    for (name, text) in texts.into_iter().filter(|(name, _)| *name != CONTENT) {
        hash_part(name.as_bytes());
        hash_part(text.as_bytes());
    }
    let mut names = tensors.names();
    names.sort_unstable();
    for name in names {
        let tensor = tensors.tensor(name).ok()?;
        hash_part(name.as_bytes());
        hash_part(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        hash_part(tensor.data());
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// Converts a parameter's value from PyTorch's layout to ours.
pub(crate) fn from_pytorch(parameter: &Parameter, value: &Tensor) -> Result<Tensor> {
    if parameter.transposed { value.t()?.contiguous() } else { Ok(value.clone()) }
}

/// Converts a parameter's value to PyTorch's layout. Only the weight of a linear layer differs: it is (inputs, outputs) here and
/// (outputs, inputs) in PyTorch.
fn as_pytorch(parameter: &Parameter) -> Result<Tensor> {
    let value = parameter.var.as_detached_tensor();
    if parameter.transposed { value.t()?.contiguous() } else { Ok(value) }
}
