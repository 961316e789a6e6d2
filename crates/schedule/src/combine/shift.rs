//! Evaluates a schedule at a later step.

use super::{Combinator, Form};
use crate::catalogue::{Ends, ParamType, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::length::Length;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "shift",
    aliases: &["offset", "delay", "last_epoch"],
    summary: "evaluates a schedule `shift` ticks ahead",
    formula: "lr(s) = of(s + shift)",
    symbols: &[("of", "the schedule inside")],
    ends: Ends {
        before: "starts with the lr of the schedule inside at step `shift`",
        at: "reaches the end of the schedule inside `shift` steps earlier",
        after: "same as the schedule inside, `shift` steps later",
    },
    source: "the `last_epoch` and `count` of a resumed run",
    example: "{shift: 1, of: {kind: linear, to: 0}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[],
    params: &[required("shift", ParamType::Length(0), "number of ticks ahead")],
    read: |reader| {
        let (by, of) = (reader.length("shift"), reader.node("of"));
        Some(Box::new(Shift { by: by?, of: of? }))
    },
};

#[derive(Debug)]
struct Shift {
    by: Length,
    of: ScheduleNode,
}

impl Shift {
    fn ahead(&self, at: &Position) -> Position {
        at.subsegment(-self.by.ticks(at), at.len)
    }
}

impl Branch for Shift {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        self.of.lr(&self.ahead(at), memories)
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        let ahead = at.subsegment(Term::from(0.0) - self.by.formula(at), at.len.clone());
        self.of.formula(&ahead)
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, self.ahead(at));
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn covered_children<'a>(&'a self, covered: &Coverage, visit: &mut dyn FnMut(&'a ScheduleNode, Coverage)) {
        visit(&self.of, covered.ahead(self.by.ticks(&covered.start)));
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.by.check(at, 0.0, problems);
    }
}
