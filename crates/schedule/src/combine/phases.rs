//! One schedule after another.

use super::{Combinator, Form};
use crate::catalogue::Ends;
use crate::fields::{Field, Fields};
use crate::formula::{Position, Term};
use crate::known::Known;
use crate::leaf::constant::Constant;
use crate::length::{Length, length};
use crate::lint::{self, HORIZON_MISMATCH, warning};
use crate::lr_value::lr_value;
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::At;
use crate::tree::Value;
use crate::window::Window;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "phases",
    aliases: &["SequentialLR", "join_schedules", "sequence", "sequential"],
    summary: "one schedule after another, each with a length and a clock",
    formula: "lr = phase(s - a), the phase being the last one with a <= s; it sees its own length `for` as S",
    symbols: &[
        ("a", "begin of the phase: the lengths before it, summed up"),
        ("phase", "the schedule at work"),
    ],
    ends: Ends {
        before: "a phase begins at its own step 0",
        at: "as the phase at work there; in its last step a ramp is a notch short of its end",
        after: "the last phase goes on",
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
    part: Part,
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
        let part = if fields.has("value") && !fields.has("kind") {
            let value = fields.read("value", reader.problems, lr_value);
            let allow = fields.read_or("allow", Vec::new(), reader.problems, lint::names);
            fields.finish(reader.problems);
            value.filter(|_| allow.is_some()).map(|value| Part::leaf(Box::new(Constant { value })))
        } else {
            Part::read_fields(fields, reader.problems, reader.reading)
        };
        Some(Self { length: length?, part: part? })
    }
}

impl Phases {
    /// Whether nothing is left for the last phase.
    fn no_room(&self, seen: &Window) -> bool {
        self.spans(&seen.at).last().is_some_and(|(_, start, _)| start >= seen.end)
    }

    /// Each phase with its begin and its end; the last one's end is the segment's.
    fn spans(&self, at: &At) -> impl Iterator<Item = (&Phase, f64, f64)> + use<'_> {
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

    /// The phase at work and the position in it.
    fn now(&self, at: &At) -> Option<(&Part, At)> {
        let last = self.phases.len() - 1;
        self.spans(at)
            .enumerate()
            .find(|(i, (_, _, end))| at.s < *end || *i == last)
            .map(|(_, (phase, start, end))| (&phase.part, at.part(start, end - start)))
    }
}

impl Branch for Phases {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
        self.now(at).map_or(0.0, |(part, at)| part.lr(&at, memories))
    }

    fn formula(&self, at: &Position) -> Option<Term> {
        let mut start = Term::from(0.0);
        let mut spans = Vec::new();
        for phase in &self.phases {
            let end = match &phase.length {
                Some(length) => start.clone() + length.formula(at),
                None => at.len.clone().at_least(start.clone()),
            };
            spans.push((&phase.part, start, end.clone()));
            start = end;
        }
        let mut spans = spans.into_iter().rev();
        let (last, start, end) = spans.next()?;
        let after = at.between(&start, &f64::INFINITY.into());
        let after = last.formula(&after.part(start.clone(), end - start))?;
        spans.try_fold(after, |after, (part, start, end)| {
            // A phase without length is skipped.
            if start.ends().1 >= end.ends().1 && start.number().is_some() {
                return Some(after);
            }
            let here = at.between(&start, &end);
            let value = part.formula(&here.part(start.clone(), end.clone() - start))?;
            Some(Term::choose(at.s.clone().less(end), value, after))
        })
    }

    fn known(&self, at: &At) -> Known {
        let spans = self.spans(at);
        Known::Phases(
            spans
                .filter(|(_, start, end)| end > start)
                .map(|(phase, start, end)| (end, phase.part.known(&At { len: end - start, ..*at })))
                .collect(),
        )
    }

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        if let Some((part, at)) = self.now(at) {
            see(part, at);
        }
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        for (phase, start, end) in self.spans(at) {
            see(&phase.part, At { len: end - start, ..*at });
        }
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        for phase in &self.phases {
            if let Some(length) = &phase.length {
                length.check(at, 0.0, problems);
            }
        }
    }

    fn seen<'a>(&'a self, seen: &Window, see: &mut dyn FnMut(&'a Part, Window)) {
        for (phase, start, end) in self.spans(&seen.at) {
            if let Some(seen) = seen.part(start, end - start) {
                see(&phase.part, seen);
            }
        }
    }

    fn warn(&self, seen: &Window, warnings: &mut Vec<Problem>) {
        let mut over = 0.0;
        for length in self.phases.iter().filter_map(|phase| phase.length.as_ref()) {
            length.warn_if_lost(&seen.at, warnings);
        }
        for (phase, start, end) in self.spans(&seen.at) {
            // Shares may have been rounded up.
            let slack = phase.length.as_ref().map_or(0.0, |length| f64::from(u8::from(length.is_percent())));
            let late = start >= seen.end && end > start + slack;
            if let Some(length) = &phase.length
                && (late || end > seen.end + slack)
            {
                let message = if late {
                    format!("this phase never starts: the ones before it take {start} of {}", seen.end)
                } else {
                    format!("this phase runs from {start} to {end}, the run has {}", seen.end)
                };
                let hint = if late {
                    "leave it out, or shorten the ones before it".to_owned()
                } else {
                    format!("write `for: {}`", seen.written(seen.end - start))
                };
                warnings.push(length.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
            }
            over = end;
        }
        let Some(last) = self.phases.last() else { return };
        match &last.length {
            // Its end is that of the run, unless the ones before have left no room.
            None if over > seen.at.len || self.no_room(seen) => {
                let message = format!("the last phase never starts: the others take all {}", seen.end);
                warnings.push(warning(HORIZON_MISMATCH, message).with_hint("shorten the ones before it"));
            }
            Some(length) if seen.outlasts(over) && !last.part.is_constant() => {
                let message = format!("the phases end after {over} of {}", seen.end);
                let problem = length.problem(message).with_lint(HORIZON_MISMATCH);
                warnings.push(problem.with_hint("leave out the last `for`: it takes the rest"));
            }
            _ => {}
        }
    }

    fn keeps_constant(&self) -> bool {
        self.phases.len() == 1
    }
}
