//! Optimisers: PyTorch's rules, with their state as named tensors that a checkpoint holds. On the CPU they
//! update in place by our own loops; elsewhere they are made of candle's operations.

mod adamw;
pub(crate) mod in_place;
mod sgd;

use candle_core::{Result, Tensor, Var};
use spec::trial::Optimizer as Kind;

use crate::kernels::{is_ours, with_slice};
use crate::model::{Parameter, copy_of};

use in_place::with_slice_mut;

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

/// One parameter, or some of its rows, with its moments: slices of the same length.
pub(crate) struct Elements<'a> {
    p: &'a mut [f32],
    first: Option<&'a mut [f32]>,
    second: Option<&'a mut [f32]>,
}

impl Elements<'_> {
    /// The elements `from..to`.
    pub(crate) fn part(&mut self, from: usize, to: usize) -> Elements<'_> {
        fn cut(slice: &mut [f32], from: usize, to: usize) -> &mut [f32] {
            slice.get_mut(from..to).unwrap_or_default()
        }
        Elements {
            p: cut(self.p, from, to),
            first: self.first.as_deref_mut().map(|x| cut(x, from, to)),
            second: self.second.as_deref_mut().map(|x| cut(x, from, to)),
        }
    }
}

/// What one update does to each element: the same whether it comes for a whole parameter or row by row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    Sgd(sgd::Sgd),
    Adamw(adamw::Adamw),
}

impl Rule {
    /// Updates elements by their gradient `g`.
    pub(crate) fn apply(&self, to: &mut Elements<'_>, g: &[f32]) {
        match self {
            Rule::Sgd(sgd) => sgd.here(to.p, to.first.as_deref_mut(), g),
            Rule::Adamw(adamw) => {
                if let (Some(first), Some(second)) = (to.first.as_deref_mut(), to.second.as_deref_mut()) {
                    adamw.here(to.p, first, second, g);
                }
            }
        }
    }
}

/// The kinds of moments that an optimiser keeps. `cycled`: whether the schedule gives the momentum.
pub(crate) fn moments(kind: &Kind, cycled: bool) -> &'static [&'static str] {
    match kind {
        Kind::Sgd { momentum, .. } if *momentum > 0.0 || cycled => &["velocity"],
        Kind::Sgd { .. } => &[],
        Kind::Adamw { .. } => &["first", "second"],
    }
}

/// An optimiser of one run.
#[derive(Debug)]
pub struct Optimizer {
    kind: Kind,
    /// One list for each kind of moment, as long as the list of parameters.
    moments: Vec<(&'static str, Vec<Var>)>,
    /// For each parameter the factor on its lr; `None` where it stays as it is. Empty: 1 for all.
    factors: Vec<Option<f64>>,
    /// Updates that it had seen before this run began.
    before: u64,
}

impl Optimizer {
    /// An optimiser that has seen nothing. `cycled`: whether the schedule gives the momentum.
    ///
    /// # Errors
    /// The device fails.
    pub fn new(kind: &Kind, cycled: bool, parameters: &[Parameter]) -> Result<Self> {
        let zeros = |p: &Parameter| Var::zeros(p.var.shape(), p.var.dtype(), p.var.device());
        let moments = moments(kind, cycled)
            .iter()
            .map(|name| Ok((*name, parameters.iter().map(zeros).collect::<Result<_>>()?)));
        Ok(Self {
            kind: kind.clone(),
            moments: moments.collect::<Result<_>>()?,
            factors: Vec::new(),
            before: 0,
        })
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

    /// What one update does to parameter `i`, given what it does to those without a factor.
    pub(crate) fn rule_of(&self, i: usize, plain: Rule, update: Update) -> Rule {
        match self.factors.get(i).copied().flatten() {
            Some(factor) if factor != 1.0 => self.rule(Update { lr: update.lr * factor, ..update }),
            _ => plain,
        }
    }

    /// What one update does to each element of each parameter that has no factor.
    pub(crate) fn rule(&self, update: Update) -> Rule {
        let own = |momentum: f64| if update.averaged { 0.0 } else { update.momentum.unwrap_or(momentum) };
        let kept = |decay: f64| if update.averaged { 0.0 } else { decay };
        let Update { t, lr, clip, .. } = update;
        match &self.kind {
            Kind::Sgd { momentum, nesterov, weight_decay } => Rule::Sgd(sgd::Sgd {
                lr,
                momentum: own(*momentum),
                nesterov: *nesterov,
                weight_decay: kept(*weight_decay),
                clip,
            }),
            Kind::Adamw { beta1, beta2, eps, weight_decay } => {
                let betas = (own(*beta1), *beta2);
                Rule::Adamw(adamw::Adamw::new(self.before + t, lr, betas, *eps, kept(*weight_decay), clip))
            }
        }
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
            let rule = self.rule_of(i, plain, update);
            if is_ours(&parameter.var) {
                let gradient = gradient.contiguous()?;
                with_slice(&gradient, |g| {
                    self.with_element(parameter, i, |mut state| {
                        rule.apply(&mut state, g);
                    })
                })?;
                continue;
            }
            match (&rule, self.moment(0, i), self.moment(1, i)) {
                (Rule::Sgd(sgd), velocity, _) => sgd.anywhere(&parameter.var, gradient, velocity)?,
                (Rule::Adamw(adamw), Some(first), Some(second)) => {
                    adamw.anywhere(&parameter.var, gradient, first, second)?;
                }
                (Rule::Adamw(_), ..) => candle_core::bail!("AdamW without its moments"),
            }
        }
        Ok(())
    }

    /// Calls `f` with the numbers of parameter `i` and its moments, on the CPU.
    pub(crate) fn with_element<T>(
        &self,
        parameter: &Parameter,
        i: usize,
        f: impl FnOnce(Elements<'_>) -> T,
    ) -> Result<T> {
        with_slice_mut(&parameter.var, |p| match (self.moment(0, i), self.moment(1, i)) {
            (None, _) => Ok(f(Elements { p, first: None, second: None })),
            (Some(first), None) => {
                with_slice_mut(first, |first| Ok(f(Elements { p, first: Some(first), second: None })))
            }
            (Some(first), Some(second)) => with_slice_mut(first, |first| {
                with_slice_mut(second, |second| {
                    Ok(f(Elements { p, first: Some(first), second: Some(second) }))
                })
            }),
        })
    }

    fn moment(&self, list: usize, i: usize) -> Option<&Var> {
        self.moments.get(list).and_then(|(_, moments)| moments.get(i))
    }

    /// The same with numbers of its own.
    pub(crate) fn copy(&self) -> Result<Self> {
        let moments = self
            .moments
            .iter()
            .map(|(name, list)| Ok((*name, list.iter().map(copy_of).collect::<Result<_>>()?)));
        let moments = moments.collect::<Result<_>>()?;
        Ok(Self { kind: self.kind.clone(), moments, factors: self.factors.clone(), before: self.before })
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
