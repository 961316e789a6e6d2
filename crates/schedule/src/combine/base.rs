//! A schedule with its own base lr.

use super::{Combinator, Form};
use crate::catalogue::{Ends, ParamType, required};
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::lr_value::LrValue;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "base",
    aliases: &["init_value", "initial_learning_rate"],
    summary: "sets another base lr (`1x`) for the schedule inside",
    formula: "lr = of, where `1x` inside means base",
    symbols: &[("of", "the lr of the schedule inside")],
    ends: Ends {
        before: "same as the schedule inside",
        at: "same as the schedule inside",
        after: "same as the schedule inside",
    },
    source: "the `init_value` of optax, the `initial_learning_rate` of keras",
    example: "{base: 2x, of: {kind: exponential, gamma: 0.9, every: \"5%\"}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[],
    params: &[required("base", ParamType::PositiveLr, "what `1x` means inside")],
    read: |reader| {
        let (base, of) = (reader.lr("base"), reader.node("of"));
        Some(Box::new(Base { base: base?, of: of? }))
    },
};

#[derive(Debug)]
struct Base {
    base: LrValue,
    of: ScheduleNode,
}

impl Base {
    fn inside(&self, at: &Position) -> Position {
        Position { base: self.base.of(at.base).min(f64::MAX), ..*at }
    }
}

impl Branch for Base {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        self.of.lr(&self.inside(at), memories)
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        self.of.formula(&TermPosition { base: self.base.formula(&at.base), ..at.clone() })
    }

    fn known(&self, at: &Position) -> Known {
        self.of.known(&self.inside(at))
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, self.inside(at));
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, self.inside(at));
    }

    fn check(&self, _at: &Position, _problems: &mut Vec<Problem>) {}
}
