//! Trained weights as other programs take them: a safetensors file with the names and shapes of PyTorch's
//! modules.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use safetensors::SafeTensors;
use serde_json::{Map, Value as Json};

use crate::model::Parameter;
use crate::{Trained, checkpoint};

/// What the names of the optimiser's tensors begin with.
pub(crate) const OPTIMIZER: &str = "optimizer.";
/// Under what the metadata say how many updates it has seen.
pub(crate) const UPDATES: &str = "optimizer_updates";
/// Under what the metadata of a file that is kept for a trial say which weights it holds.
const WEIGHTS: &str = "weights_hash";
/// And the hash of all else in it.
const CONTENT: &str = "content_hash";

/// The file, the same bytes for the same weights, with the optimiser's state if asked for. `metadata` are names and texts to
/// put beside the tensors.
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
    with_metadata(&file, metadata).ok_or_else(|| candle_core::Error::msg("the header of the weights is torn"))
}

/// The crate puts metadata in an order that differs from run to run, so they are put into the header here: its
/// length (8 bytes), a JSON object, spaces up to a multiple of 8.
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

/// A file with the weights and the optimiser's state of a trial, for other trials to begin with. `weights_hash` is that of the
/// trial.
///
/// # Errors
/// The device fails.
pub fn kept(trained: &Trained, weights_hash: &str) -> Result<Vec<u8>> {
    let with = |more: Option<String>| {
        let metadata = more.map(|hash| (CONTENT.to_owned(), hash));
        let metadata = metadata.into_iter().chain([(WEIGHTS.to_owned(), weights_hash.to_owned())]);
        safetensors(trained, true, metadata)
    };
    with(content(&with(None)?))
}

/// Whether a file is what [`kept`] wrote of these weights, to the last bit.
pub fn is_kept(file: &[u8], weights_hash: &str) -> bool {
    let Ok((_, header)) = SafeTensors::read_metadata(file) else { return false };
    let text = |name: &str| header.metadata().as_ref()?.get(name).cloned();
    let content = content(file);
    text(WEIGHTS).as_deref() == Some(weights_hash) && content.is_some() && text(CONTENT) == content
}

/// The hash of the tensors and metadata of a file, but for itself. `None` where it is none.
fn content(file: &[u8]) -> Option<String> {
    let (_, header) = SafeTensors::read_metadata(file).ok()?;
    let tensors = SafeTensors::deserialize(file).ok()?;
    let mut hasher = blake3::Hasher::new();
    let mut put = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let texts: BTreeMap<&String, &String> = header.metadata().iter().flatten().collect();
    for (name, text) in texts.into_iter().filter(|(name, _)| *name != CONTENT) {
        put(name.as_bytes());
        put(text.as_bytes());
    }
    let mut names = tensors.names();
    names.sort_unstable();
    for name in names {
        let tensor = tensors.tensor(name).ok()?;
        put(name.as_bytes());
        put(format!("{:?} {:?}", tensor.dtype(), tensor.shape()).as_bytes());
        put(tensor.data());
    }
    Some(hasher.finalize().to_hex().to_string())
}

/// A value of a parameter in PyTorch's layout as it is here.
pub(crate) fn from_pytorch(parameter: &Parameter, value: &Tensor) -> Result<Tensor> {
    if parameter.transposed { value.t()?.contiguous() } else { Ok(value.clone()) }
}

/// A linear layer's weight is (inputs, outputs) here and (outputs, inputs) there; all else is the same.
fn as_pytorch(parameter: &Parameter) -> Result<Tensor> {
    let value = parameter.var.as_detached_tensor();
    if parameter.transposed { value.t()?.contiguous() } else { Ok(value) }
}
