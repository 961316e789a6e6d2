//! Limits an lr to a range.

use super::{Combinator, Form, Group};
use crate::catalogue::{Ends, Param, ParamType, optional};
use crate::fields::Fields;
use crate::formula::{Term, TermPosition};
use crate::lr_value::LrValue;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "clamp",
    aliases: &["clip", "floor", "min_lr"],
    summary: "limits a schedule to a minimum and a maximum lr",
    formula: "lr = min(max(of, min), max)",
    symbols: &[("of", "the lr of the schedule inside")],
    ends: Ends {
        before: "same as the schedule inside, within the bounds",
        at: "same as the schedule inside, within the bounds",
        after: "same as the schedule inside, within the bounds",
    },
    source: "optax exponential_decay `end_value`; Megatron `min_lr`",
    example: "{clamp: {min: 0.01x}, of: {kind: exponential, gamma: 0.9, every: \"1%\"}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[Group {
        key: "clamp",
        doc: "the bounds: `min`, `max` or both",
        params: BOUNDS,
        shaped: false,
        least: 1,
    }],
    params: &[],
    read: |reader| {
        let of = reader.node("of");
        let field = reader.fields.required("clamp", reader.problems)?;
        let fields = Fields::new(field.tree, &field.path, reader.problems)?;
        let mut bounds = Reader::new(fields, BOUNDS, reader.problems, reader.reading);
        let (min, max, like) = (bounds.maybe_lr("min"), bounds.maybe_lr("max"), bounds.maybe_choice("like"));
        let floor = Problem::new(bounds.place_of("min"), bounds.fields.path_of("min"), "");
        bounds.finish();
        let (min, max) = (min?, max?);
        if min.is_none() && max.is_none() {
            reader.problem("clamp", "expected `min`, `max` or both");
            return None;
        }
        let order = field.problem("");
        Some(Box::new(Clamp { min, max, of: of?, below_base: like?.is_some(), order, floor }))
    },
};

/// The keys of `clamp`.
const BOUNDS: &[Param] = &[
    optional("min", ParamType::Lr, "lower bound"),
    optional("max", ParamType::Lr, "upper bound"),
    optional(
        "like",
        ParamType::Choice(&["lr_end"]),
        "`lr_end`: `min` must be below the base lr, as transformers requires of its `lr_end`",
    ),
];

#[derive(Debug)]
struct Clamp {
    min: Option<LrValue>,
    max: Option<LrValue>,
    of: ScheduleNode,
    /// Whether `min` must be below the base lr.
    below_base: bool,
    /// The problem if `min` is above `max`. The message is added when the run's base lr is known.
    order: Problem,
    /// The problem if `min` is not below the base lr.
    floor: Problem,
}

impl Branch for Clamp {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        let lr = self.of.lr(at, memories);
        let lr = self.min.map_or(lr, |min| lr.max(min.of(at.base)));
        self.max.map_or(lr, |max| lr.min(max.of(at.base)))
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        let lr = self.of.formula(at)?;
        let lr = match self.min {
            Some(min) => lr.at_least(min.formula(&at.base)),
            None => lr,
        };
        Some(match self.max {
            Some(max) => lr.at_most(max.formula(&at.base)),
            None => lr,
        })
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, *at);
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        if let Some(min) = self.min.filter(|min| self.below_base && min.of(at.base) >= at.base) {
            let message = format!("`lr_end` ({}) must be below the base lr ({})", min.of(at.base), at.base);
            problems.push(Problem { message, ..self.floor.clone() });
            return;
        }
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min.of(at.base) > max.of(at.base)
        {
            let message = format!("`min` ({}) is above `max` ({})", min.of(at.base), max.of(at.base));
            problems.push(Problem { message, ..self.order.clone() });
        }
    }
}
