//! Fine-tuning: which parameters begin with given weights, which stay as they are, and by what factor the lr of each is scaled.
//! All that does not fit is found before training.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use safetensors::SafeTensors;
use spec::transfer::matches;
use spec::trial::{InitFrom, Network, Trial};

use crate::contain::first_line;
use crate::model::{Arch, Parameter, Shape};
use crate::optimizer::{Optimizer, algorithm, state_names};
use crate::weights::{OPTIMIZER, UPDATES, from_pytorch, is_kept};

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
        let is_it = match init.trial {
            None => *blake3::hash(&bytes).to_hex() == *init.blake3,
            Some(_) => is_kept(&bytes, &init.blake3),
        };
        if !is_it {
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

/// What there is to begin with: the shape of each tensor, in PyTorch's layout.
struct Held {
    shapes: HashMap<String, Vec<usize>>,
    /// Whether the optimiser's state is among them.
    optimizer: bool,
}

impl Held {
    fn by_file(init: &InitFrom) -> Result<Self> {
        let Weights { tensors, updates } = Weights::read(init)?;
        let shapes = tensors.into_iter().map(|(name, tensor)| (name, tensor.dims().to_vec())).collect();
        Ok(Self { shapes, optimizer: updates.is_some() })
    }

    /// What the file will hold that is kept for a trial.
    fn by_trial(trial: &Trial) -> Self {
        let mut held = Self { shapes: HashMap::new(), optimizer: true };
        let Some(network) = trial.config.task.network() else { return held };
        let cycled = trial.config.schedule.momentum(0).is_some();
        for shape in shapes(network) {
            if !is_frozen(network, &shape.name) {
                let state = state_names(&network.optimizer, cycled).iter();
                held.shapes.extend(state.map(|of| (in_file(of, &shape.name), shape.as_pytorch())));
            }
            held.shapes.insert(shape.name.clone(), shape.as_pytorch());
        }
        held
    }
}

/// The parameters of a network. One whose model is not known has none; it is reported when it is to train.
fn shapes(network: &Network) -> Vec<Shape> {
    Arch::of(network).map_or(Vec::new(), |arch| arch.shapes())
}

/// Something of a task's transfer that does not fit: the key of the sweep file, and what is wrong.
pub type Misfit = (&'static str, String);

/// Everything of a task's transfer that does not fit its model, or the weights that it begins with: those of a trial, where one
/// is given, else those of its file, which is read.
pub fn misfits(network: &Network, begins_with: Option<&Trial>) -> Vec<Misfit> {
    let shapes = shapes(network);
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
        let is_fresh = |shape: &Shape| init.fresh.iter().any(|pattern| matches(pattern, &shape.name));
        if !init.fresh.is_empty() && shapes.iter().all(is_fresh) {
            found.push((
                "init_from",
                "`fresh` means all parameters: nothing would begin with these weights".to_owned(),
            ));
        }
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
        if init.keep_optimizer && begins_with.is_some_and(|trial| trial.config.schedule.averages()) {
            let source = init.source();
            found.push((
                "init_from",
                format!("the weights of {source} are an average, and its optimiser's state is not: `optimizer: keep` does not go with it"),
            ));
        }
        match begins_with.map_or_else(|| Held::by_file(init), |trial| Ok(Held::by_trial(trial))) {
            Ok(held) => found.extend(unfit(network, init, &shapes, &held).map(|what| ("init_from", what))),
            Err(error) => found.push(("init_from", first_line(&error))),
        }
    }
    found
}

/// What is wrong with the file of weights that a network begins with, if something is: it is missing, or another one than it was.
pub fn missing_weights(network: &Network) -> Option<String> {
    network.init_from.as_ref().and_then(|init| Weights::read(init).err()).map(|error| first_line(&error))
}

/// What of the weights does not fit a model.
fn unfit(network: &Network, init: &InitFrom, shapes: &[Shape], held: &Held) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let file = &init.source();
    if init.keep_optimizer && !held.optimizer {
        found.push(format!(
            "{file} has no state of an optimiser (`sweep export weights --optimizer` writes it)"
        ));
    }
    let counts = algorithm(&network.optimizer).ok().and_then(|algorithm| algorithm.counts_updates());
    if let Some(name) = counts.filter(|_| init.keep_optimizer && !init.fresh.is_empty()) {
        found.push(format!(
            "{name} counts its updates for all parameters together: `optimizer: keep` does not go with `fresh`"
        ));
    }
    for shape in shapes {
        if init.fresh.iter().any(|pattern| matches(pattern, &shape.name)) {
            continue;
        }
        let name = init.name_in_file(&shape.name);
        let mut names = vec![name.clone()];
        if init.keep_optimizer && held.optimizer && !is_frozen(network, &shape.name) {
            names.extend(state_names(&network.optimizer, false).iter().map(|of| in_file(of, &name)));
        }
        for name in names {
            match held.shapes.get(&name) {
                None => found.push(format!("{file} has no tensor `{name}` for {}", shape.name)),
                Some(dims) if *dims != shape.as_pytorch() => {
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

/// The name in a file of a tensor of the optimizer's state.
fn in_file(of: &str, parameter: &str) -> String {
    format!("{OPTIMIZER}{of}.{parameter}")
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
        if !init.keep_optimizer || is_frozen(network, &parameter.name) {
            continue;
        }
        let own = state_names(&network.optimizer, false);
        for of in state_names(&network.optimizer, true) {
            let Some(var) = state.get(&format!("{of}.{}", parameter.name)) else { continue };
            let name = in_file(of, &name);
            // A velocity that a schedule alone brings is there only if the other run had one too.
            if own.contains(of) || weights.tensors.contains_key(&name) {
                set(var, parameter, &name)?;
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
