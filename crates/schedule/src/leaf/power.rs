//! The power scheduler: a power of the number of tokens, capped.

use super::Leaf;
use crate::catalogue::{ABOVE_0, BELOW_0, Build, Ends, Entry, ParamType, param};
use crate::formula::{Term, TermPosition};
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "power",
    aliases: &["PowerScheduler", "power_lr"],
    summary: "a power of the tokens so far, capped by the base lr",
    formula: "lr = min(base, batch * a * ((s + 1) * tokens_per_step)^b)",
    symbols: &[],
    ends: Ends {
        before: "the base lr until the power falls below it",
        at: "no target; the paper adds a `cooldown`",
        after: "continues to fall and never reaches 0",
    },
    source: "Shen et al., arXiv 2408.13359 (a and b from a public implementation)",
    example: "{kind: power, a: 4, b: -0.51, batch: 1, tokens_per_step: 1024}",
    params: &[
        param("a", ParamType::Number(ABOVE_0), "4", "amplitude"),
        param("b", ParamType::Number(BELOW_0), "-0.51", "exponent"),
        param("batch", ParamType::Number(ABOVE_0), "1", "batch size"),
        param("tokens_per_step", ParamType::Number(ABOVE_0), "1", "tokens per step"),
    ],
    build: Build::Leaf(|reader| {
        let (a, b, batch, tokens) = (
            reader.number("a"),
            reader.number("b"),
            reader.number("batch"),
            reader.number("tokens_per_step"),
        );
        Some(Box::new(Power { a: a?, b: b?, batch: batch?, tokens_per_step: tokens? }))
    }),
};

#[derive(Debug)]
struct Power {
    a: f64,
    b: f64,
    batch: f64,
    tokens_per_step: f64,
}

impl Leaf for Power {
    fn lr(&self, at: &Position) -> f64 {
        let tokens = (at.s + 1.0) * self.tokens_per_step;
        at.base.min(self.batch * self.a * libm::pow(tokens, self.b))
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let tokens = (at.s.clone() + 1.0) * self.tokens_per_step;
        at.base.clone().at_most(Term::from(self.batch * self.a) * tokens.power(self.b))
    }
}
