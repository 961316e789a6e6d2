//! Fine-tuning: which parameters begin with given weights, which stay as they are, and by what factor the lr of each is scaled.
//! All that does not fit is found before training.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};
use spec::transfer::matches;
use spec::trial::{InitFrom, Network};

use crate::model::{self, Parameter};
use crate::weights::from_pytorch;

/// The tensors of a file of weights, by name.
#[derive(Debug, Clone, Default)]
pub struct Weights(HashMap<String, Tensor>);

impl Weights {
    /// Reads the file that a model begins with.
    ///
    /// # Errors
    /// It can't be read, is no safetensors file, or is another one than the sweep was planned with.
    pub fn read(init: &InitFrom) -> Result<Self> {
        let said = |what: &dyn std::fmt::Display| candle_core::Error::msg(format!("{}: {what}", init.file));
        let bytes = std::fs::read(&init.file).map_err(|error| said(&error))?;
        if *blake3::hash(&bytes).to_hex() != *init.blake3 {
            return Err(said(&"the file is another one than the sweep was planned with"));
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
        tensors.map(Self).map_err(|error| said(&format!("no safetensors file: {error}")))
    }
}

/// Everything of a task's transfer that does not fit its model, or the weights that its file holds.
pub fn misfits(network: &Network, weights: Option<&Weights>) -> Vec<String> {
    let shapes = model::shapes(network);
    let mut found = Vec::new();
    let mut unused = |key: &str, pattern: &str| {
        if !shapes.iter().any(|shape| matches(pattern, &shape.name)) {
            let names: Vec<&str> = shapes.iter().map(|shape| shape.name.as_str()).collect();
            found.push(format!(
                "`{key}`: no parameter is called `{pattern}` (there are {})",
                names.join(", ")
            ));
        }
    };
    network.freeze.iter().for_each(|pattern| unused("freeze", pattern));
    network.lr_multipliers.iter().for_each(|(pattern, _)| unused("lr_multipliers", pattern));
    if let Some(init) = &network.init_from {
        init.fresh.iter().for_each(|pattern| unused("init_from.fresh", pattern));
    }
    for shape in &shapes {
        let factors: Vec<&str> = network
            .lr_multipliers
            .iter()
            .filter(|(pattern, _)| matches(pattern, &shape.name))
            .map(|(pattern, _)| pattern.as_str())
            .collect();
        if factors.len() > 1 {
            found.push(format!("`lr_multipliers`: {} is meant by {}", shape.name, factors.join(" and ")));
        }
    }
    if shapes.iter().all(|shape| network.freeze.iter().any(|pattern| matches(pattern, &shape.name))) {
        found.push("`freeze`: no parameter is left to train".to_owned());
    }
    let (Some(init), Some(Weights(tensors))) = (&network.init_from, weights) else { return found };
    for shape in &shapes {
        if init.fresh.iter().any(|pattern| matches(pattern, &shape.name)) {
            continue;
        }
        let name = init.name_in_file(&shape.name);
        match tensors.get(&name) {
            None => found.push(format!("{} has no tensor `{name}` for {}", init.file, shape.name)),
            Some(tensor) => {
                let wanted = shape.as_pytorch();
                if tensor.dims() != wanted {
                    found.push(format!(
                        "{}: `{name}` has the shape {:?}, {} needs {wanted:?}",
                        init.file,
                        tensor.dims(),
                        shape.name
                    ));
                }
            }
        }
    }
    found
}

/// Sets the parameters that begin with given weights.
pub(crate) fn initialise(parameters: &[Parameter], network: &Network) -> Result<()> {
    let Some(init) = &network.init_from else { return Ok(()) };
    let weights = Weights::read(init)?;
    for parameter in parameters {
        if init.fresh.iter().any(|pattern| matches(pattern, &parameter.name)) {
            continue;
        }
        let name = init.name_in_file(&parameter.name);
        let Some(tensor) = weights.0.get(&name) else {
            candle_core::bail!("{} has no tensor `{name}`", init.file)
        };
        let value = from_pytorch(parameter, &tensor.to_dtype(DType::F32)?)?;
        let value = value.to_dtype(parameter.var.dtype())?.to_device(parameter.var.device())?;
        parameter.var.set(&value.contiguous()?)?;
    }
    Ok(())
}

/// For each parameter the factor on its lr; `None` where it stays as it is.
pub(crate) fn factors(parameters: &[Parameter], network: &Network) -> Vec<Option<f64>> {
    let factor = |parameter: &Parameter| {
        if network.freeze.iter().any(|pattern| matches(pattern, &parameter.name)) {
            return None;
        }
        let found = network.lr_multipliers.iter().find(|(pattern, _)| matches(pattern, &parameter.name));
        Some(found.map_or(1.0, |(_, factor)| *factor))
    };
    parameters.iter().map(factor).collect()
}
