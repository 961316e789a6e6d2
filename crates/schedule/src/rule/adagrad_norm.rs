//! AdaGrad-Norm: base lr / root of the sum of squared gradient norms.

use serde::{Deserialize, Serialize};

use super::{Memory, Rule, RuleState};
use crate::catalogue::{ABOVE_0, AT_LEAST_0, Build, Ends, Entry, ParamType, param};
use crate::segment::Position;
use crate::vectors::RuleVectors;
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "adagrad_norm",
    aliases: &["AdaGradNorm", "adagrad", "wngrad"],
    summary: "base lr / root of the sum of squared gradient norms",
    formula: "lr(t) = base / (sqrt(b0 + sum over i <= t of |g_i|^2) + eps), the gradient before clipping",
    symbols: &[("i", "a step up to t"), ("g_i", "gradient of the batch at step i")],
    ends: Ends {
        before: "base / (sqrt(b0 + |g_0|^2) + eps) at t = 0, which includes the first gradient",
        at: "no target; depends on the gradients",
        after: "continues to fall as long as it receives gradients",
    },
    source: "Ward et al., arXiv 1806.01811; torch Adagrad of one parameter",
    example: "{kind: adagrad_norm}",
    params: &[
        param("b0", ParamType::Number(AT_LEAST_0), "0", "initial value of the sum"),
        param("eps", ParamType::Number(ABOVE_0), "1e-10", "added to the root"),
    ],
    build: Build::Rule(|reader| {
        let (b0, eps) = (reader.number("b0"), reader.number("eps"));
        Some(Box::new(AdagradNorm { b0: b0?, eps: eps? }))
    }),
};

#[derive(Debug)]
struct AdagradNorm {
    b0: f64,
    eps: f64,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// `b0` plus all squared gradient norms so far.
    #[serde(with = "crate::exact")]
    sum: f64,
}

impl Rule for AdagradNorm {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::AdagradNorm(State { sum: self.b0 }))
    }

    fn needs(&self) -> Needs {
        Needs { gradient: true, ..Needs::default() }
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        at: &Position,
        before: &BeforeUpdate,
        _vectors: &mut RuleVectors<'_>,
    ) {
        let Memory { lr, state: RuleState::AdagradNorm(state) } = memory else { return };
        state.sum += before.grad_norm_squared;
        *lr = at.base / (state.sum.sqrt() + self.eps);
    }
}
