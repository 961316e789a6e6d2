//! D-Adaptation: estimates the distance to the solution and scales the lr by it.

use serde::{Deserialize, Serialize};

use super::{Memory, Rule, RuleState};
use crate::catalogue::{ABOVE_0, ABOVE_1, Build, Ends, Entry, ParamType, optional, param};
use crate::segment::Position;
use crate::vectors::{Kept, RuleVectors, Vector};
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "d_adaptation",
    aliases: &["DAdaptation", "DAdaptSGD"],
    summary: "scales the lr by the estimated distance to the solution",
    formula: "lr(t) = base d_t / |g_0|; n and s start at 0 and d at d0; after update t n += lr(t) <g_t, s>, s += lr(t) \
              g_t and d = max(d, min(2 n / |s|, growth_rate d)). The base lr is a factor: 1 gives the paper's rule",
    symbols: &[
        ("d_t", "the estimated distance before update t"),
        ("d", "the estimated distance"),
        ("g_t", "gradient of the batch at step t, before clipping"),
        ("g_0", "the first gradient that is not 0; before it the lr is 0"),
        ("n", "a sum of inner products; <a, b> is the inner product over all parameters"),
        ("s", "the sum of the steps taken"),
        ("b", "any vector, like a"),
    ],
    ends: Ends {
        before: "base d0 / |g_0| at t = 0",
        at: "no target; the estimate never falls",
        after: "continues as long as it receives gradients",
    },
    source: "Defazio and Mishchenko, arXiv 2301.07733; dadaptation DAdaptSGD",
    example: "{kind: d_adaptation}",
    params: &[
        param("d0", ParamType::Number(ABOVE_0), "1e-6", "initial estimate of the distance"),
        optional(
            "growth_rate",
            ParamType::Number(ABOVE_1),
            "upper bound of d_(t+1) / d_t; unbounded by default",
        ),
    ],
    build: Build::Rule(|reader| {
        let (d0, growth) = (reader.number("d0"), reader.maybe_number("growth_rate"));
        Some(Box::new(DAdaptation { d0: d0?, growth: growth?.unwrap_or(f64::INFINITY) }))
    }),
};

#[derive(Debug)]
struct DAdaptation {
    d0: f64,
    growth: f64,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// d, the estimated distance to the solution.
    #[serde(with = "crate::exact")]
    distance: f64,
    /// |g_0|, the norm of the first gradient.
    #[serde(with = "crate::exact")]
    first_norm: f64,
    /// n, a sum of inner products.
    #[serde(with = "crate::exact")]
    sum: f64,
    /// Whether a gradient other than 0 was seen.
    begun: bool,
}

impl Rule for DAdaptation {
    fn start(&self, _base: f64) -> Memory {
        // The lr is unknown before the first gradient.
        let state = State { distance: self.d0, first_norm: 0.0, sum: 0.0, begun: false };
        Memory::new(0.0, RuleState::DAdaptation(state))
    }

    fn needs(&self) -> Needs {
        Needs { gradient: true, ..Needs::default() }
    }

    fn kept_vectors(&self) -> &'static [Kept] {
        &[Kept::Sum]
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        at: &Position,
        before: &BeforeUpdate,
        vectors: &mut RuleVectors<'_>,
    ) {
        let Memory { lr: next_lr, state: RuleState::DAdaptation(state) } = memory else { return };
        let first = !state.begun;
        if first {
            state.first_norm = before.grad_norm_squared.sqrt();
        }
        // The inputs of d_(t+1) are known before update t, whose lr follows from d_t.
        let lr = at.base * state.distance / state.first_norm;
        if !lr.is_finite() {
            *next_lr = 0.0;
            return;
        }
        *next_lr = lr;
        state.begun = true;
        if !first {
            state.sum += lr * vectors.dot(Vector::Gradient, Vector::Kept(Kept::Sum));
        }
        vectors.accumulate(Kept::Sum, if first { 0.0 } else { 1.0 }, lr);
        let norm = vectors.dot(Vector::Kept(Kept::Sum), Vector::Kept(Kept::Sum)).sqrt();
        if norm > 0.0 {
            let found = (2.0 * state.sum / norm).min(state.distance * self.growth);
            state.distance = state.distance.max(found);
        }
    }
}
