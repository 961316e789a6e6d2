//! Hypergradient descent: the lr rises while consecutive gradients point in similar directions.

use serde::{Deserialize, Serialize};

use super::{Memory, Rule, RuleState};
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, ParamType, required};
use crate::segment::Position;
use crate::vectors::{Kept, RuleVectors, Vector};
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "hypergradient",
    aliases: &["hypergradient_descent", "SGDHD", "sgd_hd", "HD"],
    summary: "raises the lr while gradients agree, else lowers it",
    formula: "lr(0) = base; lr(t) = max(0, lr(t-1) + beta <g_t, g_p>), applied before update t, p = t - 1",
    symbols: &[
        ("g_t", "gradient of the batch at step t, before clipping"),
        ("g_p", "gradient of the step before"),
        ("p", "the step before"),
        ("<g_t, g_p>", "the inner product over all parameters"),
    ],
    ends: Ends {
        before: "base at t = 0",
        at: "no target; depends on the gradients",
        after: "continues as long as it receives gradients",
    },
    source: "Baydin et al., arXiv 1703.04782 (SGD-HD, in the order of the authors' code, in which the lr can be negative)",
    example: "{kind: hypergradient, beta: 0.02}",
    params: &[required("beta", ParamType::Number(ABOVE_0), "lr of the lr")],
    build: Build::Rule(|reader| Some(Box::new(Hypergradient { beta: reader.number("beta")? }))),
};

#[derive(Debug)]
struct Hypergradient {
    beta: f64,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Whether [`Kept::Previous`] holds a gradient.
    begun: bool,
}

impl Rule for Hypergradient {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::Hypergradient(State { begun: false }))
    }

    fn needs(&self) -> Needs {
        Needs { gradient: true, ..Needs::default() }
    }

    fn kept_vectors(&self) -> &'static [Kept] {
        &[Kept::Previous]
    }

    fn gradient(
        &self,
        memory: &mut Memory,
        _at: &Position,
        _before: &BeforeUpdate,
        vectors: &mut RuleVectors<'_>,
    ) {
        let Memory { lr, state: RuleState::Hypergradient(state) } = memory else { return };
        if state.begun {
            let agreement = vectors.dot(Vector::Gradient, Vector::Kept(Kept::Previous));
            *lr = (*lr + self.beta * agreement).max(0.0);
        }
        vectors.keep(Kept::Previous, Vector::Gradient);
        state.begun = true;
    }
}
