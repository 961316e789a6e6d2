//! Fine-tuning: which parameters start from existing weights, which are frozen, and by what factor the lr of each is scaled.
//! Everything that does not fit the model is found before training.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use safetensors::SafeTensors;
use spec::transfer::matches;
use spec::trial::{InitFrom, Network, Trial};

use crate::contained::first_line;
use crate::model::{Arch, Parameter, Shape};
use crate::optimizer::{Optimizer, algorithm, state_names};
use crate::weights::{OPTIMIZER, UPDATES, from_pytorch, is_kept_file};

/// The tensors of a file of weights, by name.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    tensors: HashMap<String, Tensor>,
    /// Number of updates of the optimizer whose state the file holds; `None` if it holds no optimizer state.
    updates: Option<u64>,
}

impl Weights {
    /// Reads the file that a model starts from.
    ///
    /// # Errors
    /// The file can't be read, is not a safetensors file, or has changed since the sweep was planned.
    pub fn read(init: &InitFrom) -> Result<Self> {
        let in_file_error =
            |what: &dyn std::fmt::Display| candle_core::Error::msg(format!("{}: {what}", init.file));
        let bytes = std::fs::read(&init.file).map_err(|error| in_file_error(&error))?;
        let is_it = match init.trial {
            None => *blake3::hash(&bytes).to_hex() == *init.blake3,
            Some(_) => is_kept_file(&bytes, &init.blake3),
        };
        if !is_it {
            return Err(in_file_error(&"the file has changed since the sweep was planned"));
        }
        let none = |error: &dyn std::fmt::Display| in_file_error(&format!("not a safetensors file: {error}"));
        let tensors =
            candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(|error| none(&error))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|error| none(&error))?;
        let updates = metadata.metadata().as_ref().and_then(|texts| texts.get(UPDATES)?.parse().ok());
        Ok(Self { tensors, updates })
    }
}

/// The tensors to start from: the shape of each, in PyTorch's layout.
struct AvailableTensors {
    shapes: HashMap<String, Vec<usize>>,
    /// Whether the optimizer state is among them.
    optimizer: bool,
}

impl AvailableTensors {
    fn of_file(init: &InitFrom) -> Result<Self> {
        let Weights { tensors, updates } = Weights::read(init)?;
        let shapes = tensors.into_iter().map(|(name, tensor)| (name, tensor.dims().to_vec())).collect();
        Ok(Self { shapes, optimizer: updates.is_some() })
    }

    /// The tensors that the weights file of a trial will hold.
    fn of_trial(trial: &Trial) -> Self {
        let mut available = Self { shapes: HashMap::new(), optimizer: true };
        let Some(network) = trial.config.task.network() else { return available };
        let cycled = trial.config.schedule.momentum(0).is_some();
        for shape in shapes(network) {
            if !is_frozen(network, &shape.name) {
                let state = state_names(&network.optimizer, cycled).iter();
                available.shapes.extend(state.map(|of| (in_file(of, &shape.name), shape.pytorch_dims())));
            }
            available.shapes.insert(shape.name.clone(), shape.pytorch_dims());
        }
        available
    }
}

/// The parameters of a network. Empty for an unknown model, which is reported when training starts.
fn shapes(network: &Network) -> Vec<Shape> {
    Arch::of(network).map_or(Vec::new(), |arch| arch.shapes())
}

/// A setting for fine-tuning that does not fit: the key in the sweep file, and what is wrong.
pub type Misfit = (&'static str, String);

/// All settings for fine-tuning that do not fit the model or the weights that it starts from: those of the trial `begins_with`, if
/// there is one, otherwise those of the file, which is read.
pub fn misfits(network: &Network, begins_with: Option<&Trial>) -> Vec<Misfit> {
    let shapes = shapes(network);
    let mut found: Vec<Misfit> = Vec::new();
    let mut unused = |key: &'static str, inner: &str, pattern: &str| {
        if !shapes.iter().any(|shape| matches(pattern, &shape.name)) {
            let names: Vec<&str> = shapes.iter().map(|shape| shape.name.as_str()).collect();
            let known = names.join(", ");
            found.push((key, format!("{inner}no parameter matches `{pattern}` (parameters: {known})")));
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
                "`fresh` matches all parameters, so no parameter would start from these weights".to_owned(),
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
                found
                    .push(("lr_multipliers", format!("`{}` is frozen: `freeze` matches it too", shape.name)));
            }
            [_] => {}
            _ => found.push((
                "lr_multipliers",
                format!("`{}` matches more than one pattern: {}", shape.name, factors.join(", ")),
            )),
        }
    }
    found.extend(group_misfits(network, &shapes).map(|what| ("param_groups", what)));
    if shapes.iter().all(frozen) {
        found.push(("freeze", "no parameter is left to train".to_owned()));
    }
    if let Some(init) = &network.init_from {
        if init.keep_optimizer && begins_with.is_some_and(|trial| trial.config.schedule.averages()) {
            let source = init.source();
            found.push((
                "init_from",
                format!("the weights of {source} are an average and do not fit its optimizer state: remove `optimizer: keep`"),
            ));
        }
        match begins_with
            .map_or_else(|| AvailableTensors::of_file(init), |trial| Ok(AvailableTensors::of_trial(trial)))
        {
            Ok(available) => found
                .extend(weight_misfits(network, init, &shapes, &available).map(|what| ("init_from", what))),
            Err(error) => found.push(("init_from", first_line(&error))),
        }
    }
    found
}

/// All parameters that are in no group, patterns that match no parameter, and groups without a parameter.
fn group_misfits(network: &Network, shapes: &[Shape]) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    if !network.param_groups.is_empty() {
        let without = shapes.iter().filter(|shape| network.group_of(&shape.name).is_none());
        let without: Vec<&str> = without.map(|shape| shape.name.as_str()).collect();
        if !without.is_empty() {
            found.push(format!("no group has the parameters {}", without.join(", ")));
        }
    }
    for (name, patterns) in &network.param_groups {
        let unused = |pattern: &&String| !shapes.iter().any(|shape| matches(pattern, &shape.name));
        found.extend(patterns.iter().filter(unused).map(|pattern| {
            let names: Vec<&str> = shapes.iter().map(|shape| shape.name.as_str()).collect();
            format!("`{name}`: no parameter matches `{pattern}` (parameters: {})", names.join(", "))
        }));
        if !shapes.iter().any(|shape| network.group_of(&shape.name) == Some(name)) {
            found.push(format!("`{name}` has no parameter: all that it matches are in groups before it"));
        }
    }
    found.into_iter()
}

/// The problem with the weights file that a network starts from: it is missing, invalid or has changed. `None` if it is fine.
pub fn weights_problem(network: &Network) -> Option<String> {
    network.init_from.as_ref().and_then(|init| Weights::read(init).err()).map(|error| first_line(&error))
}

/// All mismatches between the weights and a model.
fn weight_misfits(
    network: &Network,
    init: &InitFrom,
    shapes: &[Shape],
    available: &AvailableTensors,
) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let file = &init.source();
    if init.keep_optimizer && !available.optimizer {
        found.push(format!(
            "{file} has no optimizer state (write it with `sweep export weights --optimizer`)"
        ));
    }
    let counts = algorithm(&network.optimizer).ok().and_then(|algorithm| algorithm.counts_updates());
    if let Some(name) = counts.filter(|_| init.keep_optimizer && !init.fresh.is_empty()) {
        found.push(format!(
            "{name} has one update count for all parameters, so `optimizer: keep` can't be combined with `fresh`"
        ));
    }
    for shape in shapes {
        if init.fresh.iter().any(|pattern| matches(pattern, &shape.name)) {
            continue;
        }
        let name = init.name_in_file(&shape.name);
        let mut names = vec![name.clone()];
        if init.keep_optimizer && available.optimizer && !is_frozen(network, &shape.name) {
            names.extend(state_names(&network.optimizer, false).iter().map(|of| in_file(of, &name)));
        }
        for name in names {
            match available.shapes.get(&name) {
                None => found.push(format!("{file} has no tensor `{name}` for `{}`", shape.name)),
                Some(dims) if *dims != shape.pytorch_dims() => {
                    let wanted = shape.pytorch_dims();
                    found.push(format!(
                        "{file}: `{name}` has shape {dims:?}, but the model's `{}` needs {wanted:?}",
                        shape.name
                    ));
                }
                Some(_) => {}
            }
        }
    }
    found.into_iter()
}

/// Whether a parameter is frozen.
fn is_frozen(network: &Network, name: &str) -> bool {
    network.freeze.iter().any(|pattern| matches(pattern, name))
}

/// The name, in a file, of a tensor of the optimizer state.
fn in_file(of: &str, parameter: &str) -> String {
    format!("{OPTIMIZER}{of}.{parameter}")
}

/// Sets the parameters that start from existing weights, and the optimizer state if it is kept.
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
        let always = state_names(&network.optimizer, false);
        for of in state_names(&network.optimizer, true) {
            let Some(var) = state.get(&format!("{of}.{}", parameter.name)) else { continue };
            let name = in_file(of, &name);
            // A velocity that exists only for the schedule's momentum is in the file only if the other run had one too.
            if always.contains(of) || weights.tensors.contains_key(&name) {
                set(var, parameter, &name)?;
            }
        }
    }
    Ok(())
}

/// Number of updates that the optimizer of a network has made before its run starts.
pub(crate) fn updates_before(network: &Network) -> Result<u64> {
    match &network.init_from {
        Some(init) if init.keep_optimizer => Ok(Weights::read(init)?.updates.unwrap_or(0)),
        _ => Ok(0),
    }
}

/// For each parameter the factor on its lr; `None` if it is frozen.
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

/// For each parameter the index of its group in the schedule; empty if the schedule has no groups.
pub(crate) fn groups(parameters: &[Parameter], trial: &Trial) -> Vec<usize> {
    let names: Vec<&str> = trial.config.schedule.groups().map(|group| group.name).collect();
    let Some(network) = trial.config.task.network().filter(|_| !names.is_empty()) else { return Vec::new() };
    let index = |name: &str| names.iter().position(|known| *known == name);
    // A parameter without a group is refused before training.
    parameters.iter().map(|each| network.group_of(&each.name).and_then(index).unwrap_or_default()).collect()
}
