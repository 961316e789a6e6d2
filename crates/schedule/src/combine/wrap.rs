//! Warmup, body, cooldown.

mod formula;
mod known;

use std::f64::consts::PI;

use super::{Combinator, Form, Group};
use crate::blend::blend;
use crate::catalogue::{ABOVE_0, ENTRIES, Holds, Param, find, param, required};
use crate::fields::{Field, Fields};
use crate::formula::{Position, Term};
use crate::known::Known;
use crate::length::Length;
use crate::lr_value::LrValue;
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::ramp::{K, SAMPLE, Sample, Shape, bent, shape_of};
use crate::reader::{Reader, word};
use crate::segment::At;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "body",
    summary: "a schedule between a warmup and a cooldown, either of which may be missing",
    example: "{warmup: {over: \"5%\", from: 0.01x}, body: 1x, cooldown: {over: \"20%\", to: 0}}",
    nodes: &["body"],
    form: Form::One,
    groups: &[
        Group { key: "warmup", doc: "the way up before the body", params: WARMUP, shaped: false, least: 0 },
        Group {
            key: "cooldown",
            doc: "the way down after the body",
            params: COOLDOWN,
            shaped: true,
            least: 0,
        },
    ],
    params: &[],
    read: |reader| {
        let warmup = reader.fields.optional("warmup").map(|field| Warmup::read(&field, reader));
        let body = reader.node("body");
        let cooldown = reader.fields.optional("cooldown").map(|field| Cooldown::read(&field, reader));
        let warmup = match warmup {
            Some(read) => Some(read?),
            None => None,
        };
        let cooldown = match cooldown {
            Some(read) => Some(read?),
            None => None,
        };
        Some(Box::new(Wrap { warmup, body: body?, cooldown }))
    },
};

/// The keys of `warmup`.
const WARMUP: &[Param] = &[
    required("over", Holds::Length(0), "length W of the warmup"),
    param("from", Holds::Lr, "0", "lr at progress 0"),
    param(
        "shape",
        Holds::Choice(&["linear", "cosine", "one_minus_sqrt", "exponential", "constant", "log", "power"]),
        "linear",
        "the way up; `log` is ln(s+1)/ln(W), `constant` stays at `from`",
    ),
    param("power", Holds::Number(ABOVE_0), "1", "exponent of shape `power`"),
    SAMPLE,
    param(
        "mode",
        Holds::Choice(&["prefix", "overlay", "multiply"]),
        "prefix",
        "`prefix`: the body begins after it; `overlay`: the body's clock runs from 0 underneath; `multiply`: it scales \
         the body, which runs from 0",
    ),
    param(
        "target",
        Holds::LrOr("body"),
        "1x",
        "lr at progress 1, or `body`: the body's lr where the warmup ends",
    ),
];

/// The keys of `cooldown` besides those of its shape.
const COOLDOWN: &[Param] = &[
    required("over", Holds::Length(0), "length C of the cooldown, the last C of the segment"),
    param("to", Holds::Lr, "0", "lr at progress 1"),
    SAMPLE,
    K,
    param(
        "mode",
        Holds::Choice(&["anchor", "multiply"]),
        "anchor",
        "`anchor`: from the body's lr at its start; `multiply`: it scales the body, which runs on to the end",
    ),
];

#[derive(Debug)]
struct Wrap {
    warmup: Option<Warmup>,
    body: Part,
    cooldown: Option<Cooldown>,
}

#[derive(Debug)]
struct Warmup {
    over: Length,
    from: LrValue,
    /// `None` is the body's lr where the warmup ends.
    target: Option<LrValue>,
    way: Way,
    sample: Sample,
    mode: WarmupMode,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum WarmupMode {
    Prefix,
    Overlay,
    Multiply,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Linear,
    Cosine,
    OneMinusSqrt,
    Exponential,
    Constant,
    Log,
    Power(f64),
}

#[derive(Debug)]
struct Cooldown {
    over: Length,
    to: LrValue,
    shape: Box<dyn Shape>,
    sample: Sample,
    k: f64,
    multiply: bool,
}

impl Warmup {
    fn read(field: &Field<'_>, outer: &mut Reader<'_, '_>) -> Option<Self> {
        let fields = Fields::new(field.tree, &field.path, outer.problems)?;
        let mut reader = Reader::new(fields, WARMUP, outer.problems, outer.rules);
        let (over, from, shape) = (reader.length("over"), reader.lr("from"), reader.choice("shape"));
        let (power, sample, mode) =
            (reader.number("power"), Sample::read(&mut reader), reader.choice("mode"));
        let target = reader.lr_or_word("target");
        let way = match shape {
            Some("cosine") => Way::Cosine,
            Some("one_minus_sqrt") => Way::OneMinusSqrt,
            Some("exponential") => Way::Exponential,
            Some("constant") => Way::Constant,
            Some("log") => Way::Log,
            Some("power") => Way::Power(power?),
            _ => Way::Linear,
        };
        if way == Way::Exponential && from.is_some_and(LrValue::is_zero) {
            reader.problem("from", "an exponential warmup can't start at 0: expected `from` above 0");
        }
        reader.finish();
        let mode = match mode? {
            "overlay" => WarmupMode::Overlay,
            "multiply" => WarmupMode::Multiply,
            _ => WarmupMode::Prefix,
        };
        shape?;
        Some(Self { over: over?, from: from?, target: target?, way, sample: sample?, mode })
    }

    /// The lr of step `s` on the way to `target`, W being `n`.
    fn lr(&self, s: f64, n: f64, from: f64, target: f64) -> f64 {
        let p = self.sample.progress(s, n).min(1.0);
        let way = match self.way {
            Way::Linear => p,
            Way::Cosine => (1.0 - libm::cos(PI * p)) / 2.0,
            Way::OneMinusSqrt => 1.0 - (1.0 - p).sqrt(),
            Way::Exponential if p < 1.0 => return from * libm::pow(target / from, p),
            Way::Exponential => 1.0,
            Way::Constant => 0.0,
            Way::Log if n <= 1.0 => 1.0,
            Way::Log => libm::log(s + 1.0) / libm::log(n),
            Way::Power(power) => libm::pow(p, power),
        };
        blend(from, target, way)
    }
}

impl Cooldown {
    fn read(field: &Field<'_>, outer: &mut Reader<'_, '_>) -> Option<Self> {
        let fields = Fields::new(field.tree, &field.path, outer.problems)?;
        let mut reader = Reader::new(fields, COOLDOWN, outer.problems, outer.rules);
        let (over, to) = (reader.length("over"), reader.lr("to"));
        let (sample, k, mode) = (Sample::read(&mut reader), reader.number("k"), reader.choice("mode"));
        let ramps: Vec<&'static str> =
            ENTRIES.iter().filter(|entry| entry.is_ramp()).map(|entry| entry.kind).collect();
        let name = reader.fields.read_or("shape", "linear", reader.problems, |field| word(field, &ramps));
        let entry = name.and_then(find)?;
        let shape = shape_of(entry, &mut reader);
        if let (Some(shape), Some(to)) = (&shape, to)
            && shape.needs_positive_ends()
            && to.is_zero()
        {
            reader.problem("to", "this shape never reaches 0: expected a learning rate above 0");
        }
        reader.finish();
        let multiply = mode? == "multiply";
        Some(Self { over: over?, to: to?, shape: shape?, sample: sample?, k: k?, multiply })
    }
}

/// The stretches of one segment, in ticks.
struct Spans {
    /// W.
    warm: f64,
    /// Where the cooldown begins: T - C.
    cool: f64,
    /// Begin and length of the body.
    body: (f64, f64),
}

impl Wrap {
    fn spans(&self, at: &At) -> Spans {
        let warm = self.warmup.as_ref().map_or(0.0, |warmup| warmup.over.ticks(at)).min(at.len);
        // Two percentages may round up to one tick too many.
        let down = self.cooldown.as_ref().map_or(0.0, |cooldown| cooldown.over.ticks(at)).min(at.len - warm);
        let begin = match &self.warmup {
            Some(Warmup { mode: WarmupMode::Prefix, .. }) => warm,
            _ => 0.0,
        };
        let kept = match &self.cooldown {
            Some(cooldown) if !cooldown.multiply => down,
            _ => 0.0,
        };
        Spans { warm, cool: at.len - down, body: (begin, at.len - begin - kept) }
    }

    fn body_at(&self, at: &At, spans: &Spans) -> At {
        at.part(spans.body.0, spans.body.1)
    }

    /// The body's lr where another position stands.
    fn body_lr(&self, at: &At, s: f64, spans: &Spans, memories: &Memories) -> f64 {
        self.body.lr(&self.body_at(&at.at(s), spans), memories)
    }
}

/// Two percentages that come to 100 may both have been rounded up.
fn slack(warmup: &Length, cooldown: &Length) -> f64 {
    if warmup.is_percent() && cooldown.is_percent() { 1.0 } else { 0.0 }
}

impl Branch for Wrap {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
        let spans = self.spans(at);
        if let Some(warmup) = &self.warmup
            && at.s < spans.warm
        {
            let from = warmup.from.of(at.base);
            if warmup.mode == WarmupMode::Multiply {
                let body = self.body.lr(&self.body_at(at, &spans), memories);
                let target = warmup.target.map_or(1.0, |target| target.of(at.base) / at.base);
                return body * warmup.lr(at.s, spans.warm, from / at.base, target);
            }
            let target = match warmup.target {
                Some(target) => target.of(at.base),
                None => self.body_lr(at, spans.warm, &spans, memories),
            };
            return warmup.lr(at.s, spans.warm, from, target);
        }
        let n = at.len - spans.cool;
        let cooldown = match &self.cooldown {
            Some(cooldown) if at.s >= spans.cool && n > 0.0 => cooldown,
            _ => return self.body.lr(&self.body_at(at, &spans), memories),
        };
        let p = if at.s >= at.len { 1.0 } else { cooldown.sample.progress(at.s - spans.cool, n) };
        let p = bent(p, cooldown.k);
        let to = cooldown.to.of(at.base);
        if cooldown.multiply {
            let body = self.body.lr(&self.body_at(at, &spans), memories);
            return (body * cooldown.shape.value(p, 1.0, to / at.base)).max(0.0);
        }
        let anchor = self.body_lr(at, spans.cool, &spans, memories);
        cooldown.shape.value(p, anchor, to).max(0.0)
    }

    fn formula(&self, at: &Position) -> Option<Term> {
        self.written_out(at)
    }

    fn known(&self, at: &At) -> Known {
        self.in_shared_words(at)
    }

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        let spans = self.spans(at);
        let warming = match &self.warmup {
            Some(warmup) => at.s < spans.warm && warmup.mode != WarmupMode::Multiply,
            None => false,
        };
        let cooling = match &self.cooldown {
            Some(cooldown) => at.s >= spans.cool && spans.cool < at.len && !cooldown.multiply,
            None => false,
        };
        // What a warmup or cooldown replaces sees nothing of that time.
        if !warming && !cooling {
            see(&self.body, self.body_at(at, &spans));
        }
    }

    fn read<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        let spans = self.spans(at);
        match (&self.warmup, &self.cooldown) {
            (Some(warmup), _) if at.s < spans.warm && warmup.mode != WarmupMode::Multiply => {
                if warmup.target.is_none() {
                    see(&self.body, self.body_at(&at.at(spans.warm), &spans));
                }
            }
            (_, Some(cooldown)) if at.s >= spans.cool && spans.cool < at.len && !cooldown.multiply => {
                see(&self.body, self.body_at(&at.at(spans.cool), &spans));
            }
            _ => see(&self.body, self.body_at(at, &spans)),
        }
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.body, At { len: self.spans(at).body.1, ..*at });
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        let warm = self.warmup.as_ref().map(|warmup| (&warmup.over, warmup.over.check(at, 0.0, problems)));
        let down = self.cooldown.as_ref().map(|down| (&down.over, down.over.check(at, 0.0, problems)));
        match (warm, down) {
            (Some((over, Some(w))), _) if w > at.len => {
                let message = format!("the warmup takes {w}, which is longer than the {} there are", at.len);
                problems.push(over.problem(message));
            }
            (_, Some((over, Some(c)))) if c > at.len => {
                let message =
                    format!("the cooldown takes {c}, which is longer than the {} there are", at.len);
                problems.push(over.problem(message));
            }
            (Some((before, Some(w))), Some((over, Some(c)))) if w + c > at.len + slack(before, over) => {
                let message =
                    format!("warmup ({w}) and cooldown ({c}) are longer than the {} there are", at.len);
                problems.push(over.problem(message));
            }
            _ => {}
        }
    }
}
