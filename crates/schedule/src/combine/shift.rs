//! A schedule ahead of its time.

use super::{Combinator, Form};
use crate::catalogue::{Ends, Holds, required};
use crate::formula::{Position, Term};
use crate::length::Length;
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::segment::At;
use crate::window::Window;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "shift",
    aliases: &["offset", "delay", "last_epoch"],
    summary: "a schedule evaluated so many ticks ahead",
    formula: "lr(s) = of(s + shift)",
    symbols: &[("of", "the schedule inside")],
    ends: Ends {
        before: "starts where the schedule inside stands at step `shift`",
        at: "reaches the end of the schedule inside so many steps earlier",
        after: "as the schedule inside, so many steps later",
    },
    source: "the `last_epoch` and `count` of a resumed run",
    example: "{shift: 1, of: {kind: linear, to: 0}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[],
    params: &[required("shift", Holds::Length(0), "how far ahead")],
    read: |reader| {
        let (by, of) = (reader.length("shift"), reader.node("of"));
        Some(Box::new(Shift { by: by?, of: of? }))
    },
};

#[derive(Debug)]
struct Shift {
    by: Length,
    of: Part,
}

impl Shift {
    fn ahead(&self, at: &At) -> At {
        at.part(-self.by.ticks(at), at.len)
    }
}

impl Branch for Shift {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
        self.of.lr(&self.ahead(at), memories)
    }

    fn formula(&self, at: &Position) -> Option<Term> {
        let ahead = at.part(Term::from(0.0) - self.by.formula(at), at.len.clone());
        self.of.formula(&ahead)
    }

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, self.ahead(at));
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, *at);
    }

    fn seen<'a>(&'a self, seen: &Window, see: &mut dyn FnMut(&'a Part, Window)) {
        see(&self.of, seen.ahead(self.by.ticks(&seen.at)));
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        self.by.check(at, 0.0, problems);
    }
}
