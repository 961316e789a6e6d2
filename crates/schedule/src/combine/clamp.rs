//! A schedule between a floor and a ceiling.

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
    summary: "a schedule between a floor and a ceiling",
    formula: "lr = min(max(of, min), max)",
    symbols: &[("of", "the lr of the schedule inside")],
    ends: Ends {
        before: "as the schedule inside, within the bounds",
        at: "as the schedule inside, within the bounds",
        after: "as the schedule inside, within the bounds",
    },
    source: "optax exponential_decay `end_value`; Megatron `min_lr`",
    example: "{clamp: {min: 0.01x}, of: {kind: exponential, gamma: 0.9, every: \"1%\"}}",
    nodes: &["of"],
    form: Form::One,
    groups: &[Group {
        key: "clamp",
        doc: "the bounds, one or both",
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
    optional("min", ParamType::Lr, "floor"),
    optional("max", ParamType::Lr, "ceiling"),
    optional(
        "like",
        ParamType::Choice(&["lr_end"]),
        "`lr_end`: the floor is that of transformers, which must be below the base lr",
    ),
];

#[derive(Debug)]
struct Clamp {
    min: Option<LrValue>,
    max: Option<LrValue>,
    of: ScheduleNode,
    /// Whether the floor must be below the base lr.
    below_base: bool,
    /// What is said if the bounds are the wrong way round, but for the numbers, which the run decides.
    order: Problem,
    /// The same if the floor is not below the base lr.
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
            let message = format!("the floor {} is above the ceiling {}", min.of(at.base), max.of(at.base));
            problems.push(Problem { message, ..self.order.clone() });
        }
    }
}
