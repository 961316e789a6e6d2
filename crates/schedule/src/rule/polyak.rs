//! The Polyak step size: distance of the loss from its minimum, divided by the squared gradient norm.

use super::{Memory, Rule, RuleState};
use crate::catalogue::{ANY, AT_LEAST_0, Build, Ends, Entry, ParamType, param};
use crate::known::Known;
use crate::lr_value::LrValue;
use crate::segment::Position;
use crate::vectors::RuleVectors;
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "polyak",
    aliases: &["polyak_sgd", "sps", "PolyakSGD", "sps_max"],
    summary: "distance of the loss from its minimum / |gradient|^2",
    formula: "lr(t) = min((f_t - f_min) / (|g_t|^2 + eps), max); 0 if f_t is not above f_min, if |g_t|^2 + eps is 0, \
              or if one of them is not finite. Before the first gradient it is max",
    symbols: &[("f_t", "loss of the batch before the update"), ("g_t", "its gradient before clipping")],
    ends: Ends {
        before: "the gradient and loss of step t set the lr of step t",
        at: "same as at every step; there is no state",
        after: "continues as long as it receives losses and gradients",
    },
    source: "Loizou et al., arXiv 2002.10542; optax polyak_sgd (with its `scaling` of 1)",
    example: "{kind: polyak, max: 10x, f_min: 0.3}",
    params: &[
        param("max", ParamType::Lr, "1x", "upper bound"),
        param("f_min", ParamType::Number(ANY), "0", "the lowest possible loss"),
        param("eps", ParamType::Number(AT_LEAST_0), "0", "added to the squared norm"),
        param(
            "variant",
            ParamType::Choice(&["sps", "sps+"]),
            "sps",
            "the names of optax, where `sps` can be negative and `sps+` can't; here the lr is never negative, so both \
             are the same",
        ),
    ],
    build: Build::Rule(|reader| {
        let (max, f_min, eps) = (reader.lr("max"), reader.number("f_min"), reader.number("eps"));
        reader.choice("variant")?;
        Some(Box::new(Polyak { max: max?, f_min: f_min?, eps: eps? }))
    }),
};

#[derive(Debug)]
struct Polyak {
    max: LrValue,
    f_min: f64,
    eps: f64,
}

impl Rule for Polyak {
    fn start(&self, base: f64) -> Memory {
        Memory::new(self.max.of(base), RuleState::Polyak)
    }

    fn known(&self, base: f64) -> Known {
        Known::Polyak { max: self.max.of(base), f_min: self.f_min, eps: self.eps }
    }

    fn needs(&self) -> Needs {
        Needs { loss: true, gradient: true, ..Needs::default() }
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        at: &Position,
        before: &BeforeUpdate,
        _vectors: &mut RuleVectors<'_>,
    ) {
        let gap = before.train_loss - self.f_min;
        let norm = before.grad_norm_squared + self.eps;
        // These comparisons are also false for NaN.
        let sound = gap > 0.0 && gap < f64::INFINITY && norm > 0.0;
        memory.lr = if sound { (gap / norm).min(self.max.of(at.base)) } else { 0.0 };
    }
}
