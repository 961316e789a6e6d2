//! Trained weights as other programs take them: a safetensors file with the names and shapes of PyTorch's
//! modules.

use candle_core::{Device, Result, Tensor, Var};
use serde_json::{Map, Value as Json};

use spec::trial::Network;

use crate::model::{self, Parameter};
use crate::{Trained, checkpoint, digest};

/// What the names of the optimiser's tensors begin with.
pub(crate) const OPTIMIZER: &str = "optimizer.";
/// Under what the metadata say how many updates it has seen.
pub(crate) const UPDATES: &str = "optimizer_updates";

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

/// The hash of the weights in a file that [`safetensors()`] wrote for this network: the one that its trial is stored with.
///
/// # Errors
/// The file is none, or does not hold the weights of such a network.
pub fn hash(file: &[u8], network: &Network) -> Result<String> {
    let tensors = candle_core::safetensors::load_buffer(file, &Device::Cpu)?;
    let parameters = model::shapes(network).into_iter().map(|shape| {
        let Some(value) = tensors.get(&shape.name) else { candle_core::bail!("no tensor `{}`", shape.name) };
        let value = if shape.turned { value.t()?.contiguous()? } else { value.clone() };
        Ok(Parameter { name: shape.name.clone(), var: Var::from_tensor(&value)?, turned: shape.turned })
    });
    digest::weights(&parameters.collect::<Result<Vec<_>>>()?)
}

/// A value of a parameter in PyTorch's layout as it is here.
pub(crate) fn from_pytorch(parameter: &Parameter, value: &Tensor) -> Result<Tensor> {
    if parameter.turned { value.t()?.contiguous() } else { Ok(value.clone()) }
}

/// A linear layer's weight is (inputs, outputs) here and (outputs, inputs) there; all else is the same.
fn as_pytorch(parameter: &Parameter) -> Result<Tensor> {
    let value = parameter.var.as_detached_tensor();
    if parameter.turned { value.t()?.contiguous() } else { Ok(value) }
}
