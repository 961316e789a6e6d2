//! Multiplies a schedule by a number.

use super::{Combinator, Form};
use crate::catalogue::{AT_LEAST_0, Ends, ParamType, required};
use crate::formula::{Term, TermPosition};
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "scale",
    aliases: &["multiply", "times"],
    summary: "multiplies a schedule by a number",
    formula: "lr = scale * of",
    symbols: &[("of", "the lr of the schedule inside")],
    ends: Ends {
        before: "same as the schedule inside",
        at: "same as the schedule inside",
        after: "same as the schedule inside",
    },
    source: "arithmetic",
    example: "{scale: 0.5, of: {kind: cosine, to: 0}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[],
    params: &[required("scale", ParamType::Number(AT_LEAST_0), "the factor")],
    read: |reader| {
        let (factor, of) = (reader.number("scale"), reader.node("of"));
        Some(Box::new(Scale { factor: factor?, of: of? }))
    },
};

#[derive(Debug)]
struct Scale {
    factor: f64,
    of: ScheduleNode,
}

impl Branch for Scale {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        self.factor * self.of.lr(at, memories)
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        Some(Term::from(self.factor) * self.of.formula(at)?)
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn check(&self, _at: &Position, _problems: &mut Vec<Problem>) {}
}
