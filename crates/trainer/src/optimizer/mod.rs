//! Optimisers: PyTorch's rules, with their state as named tensors that a checkpoint holds. On the CPU they
//! update in place by our own loops; elsewhere they are made of candle's operations.

mod adamw;
pub(crate) mod in_place;
mod sgd;

use candle_core::{Result, Tensor, Var};
use spec::trial::Optimizer as Kind;

use crate::model::Parameter;

/// What one update is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// The update, from 0.
    pub t: u64,
    /// Its lr.
    pub lr: f64,
    /// Its momentum (Adam: beta1), where the schedule cycles it.
    pub momentum: Option<f64>,
    /// Whether weights are averaged instead: the optimiser's own momentum and weight decay are left out.
    pub averaged: bool,
    /// Factor on the gradients, from clipping.
    pub clip: f64,
}

/// An optimiser of one run.
#[derive(Debug)]
pub struct Optimizer {
    kind: Kind,
    /// One list for each kind of moment, as long as the list of parameters.
    moments: Vec<(&'static str, Vec<Var>)>,
}

impl Optimizer {
    /// An optimiser that has seen nothing. `cycled`: whether the schedule gives the momentum.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(kind: &Kind, cycled: bool, parameters: &[Parameter]) -> Result<Self> {
        let names: &[&'static str] = match kind {
            Kind::Sgd { momentum, .. } if *momentum > 0.0 || cycled => &["velocity"],
            Kind::Sgd { .. } => &[],
            Kind::Adamw { .. } => &["first", "second"],
        };
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
        let moments =
            names.iter().map(|name| Ok((*name, parameters.iter().map(zeros).collect::<Result<_>>()?)));
        Ok(Self { kind: kind.clone(), moments: moments.collect::<Result<_>>()? })
    }

    /// Updates all parameters. `gradients` are in their order.
    ///
    /// # Errors
    /// The device fails.
    pub fn update(&mut self, parameters: &[Parameter], gradients: &[Tensor], update: Update) -> Result<()> {
        let own = |momentum: f64| if update.averaged { 0.0 } else { update.momentum.unwrap_or(momentum) };
        let kept = |decay: f64| if update.averaged { 0.0 } else { decay };
        let moment = |list: usize, i: usize| self.moments.get(list).and_then(|(_, moments)| moments.get(i));
        for (i, (parameter, gradient)) in parameters.iter().zip(gradients).enumerate() {
            match &self.kind {
                Kind::Sgd { momentum, nesterov, weight_decay } => {
                    let rule = sgd::Sgd {
                        lr: update.lr,
                        momentum: own(*momentum),
                        nesterov: *nesterov,
                        weight_decay: kept(*weight_decay),
                        clip: update.clip,
                    };
                    rule.update(&parameter.var, gradient, moment(0, i))?;
                }
                Kind::Adamw { beta1, beta2, eps, weight_decay } => {
                    let (Some(first), Some(second)) = (moment(0, i), moment(1, i)) else { continue };
                    let rule = adamw::Adamw {
                        t: update.t,
                        lr: update.lr,
                        beta1: own(*beta1),
                        beta2: *beta2,
                        eps: *eps,
                        weight_decay: kept(*weight_decay),
                        clip: update.clip,
                    };
                    rule.update(&parameter.var, gradient, first, second)?;
                }
            }
        }
        Ok(())
    }

    /// The weight decay, as the sweep file has it.
    pub(crate) fn weight_decay(&self) -> f64 {
        match &self.kind {
            Kind::Sgd { weight_decay, .. } | Kind::Adamw { weight_decay, .. } => *weight_decay,
        }
    }

    /// The state: name and value of each tensor, as in `velocity.fc1.weight`.
    pub fn state<'a>(&'a self, parameters: &'a [Parameter]) -> impl Iterator<Item = (String, &'a Var)> {
        self.moments.iter().flat_map(move |(name, moments)| {
            parameters.iter().zip(moments).map(move |(p, moment)| (format!("{name}.{}", p.name), moment))
        })
    }
}

#[cfg(test)]
mod tests;
