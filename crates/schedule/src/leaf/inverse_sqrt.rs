//! 1/sqrt(t) decay.

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, ParamType, required};
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "inverse_sqrt",
    aliases: &["rsqrt", "inverse_square_root", "inv_sqrt"],
    summary: "1/sqrt(t) decay; never reaches 0",
    formula: "lr = base / sqrt(1 + s / timescale)",
    symbols: &[],
    ends: Ends {
        before: "`base` at s = 0",
        at: "no target; add a `cooldown` to end at 0",
        after: "continues to fall and never reaches 0",
    },
    source: "transformers inverse_sqrt, fairseq, big_vision rsqrt, Megatron",
    example: "{warmup: {over: \"10%\", from: 0.01x}, body: {kind: inverse_sqrt, timescale: \"10%\"}}",
    params: &[required(
        "timescale",
        ParamType::Length(1),
        "the lr is halved after 3 timescales; often the length of the warmup",
    )],
    build: Build::Leaf(|reader| Some(Box::new(InverseSqrt { timescale: reader.length("timescale")? }))),
};

#[derive(Debug)]
struct InverseSqrt {
    timescale: Length,
}

impl Leaf for InverseSqrt {
    fn lr(&self, at: &Position) -> f64 {
        at.base / (1.0 + at.s / self.timescale.ticks(at)).sqrt()
    }

    fn formula(&self, at: &TermPosition) -> Term {
        at.base.clone() / (Term::from(1.0) + at.s.clone() / self.timescale.formula(at)).sqrt()
    }

    fn known(&self, at: &Position) -> Known {
        Known::InverseSqrt { lr: at.base, timescale: self.timescale.ticks(at) }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.timescale.check(at, 1.0, problems);
    }
}
