//! The Polyak step: as far as the loss is from its minimum, for this gradient.

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
    summary: "distance of the loss from its minimum over |gradient|^2",
    formula: "lr(t) = min((f_t - f_min) / (|g_t|^2 + eps), max); 0 where f_t is not above f_min, where |g_t|^2 + eps is 0, and \
              where one of them is not finite. Before anything was seen it is max",
    symbols: &[("f_t", "loss of the batch before the update"), ("g_t", "its gradient before clipping")],
    ends: Ends {
        before: "the gradient and loss of step t give the lr of step t itself",
        at: "as at every step; nothing is remembered",
        after: "goes on for as long as it is shown losses and gradients",
    },
    source: "Loizou et al., arXiv 2002.10542; optax polyak_sgd (with its `scaling` of 1)",
    example: "{kind: polyak, max: 10x, f_min: 0.3}",
    params: &[
        param("max", ParamType::Lr, "1x", "upper bound"),
        param("f_min", ParamType::Number(ANY), "0", "the least loss that can be reached"),
        param("eps", ParamType::Number(AT_LEAST_0), "0", "added to the squared norm"),
        param(
            "variant",
            ParamType::Choice(&["sps", "sps+"]),
            "sps",
            "as optax names them: `sps` can fall below 0 there, `sps+` can't; no lr does here, so both are one rule",
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
        // NaN, too, fails these comparisons.
        let sound = gap > 0.0 && gap < f64::INFINITY && norm > 0.0;
        memory.lr = if sound { (gap / norm).min(self.max.of(at.base)) } else { 0.0 };
    }
}
