//! Fine-tuning: which parameters begin with given weights, which stay as they are, and by what factor the lr of each is scaled.
//! All that does not fit is found before training.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use safetensors::SafeTensors;
use spec::transfer::matches;
use spec::trial::{InitFrom, Network, Optimizer as Kind};

use crate::model::{self, Parameter, Shape};
use crate::optimizer::{Optimizer, moments};
use crate::run::first_line;
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

/// Something of a task's transfer that does not fit: the key of the sweep file, and what is wrong.
pub type Misfit = (&'static str, String);

/// Everything of a task's transfer that does not fit its model, or the weights that its file holds. Reads the file.
pub fn misfits(network: &Network) -> Vec<Misfit> {
    let shapes = model::shapes(network);
    let mut found: Vec<Misfit> = Vec::new();
    let mut unused = |key: &'static str, inner: &str, pattern: &str| {
        if !shapes.iter().any(|shape| matches(pattern, &shape.name)) {
            let names: Vec<&str> = shapes.iter().map(|shape| shape.name.as_str()).collect();
            let there = names.join(", ");
            found.push((key, format!("{inner}no parameter is called `{pattern}` (there are {there})")));
        }
    };
    network.freeze.iter().for_each(|pattern| unused("freeze", "", pattern));
    network.lr_multipliers.iter().for_each(|(pattern, _)| unused("lr_multipliers", "", pattern));
    if let Some(init) = &network.init_from {
        init.fresh.iter().for_each(|pattern| unused("init_from", "`fresh`: ", pattern));
    }
    let frozen = |shape: &Shape| is_frozen(network, &shape.name);
    for shape in &shapes {
        let all = network.lr_multipliers.iter().filter(|(pattern, _)| matches(pattern, &shape.name));
        let factors: Vec<&str> = all.map(|(pattern, _)| pattern.as_str()).collect();
        match factors[..] {
            [] => {}
            [_] if frozen(shape) => {
                found.push((
                    "lr_multipliers",
                    format!("{} stays as it is: `freeze` means it too", shape.name),
                ));
            }
            [_] => {}
            _ => found
                .push(("lr_multipliers", format!("{} is meant by {}", shape.name, factors.join(" and ")))),
        }
    }
    if shapes.iter().all(frozen) {
        found.push(("freeze", "no parameter is left to train".to_owned()));
    }
    if let Some(init) = &network.init_from {
        match Weights::read(init) {
            Ok(weights) => {
                found.extend(unfit(network, init, &shapes, &weights).map(|what| ("init_from", what)))
            }
            Err(error) => found.push(("init_from", first_line(&error))),
        }
    }
    found
}

/// What of a file's weights does not fit a model.
fn unfit(
    network: &Network,
    init: &InitFrom,
    shapes: &[Shape],
    weights: &Weights,
) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let file = &init.file;
    if init.keep_optimizer && weights.updates.is_none() {
        found.push(format!(
            "{file} has no state of an optimiser (`sweep export weights --optimizer` writes it)"
        ));
    }
    if init.keep_optimizer && !init.fresh.is_empty() && matches!(network.optimizer, Kind::Adamw { .. }) {
        found.push(
            "AdamW counts its updates for all parameters together: `optimizer: keep` does not go with `fresh`".to_owned(),
        );
    }
    for shape in shapes {
        if init.fresh.iter().any(|pattern| matches(pattern, &shape.name)) {
            continue;
        }
        let name = init.name_in_file(&shape.name);
        let mut names = vec![name.clone()];
        if init.keep_optimizer && weights.updates.is_some() && !is_frozen(network, &shape.name) {
            names.extend(moments(&network.optimizer, false).iter().map(|moment| in_file(moment, &name)));
        }
        for name in names {
            match weights.tensors.get(&name).map(Tensor::dims) {
                None => found.push(format!("{file} has no tensor `{name}` for {}", shape.name)),
                Some(dims) if dims != shape.as_pytorch() => {
                    let wanted = shape.as_pytorch();
                    found.push(format!(
                        "{file}: `{name}` has the shape {dims:?}, {} needs {wanted:?}",
                        shape.name
                    ));
                }
                Some(_) => {}
            }
        }
    }
    found.into_iter()
}

/// Whether a parameter stays as it is.
fn is_frozen(network: &Network, name: &str) -> bool {
    network.freeze.iter().any(|pattern| matches(pattern, name))
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
        for moment in moments(&network.optimizer, false)
            .iter()
            .filter(|_| init.keep_optimizer && !is_frozen(network, &parameter.name))
        {
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
        if is_frozen(network, &parameter.name) {
            return None;
        }
        let found = network.lr_multipliers.iter().find(|(pattern, _)| matches(pattern, &parameter.name));
        Some(found.map_or(1.0, |(_, factor)| *factor))
    };
    parameters.iter().map(factor).collect()
}
