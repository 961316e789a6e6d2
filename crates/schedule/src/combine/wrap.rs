//! Warmup, body and cooldown.

mod formula;
mod known;

use std::f64::consts::PI;

use super::{Combinator, Form, Group};
use crate::blend::blend;
use crate::catalogue::{ABOVE_0, ENTRIES, Ends, Param, ParamType, find, param, required};
use crate::coverage::Coverage;
use crate::fields::{Field, Fields};
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NEVER_CHANGES, ZERO_WARMUP};
use crate::lr_value::LrValue;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::ramp::{K, SAMPLE, Sample, Shape, bent, shape_of};
use crate::reader::{Reader, word};
use crate::segment::Position;
use crate::tree::Place;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "body",
    aliases: &[
        "warmup",
        "cooldown",
        "warmup_body_cooldown",
        "LinearWarmup",
        "GradualWarmupScheduler",
        "warmup_scheduler",
    ],
    summary: "a schedule with a warmup, a cooldown or both",
    formula: "s < W: from the warmup's `from` to its `target`, by its `shape`; then body(s - W); from s = S - C: from \
              the body's lr at that step to the cooldown's `to`, by its `shape`. With the modes `overlay` and \
              `multiply` the body also runs during the warmup or cooldown",
    symbols: &[
        ("W", "length of the warmup: its `over`"),
        ("C", "length of the cooldown: its `over`"),
        ("body", "the schedule inside, of length S - W - C"),
    ],
    ends: Ends {
        before: "the warmup starts at its `from` (with `sample` `right` or `open` one step above it); the body begins \
                 at s = W",
        at: "the last step is one step short of the cooldown's `to`; with `sample` `right` or `closed` it is exactly `to`",
        after: "the lr stays at `to`; without a cooldown the body continues",
    },
    source: "MiniCPM, arXiv 2404.06395; Haegele et al., arXiv 2405.18392; modes: timm, torch ChainedScheduler",
    example: "{warmup: {over: \"5%\", from: 0.01x}, body: 1x, cooldown: {over: \"20%\", to: 0}}",
    nodes: &["body"],
    form: Form::One,
    groups: &[
        Group { key: "warmup", doc: "the rise before the body", params: WARMUP, shaped: false, least: 0 },
        Group { key: "cooldown", doc: "the fall after the body", params: COOLDOWN, shaped: true, least: 0 },
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
    required("over", ParamType::Length(0), "length W of the warmup"),
    param("from", ParamType::Lr, "0", "lr at progress 0"),
    param(
        "shape",
        ParamType::Choice(&["linear", "cosine", "one_minus_sqrt", "exponential", "constant", "log", "power"]),
        "linear",
        "curve of the rise; `log` is ln(s+1)/ln(W), `constant` stays at `from`",
    ),
    param("power", ParamType::Number(ABOVE_0), "1", "exponent of shape `power`"),
    SAMPLE,
    param(
        "mode",
        ParamType::Choice(&["prefix", "overlay", "multiply"]),
        "prefix",
        "`prefix`: the body begins after the warmup; `overlay`: the body's clock starts at 0, and the warmup hides its \
         first steps; `multiply`: the body starts at 0 and the warmup scales it, where a multiple in `from` and \
         `target` is a factor on the body's lr and a number is an lr",
    ),
    param(
        "target",
        ParamType::LrOr("body"),
        "1x",
        "lr at progress 1, or `body`: the body's lr at the end of the warmup",
    ),
];

/// The keys of `cooldown`, except those of its shape.
const COOLDOWN: &[Param] = &[
    required("over", ParamType::Length(0), "length C of the cooldown, at the end of the segment"),
    param("to", ParamType::Lr, "0", "lr at progress 1"),
    SAMPLE,
    K,
    param(
        "mode",
        ParamType::Choice(&["anchor", "multiply"]),
        "anchor",
        "`anchor`: from the body's lr at the start of the cooldown to `to`; `multiply`: the body continues to the end \
         and the cooldown scales it, where a multiple in `to` is a factor on the body's lr and a number is an lr",
    ),
];

#[derive(Debug)]
struct Wrap {
    warmup: Option<Warmup>,
    body: ScheduleNode,
    cooldown: Option<Cooldown>,
}

#[derive(Debug)]
struct Warmup {
    over: Length,
    from: LrValue,
    /// `None` is the body's lr at the end of the warmup.
    target: Option<LrValue>,
    way: Way,
    sample: Sample,
    mode: WarmupMode,
    /// The place of `from`, or of the mapping if `from` is missing.
    from_place: (Place, String),
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
        let mut reader = Reader::new(fields, WARMUP, outer.problems, outer.reading);
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
            reader.problem("from", "expected `from` above 0: an exponential warmup can't start at 0");
        }
        let from_place = (reader.place_of("from"), reader.fields.path_of("from"));
        reader.finish();
        let mode = match mode? {
            "overlay" => WarmupMode::Overlay,
            "multiply" => WarmupMode::Multiply,
            _ => WarmupMode::Prefix,
        };
        shape?;
        Some(Self { over: over?, from: from?, target: target?, way, sample: sample?, mode, from_place })
    }

    /// Warns about everything except its length.
    fn warn(&self, covered: &Coverage, n: f64, warnings: &mut Vec<Problem>) {
        if covered.start.s > 0.0 || n <= 0.0 {
            return;
        }
        let (base, (place, path)) = (covered.start.base, &self.from_place);
        let from = self.from.of(base);
        let target = self.target.map(|target| target.of(base));
        // When the body's lr changes, an lr and a factor differ even if their numbers are equal.
        let differs = self.mode == WarmupMode::Multiply
            && self.target.is_some_and(|target| target.is_factor() != self.from.is_factor());
        if target == Some(from) && self.way != Way::Constant && !differs {
            let message = "the warmup starts at its target lr, so it changes nothing";
            let problem = Problem::new(*place, path.clone(), message).with_lint(NEVER_CHANGES);
            warnings.push(problem.with_hint("`from: 0.01x`"));
        } else if self.lr(0.0, n, from, target.unwrap_or(1.0)) == 0.0 {
            let message = "the first update of this warmup has lr 0 and changes nothing";
            let problem = Problem::new(*place, path.clone(), message).with_lint(ZERO_WARMUP);
            let hint = match self.way {
                Way::Constant | Way::Log => "`from: 0.01x`",
                _ => "`from: 0.01x`, or `sample: right`",
            };
            warnings.push(problem.with_hint(hint));
        }
    }

    /// The lr of step `s` of a warmup of `n` steps to `target`.
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
        let mut reader = Reader::new(fields, COOLDOWN, outer.problems, outer.reading);
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
            reader.problem("to", "expected a learning rate above 0: this shape never reaches 0");
        }
        reader.finish();
        let multiply = mode? == "multiply";
        Some(Self { over: over?, to: to?, shape: shape?, sample: sample?, k: k?, multiply })
    }
}

/// The lr of a warmup or cooldown that scales the body: an interpolation between two factors on the body's
/// lr, or between two lrs if one end is an absolute lr.
fn scaled(ends: (LrValue, LrValue), body: f64, base: f64, way: impl Fn(f64, f64) -> f64) -> f64 {
    let (from, to) = ends;
    if from.is_factor() && to.is_factor() {
        return body * way(from.of(base) / base, to.of(base) / base);
    }
    way(from.of(body), to.of(body))
}

/// The parts of one segment, in ticks.
struct Spans {
    /// W, the length of the warmup.
    warm: f64,
    /// Start of the cooldown: S - C.
    cool: f64,
    /// Start and length of the body.
    body: (f64, f64),
}

impl Wrap {
    fn spans(&self, at: &Position) -> Spans {
        let warm = self.warmup.as_ref().map_or(0.0, |warmup| warmup.over.ticks(at)).min(at.len);
        // Two percentages may both be rounded up, which is one tick too many.
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

    fn body_at(&self, at: &Position, spans: &Spans) -> Position {
        at.subsegment(spans.body.0, spans.body.1)
    }

    /// The body's lr at another position `s` of the segment.
    fn body_lr(&self, at: &Position, s: f64, spans: &Spans, memories: &Memories) -> f64 {
        self.body.lr(&self.body_at(&at.at(s), spans), memories)
    }
}

/// Two percentages that sum to 100 may both have been rounded up.
fn rounding_slack(warmup: &Length, cooldown: &Length) -> f64 {
    if warmup.is_percent() && cooldown.is_percent() { 1.0 } else { 0.0 }
}

impl Branch for Wrap {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        let spans = self.spans(at);
        if let Some(warmup) = &self.warmup
            && at.s < spans.warm
        {
            if warmup.mode == WarmupMode::Multiply {
                let body = self.body.lr(&self.body_at(at, &spans), memories);
                let ends = (warmup.from, warmup.target.unwrap_or(LrValue::Multiple(1.0)));
                return scaled(ends, body, at.base, |from, to| warmup.lr(at.s, spans.warm, from, to));
            }
            let from = warmup.from.of(at.base);
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
        if cooldown.multiply {
            let body = self.body.lr(&self.body_at(at, &spans), memories);
            let ends = (LrValue::Multiple(1.0), cooldown.to);
            return scaled(ends, body, at.base, |from, to| cooldown.shape.value(p, from, to)).max(0.0);
        }
        let anchor = self.body_lr(at, spans.cool, &spans, memories);
        cooldown.shape.value(p, anchor, cooldown.to.of(at.base)).max(0.0)
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        self.whole_formula(at)
    }

    fn known(&self, at: &Position) -> Known {
        self.known_form(at)
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        let spans = self.spans(at);
        let warming = match &self.warmup {
            Some(warmup) => at.s < spans.warm && warmup.mode != WarmupMode::Multiply,
            None => false,
        };
        let cooling = match &self.cooldown {
            Some(cooldown) => at.s >= spans.cool && spans.cool < at.len && !cooldown.multiply,
            None => false,
        };
        // The body is inactive while a warmup or cooldown replaces it.
        if !warming && !cooling {
            visit(&self.body, self.body_at(at, &spans));
        }
    }

    fn evaluated_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        let spans = self.spans(at);
        match (&self.warmup, &self.cooldown) {
            (Some(warmup), _) if at.s < spans.warm && warmup.mode != WarmupMode::Multiply => {
                if warmup.target.is_none() {
                    visit(&self.body, self.body_at(&at.at(spans.warm), &spans));
                }
            }
            (_, Some(cooldown)) if at.s >= spans.cool && spans.cool < at.len && !cooldown.multiply => {
                visit(&self.body, self.body_at(&at.at(spans.cool), &spans));
            }
            _ => visit(&self.body, self.body_at(at, &spans)),
        }
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.body, Position { len: self.spans(at).body.1, ..*at });
    }

    fn covered_children<'a>(&'a self, covered: &Coverage, visit: &mut dyn FnMut(&'a ScheduleNode, Coverage)) {
        let spans = self.spans(&covered.start);
        let (begin, len) = spans.body;
        let Some(mut body) = covered.subsegment(begin, len) else { return };
        // The warmup hides the first steps of the body.
        if let Some(Warmup { mode: WarmupMode::Overlay, .. }) = &self.warmup
            && body.start.s < spans.warm
        {
            body.start = body.start.at(spans.warm);
        }
        if body.start.s < body.end {
            visit(&self.body, body);
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let lengths = self.warmup.iter().map(|warmup| &warmup.over);
        lengths
            .chain(self.cooldown.iter().map(|cooldown| &cooldown.over))
            .for_each(|over| over.warn_if_lost(&covered.start, warnings));
        let Some(warmup) = &self.warmup else { return };
        let warm = self.spans(&covered.start).warm;
        warmup.warn(covered, warm, warnings);
        if warm > 0.0
            && warm >= covered.end
            && warmup.mode != WarmupMode::Multiply
            && !self.body.is_constant()
        {
            let message = format!("the warmup takes all {}: the body never begins", covered.end);
            let hint = format!("write `over: {}`", covered.share(20.0));
            warnings.push(warmup.over.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }

    fn keeps_constant(&self) -> bool {
        self.warmup.is_none() && self.cooldown.is_none()
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let warm = self.warmup.as_ref().map(|warmup| (&warmup.over, warmup.over.check(at, 0.0, problems)));
        let down = self.cooldown.as_ref().map(|down| (&down.over, down.over.check(at, 0.0, problems)));
        match (warm, down) {
            (Some((over, Some(w))), _) if w > at.len => {
                let message = format!("the warmup takes {w}, but only {} is available", at.len);
                problems.push(over.problem(message));
            }
            (_, Some((over, Some(c)))) if c > at.len => {
                let message = format!("the cooldown takes {c}, but only {} is available", at.len);
                problems.push(over.problem(message));
            }
            (Some((before, Some(w))), Some((over, Some(c))))
                if w + c > at.len + rounding_slack(before, over) =>
            {
                let message =
                    format!("warmup ({w}) and cooldown ({c}) take more than the {} available", at.len);
                problems.push(over.problem(message));
            }
            _ => {}
        }
    }
}
