//! One schedule after another.

use super::{Combinator, Form};
use crate::catalogue::Ends;
use crate::coverage::Coverage;
use crate::fields::{Field, Fields};
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::leaf::constant::Constant;
use crate::length::{Length, length};
use crate::lint::{self, HORIZON_MISMATCH, warning};
use crate::lr_value::lr_value;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::Position;
use crate::tree::Value;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "phases",
    aliases: &["SequentialLR", "join_schedules", "sequence", "sequential"],
    summary: "runs schedules in sequence, each with its own length",
    formula: "lr = phase(s - a) for the last phase with a <= s; its length `for` is its S",
    symbols: &[
        ("a", "start of the phase: the sum of the lengths before it"),
        ("phase", "the active schedule"),
    ],
    ends: Ends {
        before: "each phase begins at its own step 0",
        at: "same as the active phase; in its last step a ramp is one step short of its end",
        after: "the last phase continues",
    },
    source: "torch SequentialLR, optax join_schedules",
    example: "{phases: [{for: \"10%\", kind: linear, from: 0.01x, to: 1x}, {kind: cosine, to: 0}]}",
    nodes: &["phases"],
    form: Form::Phases,
    groups: &[],
    params: &[],
    read: |reader| {
        let field = reader.fields.required("phases", reader.problems)?;
        let Value::List(items) = &field.tree.value else {
            reader.problems.push(field.expected("a list of schedules, each with a length `for`"));
            return None;
        };
        if items.is_empty() {
            reader.problems.push(field.problem("expected at least one phase, found an empty list"));
            return None;
        }
        let phases: Vec<Option<Phase>> = items
            .iter()
            .enumerate()
            .map(|(i, tree)| {
                let field = Field { tree, path: format!("{}[{i}]", field.path) };
                Phase::read(&field, i + 1 == items.len(), reader)
            })
            .collect();
        Some(Box::new(Phases { phases: phases.into_iter().collect::<Option<_>>()? }))
    },
};

#[derive(Debug)]
struct Phases {
    phases: Vec<Phase>,
}

#[derive(Debug)]
struct Phase {
    length: Option<Length>,
    node: ScheduleNode,
}

impl Phase {
    fn read(field: &Field<'_>, last: bool, reader: &mut Reader<'_, '_>) -> Option<Self> {
        if !matches!(field.tree.value, Value::Map(_)) {
            reader.problems.push(field.expected("a phase, as in {for: 10%, value: 1x}"));
            return None;
        }
        let mut fields = Fields::new(field.tree, &field.path, reader.problems)?;
        let read = |field: &Field<'_>| length(field).map(Some);
        let length = if last {
            fields.read_or("for", None, reader.problems, read)
        } else {
            fields.read("for", reader.problems, read)
        };
        let node = if fields.has("value") && !fields.has("kind") {
            let value = fields.read("value", reader.problems, lr_value);
            let allow = fields.read_or("allow", Vec::new(), reader.problems, lint::allow_list);
            fields.finish(reader.problems);
            value.filter(|_| allow.is_some()).map(|value| ScheduleNode::leaf(Box::new(Constant { value })))
        } else {
            ScheduleNode::read_fields(fields, reader.problems, reader.reading)
        };
        Some(Self { length: length?, node: node? })
    }
}

impl Phases {
    /// Whether the phases before the last one cover the whole run.
    fn has_no_room(&self, covered: &Coverage) -> bool {
        self.spans(&covered.start).last().is_some_and(|(_, start, _)| start >= covered.end)
    }

    /// Each phase with its start and end. The last phase ends with the segment.
    fn spans(&self, at: &Position) -> impl Iterator<Item = (&Phase, f64, f64)> + use<'_> {
        let len = at.len;
        let at = *at;
        let mut start = 0.0;
        self.phases.iter().map(move |phase| {
            let end = phase.length.as_ref().map_or(len.max(start), |length| start + length.ticks(&at));
            let span = (phase, start, end);
            start = end;
            span
        })
    }

    /// The active phase and the position in it.
    fn active_phase(&self, at: &Position) -> Option<(&ScheduleNode, Position)> {
        let last = self.phases.len() - 1;
        self.spans(at)
            .enumerate()
            .find(|(i, (_, _, end))| at.s < *end || *i == last)
            .map(|(_, (phase, start, end))| (&phase.node, at.subsegment(start, end - start)))
    }
}

impl Branch for Phases {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        self.active_phase(at).map_or(0.0, |(node, at)| node.lr(&at, memories))
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        let mut start = Term::from(0.0);
        let mut spans = Vec::new();
        for phase in &self.phases {
            let end = match &phase.length {
                Some(length) => start.clone() + length.formula(at),
                None => at.len.clone().at_least(start.clone()),
            };
            spans.push((&phase.node, start, end.clone()));
            start = end;
        }
        let mut spans = spans.into_iter().rev();
        let (last, start, end) = spans.next()?;
        let after = at.between(&start, &f64::INFINITY.into());
        let after = last.formula(&after.subsegment(start.clone(), end - start))?;
        spans.try_fold(after, |after, (node, start, end)| {
            // A phase without length is skipped.
            if start.ends().1 >= end.ends().1 && start.number().is_some() {
                return Some(after);
            }
            let here = at.between(&start, &end);
            let value = node.formula(&here.subsegment(start.clone(), end.clone() - start))?;
            Some(Term::choose(at.s.clone().less(end), value, after))
        })
    }

    fn known(&self, at: &Position) -> Known {
        let spans = self.spans(at);
        Known::Phases(
            spans
                .filter(|(_, start, end)| end > start)
                .map(|(phase, start, end)| (end, phase.node.known(&Position { len: end - start, ..*at })))
                .collect(),
        )
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        if let Some((node, at)) = self.active_phase(at) {
            visit(node, at);
        }
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        for (phase, start, end) in self.spans(at) {
            visit(&phase.node, Position { len: end - start, ..*at });
        }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        for phase in &self.phases {
            if let Some(length) = &phase.length {
                length.check(at, 0.0, problems);
            }
        }
    }

    fn covered_children<'a>(&'a self, covered: &Coverage, visit: &mut dyn FnMut(&'a ScheduleNode, Coverage)) {
        for (phase, start, end) in self.spans(&covered.start) {
            if let Some(covered) = covered.subsegment(start, end - start) {
                visit(&phase.node, covered);
            }
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let mut over = 0.0;
        for length in self.phases.iter().filter_map(|phase| phase.length.as_ref()) {
            length.warn_if_lost(&covered.start, warnings);
        }
        for (phase, start, end) in self.spans(&covered.start) {
            // A percentage may have been rounded up.
            let slack = phase.length.as_ref().map_or(0.0, |length| f64::from(u8::from(length.is_percent())));
            let late = start >= covered.end && end > start + slack;
            if let Some(length) = &phase.length
                && (late || end > covered.end + slack)
            {
                let message = if late {
                    format!("this phase never starts: the phases before it take {start} of {}", covered.end)
                } else {
                    format!("this phase runs from {start} to {end}, but the run ends at {}", covered.end)
                };
                let hint = if late {
                    "remove it, or shorten the phases before it".to_owned()
                } else {
                    format!("write `for: {}`", covered.written(covered.end - start))
                };
                warnings.push(length.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
            }
            over = end;
        }
        let Some(last) = self.phases.last() else { return };
        match &last.length {
            // It ends with the run, unless the phases before it have left no room.
            None if over > covered.start.len || self.has_no_room(covered) => {
                let message = format!("the last phase never starts: the others take all {}", covered.end);
                warnings.push(warning(HORIZON_MISMATCH, message).with_hint("shorten the phases before it"));
            }
            Some(length) if covered.outlasts(over) && !last.node.is_constant() => {
                let message = format!("the phases end after {over} of {}", covered.end);
                let problem = length.problem(message).with_lint(HORIZON_MISMATCH);
                warnings.push(problem.with_hint("remove `for` of the last phase: it then takes the rest"));
            }
            _ => {}
        }
    }

    fn keeps_constant(&self) -> bool {
        self.phases.len() == 1
    }
}
