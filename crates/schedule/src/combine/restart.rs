//! Warm restarts of any schedule.

use super::{Combinator, Form};
use crate::catalogue::{ABOVE_0, AT_LEAST_1, Ends, ParamType, optional, param, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::{Known, KnownRamp, KnownRestart};
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, MID_CYCLE, RESTART_AT_PEAK};
use crate::lr_value::LrValue;
use crate::node::{Branch, Memories, ScheduleNode};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static COMBINATOR: Combinator = Combinator {
    key: "restart",
    aliases: &[
        "CosineAnnealingWarmRestarts",
        "CosineDecayRestarts",
        "cosine_decay_restarts",
        "cosine_with_restarts",
        "sgdr",
        "CosineRestartLR",
        "cycles",
    ],
    summary: "repeats a schedule in cycles (SGDR, warm restarts)",
    formula: "lr = cycle(s - a), with decay applied by `decay_on`: `peak`: the base lr inside is base * decay^i; \
              `amplitude`: lr = floor + (cycle - floor) * decay^i; `all`: lr = cycle * decay^i",
    symbols: &[
        ("i", "index of the cycle, from 0"),
        ("a", "start of cycle i: every * (1 + mult + ... + mult^(i-1))"),
        ("cycle", "the schedule inside, of length every * mult^i"),
    ],
    ends: Ends {
        before: "each cycle starts at its peak; a boundary step belongs to the new cycle",
        at: "depends on the position in the cycle: a run that is not a whole number of cycles ends inside one",
        after: "the cycles continue; after `limit` cycles the lr is `then`",
    },
    source: "SGDR, arXiv 1608.03983; torch CosineAnnealingWarmRestarts, keras CosineDecayRestarts, timm cycles",
    example: "{restart: {kind: cosine, to: 0}, every: \"25%\"}",
    nodes: &["restart"],
    form: Form::One,
    groups: &[],
    params: &[
        required("every", ParamType::Length(1), "length of the first cycle"),
        param("mult", ParamType::Number(AT_LEAST_1), "1", "length of each cycle relative to the one before"),
        param("decay", ParamType::Number(ABOVE_0), "1", "factor per cycle, applied to what `decay_on` names"),
        param(
            "decay_on",
            ParamType::Choice(&["peak", "amplitude", "all"]),
            "peak",
            "`peak`: the base lr (`1x`) inside; `amplitude`: the distance from `floor`; `all`: the lr",
        ),
        param("floor", ParamType::Lr, "0", "the lr that `amplitude` is measured from"),
        optional("limit", ParamType::Whole(1), "number of cycles; unlimited by default"),
        param("then", ParamType::Lr, "0", "the lr after the last cycle"),
        optional(
            "like",
            ParamType::Choice(&["timm"]),
            "`timm`: refuse runs in which timm's logarithm rounds a cycle boundary into the cycle before",
        ),
    ],
    read: |reader| {
        let of = reader.node("restart");
        let (every, mult, decay) = (reader.length("every"), reader.number("mult"), reader.number("decay"));
        let (decay_on, floor) = (reader.choice("decay_on"), reader.lr("floor"));
        let (limit, then, like) =
            (reader.maybe_whole("limit"), reader.lr("then"), reader.maybe_choice("like"));
        let rounded = Problem::new(reader.place_of("mult"), reader.fields.path_of("mult"), "");
        let decay_on = match decay_on? {
            "amplitude" => DecayOn::Amplitude,
            "all" => DecayOn::All,
            _ => DecayOn::Peak,
        };
        Some(Box::new(Restart {
            of: of?,
            every: every?,
            mult: mult?,
            decay: decay?,
            decay_on,
            floor: floor?,
            limit: limit?,
            then: then?,
            rounded: like?.map(|_| rounded),
        }))
    },
};

/// The maximum number of growing cycles in an exported formula.
const MAX_CYCLES: usize = 4096;

#[derive(Debug)]
struct Restart {
    of: ScheduleNode,
    every: Length,
    mult: f64,
    decay: f64,
    decay_on: DecayOn,
    floor: LrValue,
    limit: Option<u64>,
    then: LrValue,
    /// With `like: timm`, the problem of a boundary that timm's logarithm rounds. The message is added later.
    rounded: Option<Problem>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DecayOn {
    Peak,
    Amplitude,
    All,
}

/// Rounds a number of ticks that is whole except for floating-point error, so that milestones inside stay
/// exact.
fn whole(ticks: f64) -> f64 {
    let whole = ticks.round();
    if (ticks - whole).abs() <= 1e-12 * whole { whole } else { ticks }
}

impl Restart {
    /// Start of cycle `i`: the sum of the lengths before it.
    fn begin(&self, every: f64, i: f64) -> f64 {
        if self.mult == 1.0 {
            return every * i;
        }
        whole(every * (libm::pow(self.mult, i) - 1.0) / (self.mult - 1.0))
    }

    /// Index of the cycle at a position, in closed form. A boundary belongs to the new cycle.
    fn cycle(&self, every: f64, at: &Position) -> f64 {
        if self.mult == 1.0 {
            return at.full_intervals(every);
        }
        let growth = self.mult - 1.0;
        let estimate = libm::log1p(at.s / every * growth) / libm::log1p(growth);
        let i = estimate.floor().max(0.0);
        // Rounding can make a whole start slightly too late and the logarithm slightly wrong.
        let s = at.s * (1.0 + 4.0 * f64::EPSILON) + 1e-9 * every;
        if self.begin(every, i) > s {
            i - 1.0
        } else if self.begin(every, i + 1.0) <= s {
            i + 1.0
        } else {
            i
        }
    }

    /// The first cycle of the segment that timm's rounded-down logarithm would assign to the cycle before,
    /// and its start.
    fn rounded_down(&self, every: f64, at: &Position) -> Option<(f64, f64)> {
        let cycles = self.limit.map_or(f64::INFINITY, |limit| limit as f64);
        let begins = (1_u32..).map(f64::from).map(|i| (i, self.begin(every, i)));
        let mut begins = begins.take_while(|(i, begin)| *i < cycles && *begin < at.len);
        begins.find(|(i, begin)| {
            let power = 1.0 - begin / every * (1.0 - self.mult);
            // The system's logarithm, as in Python: that of `libm` differs in the last digit, which matters
            // here.
            (power.ln() / self.mult.ln()).floor() < *i && begin.fract() == 0.0
        })
    }

    /// How many ticks of the last cycle the run covers, and the length of that cycle.
    fn last_cycle(&self, covered: &Coverage, every: f64) -> (f64, f64) {
        let last = covered.start.at(covered.end - covered.unit());
        let i = self.cycle(every, &last);
        (covered.end - self.begin(every, i), every * libm::pow(self.mult, i))
    }

    /// Whether a cycle ends below its highest lr. Only then does it matter where the run stops in it.
    fn falls(&self, covered: &Coverage, every: f64) -> bool {
        const LOOKS: u32 = 32;
        let first = Position { len: every, ..covered.start };
        let lr = |s: f64| self.of.lr(&first.at(s), &Memories::default());
        let last = every - covered.unit();
        let end = lr(last);
        (0..LOOKS).any(|i| {
            let s = (last / covered.unit() * f64::from(i) / f64::from(LOOKS)).floor() * covered.unit();
            lr(s) > end * (1.0 + 1e-9)
        })
    }

    /// Warns if the run continues after the last cycle with lr 0.
    fn warn_of_the_rest(&self, covered: &Coverage, end: f64, warnings: &mut Vec<Problem>) {
        if self.then.is_zero() && covered.outlasts(end) {
            let message =
                format!("the cycles end after {end} of {}, and the lr after them (`then`) is 0", covered.end);
            let problem = self.every.problem(message).with_lint(HORIZON_MISMATCH);
            warnings.push(problem.with_hint("remove `limit`, write `then: 0.01x`, or make `every` longer"));
        }
    }

    /// The position inside the cycle and the decay so far; `None` after the last cycle.
    fn inside(&self, at: &Position) -> Option<(Position, f64)> {
        let every = self.every.ticks(at);
        let i = self.cycle(every, at);
        if self.limit.is_some_and(|limit| i >= limit as f64) {
            return None;
        }
        // Keeps the length finite at positions far beyond any run.
        let length = whole(every * libm::pow(self.mult, i)).min(1e300);
        let factor = libm::pow(self.decay, i).min(f64::MAX);
        let inside = at.subsegment(self.begin(every, i), length);
        let base = if self.decay_on == DecayOn::Peak { (at.base * factor).min(f64::MAX) } else { at.base };
        Some((Position { base, ..inside }, factor))
    }
}

impl Restart {
    /// The position inside the cycle, and the index of the cycle.
    fn inside_formula(&self, at: &TermPosition, every: &Term) -> Option<(TermPosition, Term)> {
        let s = at.s.clone();
        if self.mult == 1.0 {
            let cycle = at.full_intervals(every.clone());
            if s.is_multiple_exact() && every.number().is_some() && every.is_whole() {
                let rest = |x: &Term, by: Term| x.clone().remainder(by).named("s");
                let s = rest(&s, every.clone());
                let step = if at.tick == 1.0 { s.clone() } else { rest(&at.step, every.clone() * at.tick) };
                return Some((
                    TermPosition { s, step, len: every.clone(), inside: true, ..at.clone() },
                    cycle,
                ));
            }
            let cycle = cycle.named("cycle");
            let inside = at.subsegment(every.clone() * cycle.clone(), every.clone());
            return Some((TermPosition { inside: true, ..inside }, cycle));
        }
        // Starts and lengths of all cycles of the run, in units of the first cycle.
        let most = at.s.ends().1 / every.ends().0;
        let mut begins = Vec::new();
        loop {
            let begin = self.begin(1.0, begins.len() as f64);
            if begin > most + 1e-9 {
                break;
            }
            if begins.len() >= MAX_CYCLES {
                return None;
            }
            begins.push(begin);
        }
        let lengths: Vec<f64> = (0..begins.len()).map(|i| libm::pow(self.mult, i as f64)).collect();
        let scaled = |table: &[f64], by: f64| table.iter().map(|x| whole(x * by)).collect::<Vec<_>>();
        let (unit, s) = match every.number() {
            Some(every) => (every, s),
            None => (1.0, s / every.clone()),
        };
        let (begins, lengths) = (scaled(&begins, unit), scaled(&lengths, unit));
        let early: Vec<f64> =
            begins.iter().map(|x| if x.fract() == 0.0 { *x } else { x - 1e-9 * unit }).collect();
        let cycle = (s.passed(&early) - 1.0).at_least(0.0).named("cycle");
        let back = every.clone() / unit;
        let begin = cycle.clone().entry("starts", &begins) * back.clone();
        let length = (cycle.clone().entry("lengths", &lengths) * back).named("n");
        // If all values are whole, rounding moves no step before the start of its cycle.
        let at = at.subsegment(begin, length);
        Some((TermPosition { inside: true, ..at }, cycle))
    }
}

impl Branch for Restart {
    fn lr(&self, at: &Position, memories: &Memories) -> f64 {
        let Some((inside, factor)) = self.inside(at) else { return self.then.of(at.base) };
        let lr = self.of.lr(&inside, memories);
        match self.decay_on {
            DecayOn::Peak => lr,
            DecayOn::Amplitude => {
                let floor = self.floor.of(at.base);
                (floor + (lr - floor) * factor).max(0.0)
            }
            DecayOn::All => lr * factor,
        }
    }

    fn formula(&self, at: &TermPosition) -> Option<Term> {
        let every = self.every.formula(at);
        let (inside, cycle) = self.inside_formula(at, &every)?;
        let factor = Term::from(self.decay).power(cycle.clone());
        let base = match self.decay_on {
            DecayOn::Peak => at.base.clone() * factor.clone(),
            _ => at.base.clone(),
        };
        let lr = self.of.formula(&TermPosition { base, ..inside })?;
        let lr = match self.decay_on {
            DecayOn::Peak => lr,
            DecayOn::Amplitude if self.decay == 1.0 => lr,
            DecayOn::Amplitude => {
                let floor = self.floor.formula(&at.base);
                (floor.clone() + (lr - floor) * factor).at_least(0.0)
            }
            DecayOn::All => lr * factor,
        };
        Some(match self.limit {
            Some(limit) => Term::choose(cycle.less(limit as f64), lr, self.then.formula(&at.base)),
            None => lr,
        })
    }

    fn known(&self, at: &Position) -> Known {
        let every = self.every.ticks(at);
        let of = |base: f64| self.of.known(&Position { len: every, base, ..*at });
        // If the base lr decays, other lrs of the cycle may decay with it.
        if self.decay != 1.0 && self.decay_on == DecayOn::Peak {
            match (of(at.base), of(at.base * self.decay)) {
                (Known::Ramp(first), Known::Ramp(second))
                    if first == KnownRamp { from: first.from, ..second.clone() }
                        && (second.from - first.from * self.decay).abs() <= 1e-14 * second.from => {}
                _ => return Known::Other,
            }
        }
        Known::Restart(Box::new(KnownRestart {
            of: of(at.base),
            every,
            mult: self.mult,
            decay: self.decay,
            decay_on: match self.decay_on {
                DecayOn::Peak => "peak",
                DecayOn::Amplitude => "amplitude",
                DecayOn::All => "all",
            },
            floor: self.floor.of(at.base),
            limit: self.limit,
            then: self.then.of(at.base),
        }))
    }

    fn active_children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        if let Some((inside, _)) = self.inside(at) {
            visit(&self.of, inside);
        }
    }

    fn children<'a>(&'a self, at: &Position, visit: &mut dyn FnMut(&'a ScheduleNode, Position)) {
        visit(&self.of, Position { len: self.every.ticks(at), ..*at });
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let Some(every) = self.every.check(at, 1.0, problems) else { return };
        let Some(rounded) = self.rounded.as_ref().filter(|_| self.mult > 1.0) else { return };
        if let Some((i, begin)) = self.rounded_down(every, at) {
            let message = format!(
                "timm starts cycle {i} one step late, at {}, because its logarithm rounds down",
                begin + 1.0
            );
            problems.push(Problem { message, ..rounded.clone() });
        }
    }

    fn covered_children<'a>(&'a self, covered: &Coverage, visit: &mut dyn FnMut(&'a ScheduleNode, Coverage)) {
        let every = self.every.ticks(&covered.start);
        visit(
            &self.of,
            Coverage {
                start: Position { s: 0.0, step: 0.0, len: every, ..covered.start },
                end: every,
                ..*covered
            },
        );
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let every = self.every.ticks(&covered.start);
        if covered.ends_before(every) {
            let message = format!("the first cycle takes {every}, but the run has {}", covered.end);
            let hint = format!("write `every: {}`", covered.written(covered.end));
            warnings.push(self.every.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
            return;
        }
        if let Some(limit) = self.limit
            && self.begin(every, limit as f64) < covered.end
        {
            self.warn_of_the_rest(covered, self.begin(every, limit as f64), warnings);
            return;
        }
        if !self.falls(covered, every) {
            return;
        }
        let (into, length) = self.last_cycle(covered, every);
        if length - into <= covered.tolerance(length) {
            return;
        }
        let (lint, message) = if into <= covered.tolerance(length) {
            let message = format!("the run ({}) ends {into} into a new cycle, at its peak", covered.end);
            (RESTART_AT_PEAK, message)
        } else {
            (MID_CYCLE, format!("the run ({}) ends {into} into a cycle of {length}", covered.end))
        };
        let whole = |every: f64| {
            let (into, length) = self.last_cycle(covered, every);
            length - into <= covered.hint_tolerance(length)
        };
        let hint = match covered.nearest(
            every,
            self.cycle(every, &covered.start.at(covered.end)),
            |cycles| covered.end / self.begin(1.0, cycles),
            whole,
        ) {
            Some(every) => format!("write `every: {}`", covered.written(every)),
            None => "choose a budget of whole cycles".to_owned(),
        };
        warnings.push(self.every.problem(message).with_lint(lint).with_hint(hint));
    }

    fn keeps_constant(&self) -> bool {
        false
    }
}
