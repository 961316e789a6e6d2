//! Schedule-free training: a constant lr and averaged weights.

use serde::{Deserialize, Serialize};

use super::{Average, Memory, Rule, RuleState};
use crate::catalogue::{AT_LEAST_0, Build, Ends, Entry, FROM_0_BELOW_1, ParamType, param};
use crate::length::Length;
use crate::problem::Problem;
use crate::segment::Position;
use crate::vectors::RuleVectors;
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "schedule_free",
    aliases: &["ScheduleFree", "SGDScheduleFree", "AdamWScheduleFree"],
    summary: "a constant lr after a warmup, with averaged weights",
    formula: "lr(t) = base min(1, k / W), k = t + 1. The optimizer, without its momentum (AdamW: with beta1 = 0), moves z by the \
              gradient at y, with weight decay at y; then x = (1 - c) x + c z and y = (1 - momentum) z + momentum x, with c = \
              w_t / (w_0 + ... + w_t), w_t = k^r m_t^weight_lr_power. Training and its loss are at y; evaluation and the \
              final weights are x",
    symbols: &[
        ("k", "index of the update, from 1"),
        ("W", "length of the warmup: `warmup`"),
        ("z", "the weights that the optimizer moves"),
        ("x", "their average, which is evaluated"),
        ("y", "the weights at which gradients are computed"),
        ("c", "weight of the newest z in x"),
        ("w_t", "weight of update t in the average"),
        ("w_0", "weight of the first update"),
        ("m_t", "the largest lr so far"),
    ],
    ends: Ends {
        before: "base / W at t = 0, base from t = W - 1 on",
        at: "base; no decay is needed",
        after: "stays at base",
    },
    source: "Defazio et al., arXiv 2405.15682; schedulefree SGDScheduleFree, AdamWScheduleFree",
    example: "{kind: schedule_free, warmup: \"5%\"}",
    params: &[
        param("warmup", ParamType::Length(0), "0", "length W of the warmup"),
        param(
            "momentum",
            ParamType::Number(FROM_0_BELOW_1),
            "0.9",
            "position of y on the way from z (0) to x (1)",
        ),
        param("r", ParamType::Number(AT_LEAST_0), "0", "power of the step in the weights of the average"),
        param(
            "weight_lr_power",
            ParamType::Number(AT_LEAST_0),
            "2",
            "power of the lr in the weights of the average",
        ),
    ],
    build: Build::Rule(|reader| {
        let (warmup, momentum) = (reader.length("warmup"), reader.number("momentum"));
        let (r, power) = (reader.number("r"), reader.number("weight_lr_power"));
        Some(Box::new(ScheduleFree { warmup: warmup?, momentum: momentum?, r: r?, power: power? }))
    }),
};

#[derive(Debug)]
struct ScheduleFree {
    warmup: Length,
    momentum: f64,
    r: f64,
    power: f64,
}

/// Its state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Updates so far.
    updates: u64,
    /// m, the largest lr so far.
    #[serde(with = "crate::exact")]
    max_lr: f64,
    /// Sum of the weights of all updates.
    #[serde(with = "crate::exact")]
    sum: f64,
    /// c, the weight of the last update in the average.
    #[serde(with = "crate::exact")]
    share: f64,
}

impl Rule for ScheduleFree {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::ScheduleFree(State::default()))
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.warmup.check(at, 0.0, problems);
    }

    fn averages(&self) -> bool {
        true
    }

    fn average(&self, memory: &Memory) -> Option<Average> {
        let RuleState::ScheduleFree(state) = &memory.state else { return None };
        // Before its first update there is nothing to average.
        (state.updates > 0).then_some(Average {
            first: state.updates == 1,
            momentum: self.momentum,
            weight: state.share,
        })
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        at: &Position,
        _before: &BeforeUpdate,
        _vectors: &mut RuleVectors<'_>,
    ) {
        let Memory { lr, state: RuleState::ScheduleFree(state) } = memory else { return };
        state.updates += 1;
        let (n, over) = (state.updates as f64, self.warmup.ticks(at) * at.tick);
        *lr = if n < over { at.base * n / over } else { at.base };
        state.max_lr = state.max_lr.max(*lr);
        let weight = libm::pow(n, self.r) * libm::pow(state.max_lr, self.power);
        state.sum += weight;
        state.share = if state.sum > 0.0 { weight / state.sum } else { 0.0 };
    }
}
