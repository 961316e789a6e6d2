//! Fine-tuning: which parameters begin with given weights, which stay as they are, and by what factor the lr of each is scaled.
//! All that does not fit is found before training.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use safetensors::SafeTensors;
use spec::transfer::matches;
use spec::trial::{InitFrom, Network};

use crate::model::{self, Parameter};
use crate::optimizer::{Optimizer, moments};
use crate::weights::{OPTIMIZER, UPDATES, from_pytorch};

/// The tensors of a file of weights, by name.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    tensors: HashMap<String, Tensor>,
    /// Updates that the optimiser had seen whose state it holds.
    updates: Option<u64>,
}

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
        let none = |error: &dyn std::fmt::Display| said(&format!("no safetensors file: {error}"));
        let tensors =
            candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|error| none(&error))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| none(&error))?;
        let updates = metadata.metadata().as_ref().and_then(|texts| texts.get(UPDATES)?.parse().ok());
        Ok(Self { tensors, updates })
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
    let (Some(init), Some(weights)) = (&network.init_from, weights) else { return found };
    if init.keep_optimizer && weights.updates.is_none() {
        found.push(format!(
            "`init_from.optimizer`: {} has no state of an optimiser (`sweep export weights --optimizer` writes it)",
            init.file
        ));
    }
    for shape in &shapes {
        if init.fresh.iter().any(|pattern| matches(pattern, &shape.name)) {
            continue;
        }
        let name = init.name_in_file(&shape.name);
        let mut names = vec![name.clone()];
        if init.keep_optimizer && weights.updates.is_some() {
            names.extend(moments(&network.optimizer, false).iter().map(|moment| in_file(moment, &name)));
        }
        for name in names {
            match weights.tensors.get(&name) {
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
    }
    found
}

/// The name of a moment in a file.
fn in_file(moment: &str, parameter: &str) -> String {
    format!("{OPTIMIZER}{moment}.{parameter}")
}

/// Sets the parameters that begin with given weights, and the optimiser's state where it goes on.
pub(crate) fn initialise(parameters: &[Parameter], optimizer: &Optimizer, network: &Network) -> Result<()> {
    let Some(init) = &network.init_from else { return Ok(()) };
    let weights = Weights::read(init)?;
    let set = |var: &Var, parameter: &Parameter, name: &str| {
        let Some(tensor) = weights.tensors.get(name) else {
            candle_core::bail!("{} has no tensor `{name}`", init.file)
        };
        let value = from_pytorch(parameter, &tensor.to_dtype(DType::F32)?)?;
        var.set(&value.to_dtype(var.dtype())?.to_device(var.device())?.contiguous()?)
    };
    let state: HashMap<String, &Var> = optimizer.state(parameters).collect();
    for parameter in parameters {
        if init.fresh.iter().any(|pattern| matches(pattern, &parameter.name)) {
            continue;
        }
        let name = init.name_in_file(&parameter.name);
        set(&parameter.var, parameter, &name)?;
        for moment in moments(&network.optimizer, false).iter().filter(|_| init.keep_optimizer) {
            if let Some(var) = state.get(&format!("{moment}.{}", parameter.name)) {
                set(var, parameter, &in_file(moment, &name))?;
            }
        }
    }
    Ok(())
}

/// Updates that the optimiser of a network has seen before its run begins.
pub(crate) fn updates_before(network: &Network) -> Result<u64> {
    match &network.init_from {
        Some(init) if init.keep_optimizer => Ok(Weights::read(init)?.updates.unwrap_or(0)),
        _ => Ok(0),
    }
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
