//! DoG: distance over gradients.

use serde::{Deserialize, Serialize};

use super::{Memory, Rule, RuleState};
use crate::catalogue::{ABOVE_0, AT_LEAST_0, Build, Ends, Entry, ParamType, param};
use crate::segment::Position;
use crate::vectors::{Kept, RuleVectors, Vector};
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "dog",
    aliases: &["DoG", "distance_over_gradients"],
    summary: "distance from the start / root of summed |gradient|^2",
    formula: "lr(t) = base r_t / sqrt(sum over i <= t of |g_i|^2 + eps); r_t = max over k <= t of |x_k - x_0|, and at \
              least r_eps (`init: distance`) or r_eps (1 + |x_0|) (`heuristic`). The base lr is a factor: 1 gives the \
              paper's rule",
    symbols: &[
        ("i", "a step up to t"),
        ("g_i", "gradient of the batch at step i, before clipping"),
        ("r_t", "the largest distance from the start so far"),
        ("k", "a step up to t"),
        ("x_k", "all parameters before update k"),
        ("x_0", "the parameters at the start of the rule"),
    ],
    ends: Ends {
        before: "base r_0 / sqrt(|g_0|^2 + eps) at t = 0",
        at: "no target; depends on the gradients",
        after: "continues as long as it receives gradients",
    },
    source: "Ivgi et al., arXiv 2302.12022; optax.contrib dog",
    example: "{kind: dog}",
    params: &[
        param(
            "init",
            ParamType::Choice(&["heuristic", "distance"]),
            "heuristic",
            "initial r: `heuristic`: r_eps (1 + |x_0|); `distance`: `r_eps`",
        ),
        param("r_eps", ParamType::Number(ABOVE_0), "1e-6", "scale of the first steps"),
        param("eps", ParamType::Number(AT_LEAST_0), "1e-8", "added to the sum of squares"),
    ],
    build: Build::Rule(|reader| {
        let distance = reader.choice("init").map(|init| init == "distance");
        let (r_eps, eps) = (reader.number("r_eps"), reader.number("eps"));
        Some(Box::new(Dog { distance: distance?, r_eps: r_eps?, eps: eps? }))
    }),
};

#[derive(Debug)]
struct Dog {
    /// Whether the initial r is `r_eps`.
    distance: bool,
    r_eps: f64,
    eps: f64,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// r, the largest distance from the start so far; `None` before the first gradient.
    #[serde(with = "crate::exact::option")]
    reach: Option<f64>,
    /// The sum of all squared gradient norms so far.
    #[serde(with = "crate::exact")]
    sum: f64,
}

impl Rule for Dog {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::Dog(State { reach: None, sum: 0.0 }))
    }

    fn needs(&self) -> Needs {
        Needs { gradient: true, parameters: true, ..Needs::default() }
    }

    fn kept_vectors(&self) -> &'static [Kept] {
        &[Kept::Start]
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        at: &Position,
        before: &BeforeUpdate,
        vectors: &mut RuleVectors<'_>,
    ) {
        let Memory { lr, state: RuleState::Dog(state) } = memory else { return };
        let reach = match state.reach {
            Some(reach) => reach.max(vectors.dot(Vector::ToStart, Vector::ToStart).sqrt()),
            None => {
                vectors.keep(Kept::Start, Vector::Parameters);
                let norm = vectors.dot(Vector::Parameters, Vector::Parameters).sqrt();
                if self.distance { self.r_eps } else { self.r_eps * (1.0 + norm) }
            }
        };
        state.reach = Some(reach);
        state.sum += before.grad_norm_squared;
        let norm = (state.sum + self.eps).sqrt();
        *lr = if norm > 0.0 { at.base * reach / norm } else { 0.0 };
    }
}
