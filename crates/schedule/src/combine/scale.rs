//! A schedule times a number.

use super::{Combinator, Form};
use crate::catalogue::{AT_LEAST_0, Ends, Holds, required};
use crate::formula::{Position, Term};
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::segment::At;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "scale",
    aliases: &["multiply", "times"],
    summary: "a schedule times a number",
    formula: "lr = scale * of",
    symbols: &[("of", "the lr of the schedule inside")],
    ends: Ends {
        before: "as the schedule inside",
        at: "as the schedule inside",
        after: "as the schedule inside",
    },
    source: "arithmetic",
    example: "{scale: 0.5, of: {kind: cosine, to: 0}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[],
    params: &[required("scale", Holds::Number(AT_LEAST_0), "the factor")],
    read: |reader| {
        let (factor, of) = (reader.number("scale"), reader.node("of"));
        Some(Box::new(Scale { factor: factor?, of: of? }))
    },
};

#[derive(Debug)]
struct Scale {
    factor: f64,
    of: Part,
}

impl Branch for Scale {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
        self.factor * self.of.lr(at, memories)
    }

    fn formula(&self, at: &Position) -> Option<Term> {
        Some(Term::from(self.factor) * self.of.formula(at)?)
    }

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, *at);
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, *at);
    }

    fn check(&self, _at: &At, _problems: &mut Vec<Problem>) {}
}
