//! Optimizers with PyTorch's update rules. Their state is named tensors, which checkpoints hold. Each optimizer is one file here and
//! one line in `TABLE`, and implements the traits `Algorithm` and `Rule`. On the CPU they update in place with our own loops; on
//! other devices they use candle's operations.

mod adamw;
pub(crate) mod in_place;
mod sgd;

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Error, Result, Tensor, Var};
use serde::de::DeserializeOwned;
use spec::catalogue::Kind;
use spec::trial::Choice;

use crate::model::{Parameter, copy_of};
use crate::ops::{is_cpu_f32, with_slice};

use in_place::{with_slice_mut, with_slices_mut};

/// The optimizers.
pub(crate) static TABLE: &[&Entry] = &[&sgd::ENTRY, &adamw::ENTRY];

/// An optimizer.
pub(crate) struct Entry {
    /// Name, parameters and documentation for sweep files.
    pub(crate) kind: Kind,
    /// Builds the algorithm from the values in a sweep file.
    build: fn(&Choice) -> serde_json::Result<Arc<dyn Algorithm>>,
}

/// The `build` of an algorithm that deserializes from the values.
fn build<T: Algorithm + DeserializeOwned + 'static>(
    choice: &Choice,
) -> serde_json::Result<Arc<dyn Algorithm>> {
    Ok(Arc::new(choice.typed::<T>()?))
}

/// An optimizer's algorithm with its settings.
pub(crate) trait Algorithm: Debug + Send + Sync {
    /// The names of the tensors that it keeps for each parameter. `cycled`: whether the schedule sets the momentum.
    fn state(&self, cycled: bool) -> &'static [&'static str];

    /// The rule that one update applies to each element of each parameter.
    fn rule(&self, update: Update) -> Box<dyn Rule>;

    /// The weight decay in the sweep file.
    fn weight_decay(&self) -> f64;

    /// Its name in messages, if its rule depends on the number of updates, which is one number for all parameters.
    fn counts_updates(&self) -> Option<&'static str> {
        None
    }

    /// The momentum, if closed forms of the expected loss exist for this optimizer; otherwise the key in the sweep file that
    /// prevents it.
    fn plain_momentum(&self) -> std::result::Result<f64, &'static str> {
        Err("optimizer.kind")
    }
}

/// The rule that one update applies to each element. The result does not depend on how a parameter is split into pieces.
pub(crate) trait Rule {
    /// On the CPU: updates the elements from `first` on with their gradient `g`.
    fn apply(&self, to: &mut Elements<'_>, first: usize, g: &[f32]);

    /// On any device: updates a parameter and its state with candle's operations.
    fn apply_by_candle(&self, parameter: &Var, gradient: &Tensor, state: &[&Var]) -> Result<()>;
}

/// Sets numbers below `tiny` to 0, as [`kernels::tiny`] does on the CPU.
pub(crate) fn flush(x: &Tensor, tiny: f32) -> Result<Tensor> {
    x.abs()?.lt(f64::from(tiny))?.where_cond(&x.zeros_like()?, x)
}

/// The numbers of one parameter and of its state: slices of the same length.
pub(crate) struct Elements<'a> {
    p: &'a mut [f32],
    state: Vec<&'a mut [f32]>,
}

impl Elements<'_> {
    /// `n` elements from `first` on, with the same elements of the `N` state tensors. `None` if the number of state tensors is not
    /// `N`, or the range is too long.
    fn slice<const N: usize>(&mut self, first: usize, n: usize) -> Option<(&mut [f32], [&mut [f32]; N])> {
        if self.state.len() != N {
            return None;
        }
        let mut state = self.state.iter_mut();
        let state = std::array::from_fn(|_| {
            state.next().and_then(|x| x.get_mut(first..first + n)).unwrap_or_default()
        });
        Some((self.p.get_mut(first..first + n)?, state))
    }
}

/// The inputs of one update, in addition to the gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Number of the update, from 0.
    pub t: u64,
    /// The learning rate.
    pub lr: f64,
    /// The momentum (Adam: beta1), if the schedule sets it.
    pub momentum: Option<f64>,
    /// Whether weights are averaged. Then the optimizer's own momentum and weight decay are not applied.
    pub averaged: bool,
    /// Factor on the gradients, from gradient clipping.
    pub clip: f64,
}

impl Update {
    /// The momentum of this update. `default`: the optimizer's setting.
    fn momentum_or(&self, default: f64) -> f64 {
        if self.averaged { 0.0 } else { self.momentum.unwrap_or(default) }
    }

    /// The weight decay of this update. `setting`: the optimizer's setting.
    fn decay_or_none(&self, setting: f64) -> f64 {
        if self.averaged { 0.0 } else { setting }
    }
}

/// The algorithm that a sweep file selects.
pub(crate) fn algorithm(choice: &Choice) -> Result<Arc<dyn Algorithm>> {
    let entry = TABLE.iter().find(|entry| entry.kind.name == choice.kind);
    let entry = entry.ok_or_else(|| Error::Msg(format!("unknown optimizer `{}`", choice.kind)))?;
    (entry.build)(choice).map_err(|error| Error::Msg(format!("optimizer {}: {error}", choice.kind)))
}

/// The names of the tensors that an optimizer keeps for each parameter. `cycled`: whether the schedule sets the momentum.
pub(crate) fn state_names(choice: &Choice, cycled: bool) -> &'static [&'static str] {
    // An unknown optimizer is reported when training starts.
    algorithm(choice).map_or(&[], |algorithm| algorithm.state(cycled))
}

/// The optimizer of one run.
#[derive(Debug)]
pub struct Optimizer {
    algorithm: Arc<dyn Algorithm>,
    /// Names of the state tensors.
    names: &'static [&'static str],
    /// For each name, one tensor per parameter.
    state: Vec<Vec<Var>>,
    /// For each parameter the factor on its lr; `None` if it is frozen. Empty: 1 for all.
    factors: Vec<Option<f64>>,
    /// For each parameter the index of its group. Empty: all have the lr of the update.
    groups: Vec<usize>,
    /// The lr of each group in the next update.
    group_lrs: Vec<f64>,
    /// Number of updates before this run started.
    updates_before: u64,
}

impl Optimizer {
    /// An optimizer before its first update. `cycled`: whether the schedule sets the momentum.
    ///
    /// # Errors
    /// The device fails, or the optimizer is unknown.
    pub fn new(choice: &Choice, cycled: bool, parameters: &[Parameter]) -> Result<Self> {
        let algorithm = algorithm(choice)?;
        let names = algorithm.state(cycled);
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
        let state = names.iter().map(|_| parameters.iter().map(zeros).collect()).collect::<Result<_>>()?;
        let (factors, groups, group_lrs) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { algorithm, names, state, factors, groups, group_lrs, updates_before: 0 })
    }

    /// Sets the index of each parameter's group.
    pub(crate) fn with_groups(mut self, groups: Vec<usize>) -> Self {
        self.groups = groups;
        self
    }

    /// Sets the lr of each group in the next update, in single precision.
    pub(crate) fn set_group_lrs(&mut self, lrs: &[f64]) {
        self.group_lrs.clear();
        self.group_lrs.extend(lrs.iter().map(|lr| f64::from(*lr as f32)));
    }

    /// Sets a factor on the lr of each parameter; `None` freezes the parameter.
    pub(crate) fn with_factors(mut self, factors: Vec<Option<f64>>) -> Self {
        if factors.iter().any(|factor| *factor != Some(1.0)) {
            self.factors = factors;
        }
        self
    }

    /// Sets the number of updates of an earlier run whose state this optimizer continues.
    pub(crate) fn resuming_after(mut self, updates: u64) -> Self {
        self.updates_before = updates;
        self
    }

    /// Number of updates before this run started.
    pub(crate) fn updates_before(&self) -> u64 {
        self.updates_before
    }

    /// Whether parameter `i` is frozen.
    pub(crate) fn is_frozen(&self, i: usize) -> bool {
        matches!(self.factors.get(i), Some(None))
    }

    /// The rule of one update for the parameters without a factor or a group.
    pub(crate) fn rule(&self, update: Update) -> Box<dyn Rule> {
        self.algorithm.rule(Update { t: self.updates_before + update.t, ..update })
    }

    /// The rule of one update for parameter `i`, if it has a factor or a group.
    pub(crate) fn own_rule(&self, i: usize, update: Update) -> Option<Box<dyn Rule>> {
        let of_group = self.groups.get(i).and_then(|group| self.group_lrs.get(*group)).copied();
        let factor = self.factors.get(i).copied().flatten().filter(|factor| *factor != 1.0);
        if of_group.is_none() && factor.is_none() {
            return None;
        }
        let lr = of_group.unwrap_or(update.lr) * factor.unwrap_or(1.0);
        Some(self.rule(Update { lr, ..update }))
    }

    /// Updates all parameters. `gradients` are in the order of the parameters.
    ///
    /// # Errors
    /// The device fails.
    pub fn update(&self, parameters: &[Parameter], gradients: &[Tensor], update: Update) -> Result<()> {
        let plain = self.rule(update);
        for (i, (parameter, gradient)) in parameters.iter().zip(gradients).enumerate() {
            if self.is_frozen(i) {
                continue;
            }
            let scaled = self.own_rule(i, update);
            let rule = scaled.as_deref().unwrap_or(&*plain);
            if is_cpu_f32(&parameter.var) {
                let gradient = gradient.contiguous()?;
                with_slice(&gradient, |g| {
                    self.with_elements(parameter, i, |mut all| rule.apply(&mut all, 0, g))
                })?;
            } else {
                rule.apply_by_candle(&parameter.var, gradient, &self.state_of(i))?;
            }
        }
        Ok(())
    }

    /// Calls `f` with the numbers of parameter `i` and its state, on the CPU.
    pub(crate) fn with_elements(
        &self,
        parameter: &Parameter,
        i: usize,
        mut f: impl FnMut(Elements<'_>),
    ) -> Result<()> {
        with_slice_mut(&parameter.var, |p| {
            with_slices_mut(&self.state_of(i), Vec::new(), &mut |state| f(Elements { p: &mut *p, state }))
        })
    }

    /// The state of parameter `i`.
    fn state_of(&self, i: usize) -> Vec<&Var> {
        self.state.iter().filter_map(|list| list.get(i)).collect()
    }

    /// A deep copy.
    pub(crate) fn copy(&self) -> Result<Self> {
        let state = self.state.iter().map(|list| list.iter().map(copy_of).collect());
        Ok(Self {
            algorithm: Arc::clone(&self.algorithm),
            names: self.names,
            state: state.collect::<Result<_>>()?,
            factors: self.factors.clone(),
            groups: self.groups.clone(),
            group_lrs: self.group_lrs.clone(),
            updates_before: self.updates_before,
        })
    }

    /// The weight decay in the sweep file.
    pub(crate) fn weight_decay(&self) -> f64 {
        self.algorithm.weight_decay()
    }

    /// The state: name and value of each tensor, such as `velocity.fc1.weight`.
    pub fn state<'a>(&'a self, parameters: &'a [Parameter]) -> impl Iterator<Item = (String, &'a Var)> {
        self.names.iter().zip(&self.state).flat_map(move |(name, list)| {
            parameters.iter().zip(list).map(move |(p, var)| (format!("{name}.{}", p.name), var))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
