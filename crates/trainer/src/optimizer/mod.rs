//! Optimizers: PyTorch's rules, with their state as named tensors that a checkpoint holds. Each one is a file here and one line in
//! the `TABLE`; what it must say of itself are the traits `Algorithm` and `Rule`. On the CPU they update in place by our own
//! loops; elsewhere they are made of candle's operations.

mod adamw;
pub(crate) mod in_place;
mod sgd;

use std::fmt::Debug;
use std::sync::Arc;

use candle_core::{Error, Result, Tensor, Var};
use serde::de::DeserializeOwned;
use spec::catalogue::Kind;
use spec::trial::Choice;

use crate::kernels::{is_ours, with_slice};
use crate::model::{Parameter, copy_of};

use in_place::{with_slice_mut, with_slices_mut};

/// The optimizers.
pub(crate) static TABLE: &[&Entry] = &[&sgd::ENTRY, &adamw::ENTRY];

/// An optimizer.
pub(crate) struct Entry {
    /// How sweep files name it.
    pub(crate) kind: Kind,
    /// The algorithm with the values that a sweep file gives its parameters.
    build: fn(&Choice) -> serde_json::Result<Arc<dyn Algorithm>>,
}

/// The `build` of an algorithm that is read from the values themselves.
fn build<T: Algorithm + DeserializeOwned + 'static>(
    choice: &Choice,
) -> serde_json::Result<Arc<dyn Algorithm>> {
    Ok(Arc::new(choice.typed::<T>()?))
}

/// What an optimizer is.
pub(crate) trait Algorithm: Debug + Send + Sync {
    /// The names of the tensors that it keeps for each parameter. `cycled`: whether the schedule gives the momentum.
    fn state(&self, cycled: bool) -> &'static [&'static str];

    /// What one update does to each element of each parameter.
    fn rule(&self, update: Update) -> Box<dyn Rule>;

    /// The weight decay, as the sweep file has it.
    fn weight_decay(&self) -> f64;

    /// Its name in messages, where one count of its updates goes for all parameters.
    fn counts_updates(&self) -> Option<&'static str> {
        None
    }

    /// The momentum, where the expected loss of a task with a closed form is known for this optimizer; else the key of the sweep
    /// file because of which it is not.
    fn plain_momentum(&self) -> std::result::Result<f64, &'static str> {
        Err("optimizer.kind")
    }
}

/// What one update does to each element: the same whether it comes for a whole parameter or row by row.
pub(crate) trait Rule {
    /// On the CPU: updates the elements from `first` on by their gradient `g`.
    fn apply(&self, to: &mut Elements<'_>, first: usize, g: &[f32]);

    /// On any device: updates a parameter and its state by candle's operations.
    fn apply_by_candle(&self, parameter: &Var, gradient: &Tensor, state: &[&Var]) -> Result<()>;
}

/// The numbers of one parameter and of its state: slices of the same length.
pub(crate) struct Elements<'a> {
    p: &'a mut [f32],
    state: Vec<&'a mut [f32]>,
}

impl Elements<'_> {
    /// The elements from `first` on, as many as `n`, with the `N` tensors of the state; `None` where there are not as many.
    fn part<const N: usize>(&mut self, first: usize, n: usize) -> Option<(&mut [f32], [&mut [f32]; N])> {
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

/// What one update is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// The update, from 0.
    pub t: u64,
    /// Its lr.
    pub lr: f64,
    /// Its momentum (Adam: beta1), where the schedule cycles it.
    pub momentum: Option<f64>,
    /// Whether weights are averaged instead: the optimizer's own momentum and weight decay are left out.
    pub averaged: bool,
    /// Factor on the gradients, from clipping.
    pub clip: f64,
}

impl Update {
    /// The momentum of this update, where the optimizer's own is this.
    fn momentum_or(&self, own: f64) -> f64 {
        if self.averaged { 0.0 } else { self.momentum.unwrap_or(own) }
    }

    /// The weight decay of this update, where the optimizer's own is this.
    fn decay_or_none(&self, own: f64) -> f64 {
        if self.averaged { 0.0 } else { own }
    }
}

/// The algorithm that a sweep file has chosen.
pub(crate) fn algorithm(choice: &Choice) -> Result<Arc<dyn Algorithm>> {
    let entry = TABLE.iter().find(|entry| entry.kind.name == choice.kind);
    let entry = entry.ok_or_else(|| Error::Msg(format!("there is no optimizer `{}`", choice.kind)))?;
    (entry.build)(choice).map_err(|error| Error::Msg(format!("optimizer {}: {error}", choice.kind)))
}

/// The names of the tensors that an optimizer keeps for each parameter. `cycled`: whether the schedule gives the momentum.
pub(crate) fn state_names(choice: &Choice, cycled: bool) -> &'static [&'static str] {
    // One that is not known is reported when it is to train.
    algorithm(choice).map_or(&[], |algorithm| algorithm.state(cycled))
}

/// An optimizer of one run.
#[derive(Debug)]
pub struct Optimizer {
    algorithm: Arc<dyn Algorithm>,
    /// Names of the tensors of the state.
    names: &'static [&'static str],
    /// For each name a list as long as that of the parameters.
    state: Vec<Vec<Var>>,
    /// For each parameter the factor on its lr; `None` where it stays as it is. Empty: 1 for all.
    factors: Vec<Option<f64>>,
    /// Updates that it had seen before this run began.
    before: u64,
}

impl Optimizer {
    /// An optimizer that has seen nothing. `cycled`: whether the schedule gives the momentum.
    ///
    /// # Errors
    /// The device fails, or there is no such optimizer.
    pub fn new(choice: &Choice, cycled: bool, parameters: &[Parameter]) -> Result<Self> {
        let algorithm = algorithm(choice)?;
        let names = algorithm.state(cycled);
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
        let state = names.iter().map(|_| parameters.iter().map(zeros).collect()).collect::<Result<_>>()?;
        Ok(Self { algorithm, names, state, factors: Vec::new(), before: 0 })
    }

    /// The same with a factor on the lr of each parameter; `None` where it stays as it is.
    pub(crate) fn with_factors(mut self, factors: Vec<Option<f64>>) -> Self {
        if factors.iter().any(|factor| *factor != Some(1.0)) {
            self.factors = factors;
        }
        self
    }

    /// The same after so many updates of another run, whose state it goes on with.
    pub(crate) fn after(mut self, updates: u64) -> Self {
        self.before = updates;
        self
    }

    /// Updates that it had seen before this run began.
    pub(crate) fn updates_before(&self) -> u64 {
        self.before
    }

    /// Whether parameter `i` stays as it is.
    pub(crate) fn is_frozen(&self, i: usize) -> bool {
        matches!(self.factors.get(i), Some(None))
    }

    /// What one update does to each element of each parameter that has no factor.
    pub(crate) fn rule(&self, update: Update) -> Box<dyn Rule> {
        self.algorithm.rule(Update { t: self.before + update.t, ..update })
    }

    /// What one update does to parameter `i`, where it has a factor.
    pub(crate) fn rule_with_factor(&self, i: usize, update: Update) -> Option<Box<dyn Rule>> {
        let factor = self.factors.get(i).copied().flatten().filter(|factor| *factor != 1.0)?;
        Some(self.rule(Update { lr: update.lr * factor, ..update }))
    }

    /// Updates all parameters. `gradients` are in their order.
    ///
    /// # Errors
    /// The device fails.
    pub fn update(&self, parameters: &[Parameter], gradients: &[Tensor], update: Update) -> Result<()> {
        let plain = self.rule(update);
        for (i, (parameter, gradient)) in parameters.iter().zip(gradients).enumerate() {
            if self.is_frozen(i) {
                continue;
            }
            let own = self.rule_with_factor(i, update);
            let rule = own.as_deref().unwrap_or(&*plain);
            if is_ours(&parameter.var) {
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

    /// The same with numbers of its own.
    pub(crate) fn copy(&self) -> Result<Self> {
        let state = self.state.iter().map(|list| list.iter().map(copy_of).collect());
        Ok(Self {
            algorithm: Arc::clone(&self.algorithm),
            names: self.names,
            state: state.collect::<Result<_>>()?,
            factors: self.factors.clone(),
            before: self.before,
        })
    }

    /// The weight decay, as the sweep file has it.
    pub(crate) fn weight_decay(&self) -> f64 {
        self.algorithm.weight_decay()
    }

    /// The state: name and value of each tensor, as in `velocity.fc1.weight`.
    pub fn state<'a>(&'a self, parameters: &'a [Parameter]) -> impl Iterator<Item = (String, &'a Var)> {
        self.names.iter().zip(&self.state).flat_map(move |(name, list)| {
            parameters.iter().zip(list).map(move |(p, var)| (format!("{name}.{}", p.name), var))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
