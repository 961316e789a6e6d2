//! Prodigy: D-Adaptation with exponential forgetting, made for Adam.

use serde::{Deserialize, Serialize};

use super::{Memory, Rule, RuleState};
use crate::catalogue::{ABOVE_0, ABOVE_1, Build, Ends, Entry, FROM_0_BELOW_1, ParamType, optional, param};
use crate::segment::Position;
use crate::vectors::{Kept, RuleVectors, Vector};
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "prodigy",
    aliases: &["Prodigy", "prodigyopt"],
    summary: "d_adaptation that forgets old gradients; made for AdamW",
    formula: "lr(t) = base d_t c_t, c_t = sqrt(1 - beta2^k) / (1 - beta1^k) with `bias_correction`, else 1, k = t + 1. \
              With q = d_t / d0: n = beta3 n + q lr(t) <g_t, x_0 - x_t>, s = beta3 s + q l g_t with l = lr(t), or d_t \
              with `safeguard_warmup`; h = d_coef n / (sum of |s|); d is the largest h so far, at least d0 and at most \
              growth_rate d_t. The base lr is a factor: 1 gives the paper's rule",
    symbols: &[
        ("d_t", "the estimated distance to the solution before update t"),
        ("d", "the next estimate"),
        ("c_t", "Adam's correction of its moments"),
        ("k", "index of the update, from 1"),
        ("q", "growth of d so far"),
        ("n", "a decaying sum of inner products; < , > is the inner product over all parameters"),
        ("g_t", "gradient of the batch at step t, before clipping"),
        ("x_t", "all parameters before update t"),
        ("x_0", "the parameters at the start of the rule"),
        ("s", "a decaying sum of gradients"),
        ("l", "weight of a gradient in s"),
        ("h", "an estimate of the distance"),
    ],
    ends: Ends {
        before: "base d0 c_0 at t = 0",
        at: "no target; the estimate never falls",
        after: "continues as long as it receives gradients",
    },
    source: "Mishchenko and Defazio, arXiv 2306.06101; prodigyopt Prodigy",
    example: "{kind: prodigy, d_coef: 0.3}",
    params: &[
        param("d0", ParamType::Number(ABOVE_0), "1e-6", "initial estimate of the distance"),
        param("d_coef", ParamType::Number(ABOVE_0), "1", "factor on the estimates"),
        param(
            "beta1",
            ParamType::Number(FROM_0_BELOW_1),
            "0.9",
            "the optimizer's beta1; only used by `bias_correction`",
        ),
        param("beta2", ParamType::Number(FROM_0_BELOW_1), "0.999", "the optimizer's beta2"),
        optional(
            "beta3",
            ParamType::Number(FROM_0_BELOW_1),
            "decay of the sums; the root of beta2 by default",
        ),
        optional(
            "growth_rate",
            ParamType::Number(ABOVE_1),
            "upper bound of d_(t+1) / d_t; unbounded by default",
        ),
        param("bias_correction", ParamType::Flag, "false", "apply Adam's bias correction to the lr"),
        param("safeguard_warmup", ParamType::Flag, "false", "keep a warmup of the lr out of the estimate"),
    ],
    build: Build::Rule(|reader| {
        let (d0, d_coef) = (reader.number("d0"), reader.number("d_coef"));
        let (beta1, beta2, beta3) =
            (reader.number("beta1"), reader.number("beta2"), reader.maybe_number("beta3"));
        let growth = reader.maybe_number("growth_rate");
        let (correct, safeguard) = (reader.flag("bias_correction"), reader.flag("safeguard_warmup"));
        Some(Box::new(Prodigy {
            d0: d0?,
            d_coef: d_coef?,
            beta1: beta1?,
            beta2: beta2?,
            beta3: beta3?.unwrap_or(beta2?.sqrt()),
            growth: growth?.unwrap_or(f64::INFINITY),
            correct: correct?,
            safeguard: safeguard?,
        }))
    }),
};

#[derive(Debug)]
struct Prodigy {
    d0: f64,
    d_coef: f64,
    beta1: f64,
    beta2: f64,
    beta3: f64,
    growth: f64,
    correct: bool,
    safeguard: bool,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// d, the estimated distance to the solution.
    #[serde(with = "crate::exact")]
    distance: f64,
    /// The largest estimate so far, not bounded by `growth_rate`.
    #[serde(with = "crate::exact")]
    greatest: f64,
    /// n, a decaying sum of inner products.
    #[serde(with = "crate::exact")]
    sum: f64,
    /// Number of updates with a gradient.
    updates: u64,
}

impl Prodigy {
    /// The lr of the update after `count` updates.
    fn lr(&self, base: f64, distance: f64, count: u64) -> f64 {
        let k = count as f64 + 1.0;
        let correction = if self.correct {
            (1.0 - libm::pow(self.beta2, k)).sqrt() / (1.0 - libm::pow(self.beta1, k))
        } else {
            1.0
        };
        base * distance * correction
    }
}

impl Rule for Prodigy {
    fn start(&self, base: f64) -> Memory {
        let state = State { distance: self.d0, greatest: self.d0, sum: 0.0, updates: 0 };
        Memory::new(self.lr(base, self.d0, 0), RuleState::Prodigy(state))
    }

    fn needs(&self) -> Needs {
        Needs { gradient: true, parameters: true, ..Needs::default() }
    }

    fn kept_vectors(&self) -> &'static [Kept] {
        &[Kept::Start, Kept::Sum]
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        at: &Position,
        _before: &BeforeUpdate,
        vectors: &mut RuleVectors<'_>,
    ) {
        let Memory { lr: next_lr, state: RuleState::Prodigy(state) } = memory else { return };
        let first = state.updates == 0;
        let (d, lr) = (state.distance, self.lr(at.base, state.distance, state.updates));
        *next_lr = lr;
        let scale = d / self.d0;
        let way = if first {
            vectors.keep(Kept::Start, Vector::Parameters);
            0.0
        } else {
            vectors.dot(Vector::Gradient, Vector::ToStart)
        };
        let step = if self.safeguard { d } else { lr };
        vectors.accumulate(Kept::Sum, if first { 0.0 } else { self.beta3 }, scale * step);
        let magnitude = vectors.magnitude(Vector::Kept(Kept::Sum));
        // As in prodigyopt, a step without any gradient changes nothing and is not counted.
        if magnitude.is_nan() || magnitude <= 0.0 {
            return;
        }
        state.updates += 1;
        state.sum = self.beta3 * state.sum + scale * lr * way;
        let found = self.d_coef * state.sum / magnitude;
        if found.is_finite() {
            if d == self.d0 {
                state.distance = d.max(found);
            }
            state.greatest = state.greatest.max(found);
            state.distance = state.greatest.min(state.distance * self.growth);
        }
    }
}
