//! Warm restarts of any schedule.

use super::{Combinator, Form};
use crate::catalogue::{ABOVE_0, AT_LEAST_1, Ends, Holds, optional, param, required};
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, MID_CYCLE, RESTART_AT_PEAK};
use crate::lr_value::LrValue;
use crate::node::{Branch, Memories, Part};
use crate::problem::Problem;
use crate::segment::At;
use crate::window::Window;

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
    summary: "starts a schedule again and again (SGDR, warm restarts)",
    formula: "lr = cycle(s - a), decayed: by `peak` the base inside is base * decay^i, by `amplitude` lr = floor + (cycle - floor) * \
              decay^i, by `all` lr = cycle * decay^i",
    symbols: &[
        ("i", "number of the cycle, from 0"),
        ("a", "begin of cycle i: every * (1 + mult + ... + mult^(i-1))"),
        ("cycle", "the schedule inside, of length every * mult^i"),
    ],
    ends: Ends {
        before: "a boundary belongs to the new cycle, which starts at its peak",
        at: "wherever the cycle stands: a run that is no sum of cycles ends in the middle of one",
        after: "the cycles go on; after `limit` cycles the lr is `then`",
    },
    source: "SGDR, arXiv 1608.03983; torch CosineAnnealingWarmRestarts, keras CosineDecayRestarts, timm cycles",
    example: "{restart: {kind: cosine, to: 0}, every: \"25%\"}",
    nodes: &["restart"],
    form: Form::One,
    groups: &[],
    params: &[
        required("every", Holds::Length(1), "length of the first cycle"),
        param(
            "mult",
            Holds::Number(AT_LEAST_1),
            "1",
            "each cycle is so many times as long as the one before",
        ),
        param("decay", Holds::Number(ABOVE_0), "1", "factor from cycle to cycle on what `decay_on` names"),
        param(
            "decay_on",
            Holds::Choice(&["peak", "amplitude", "all"]),
            "peak",
            "`peak`: what `1x` means inside; `amplitude`: the distance from `floor`; `all`: the lr",
        ),
        param("floor", Holds::Lr, "0", "the foot of `amplitude`"),
        optional("limit", Holds::Whole(1), "number of cycles; without end if not given"),
        param("then", Holds::Lr, "0", "the lr after the last cycle"),
    ],
    read: |reader| {
        let of = reader.node("restart");
        let (every, mult, decay) = (reader.length("every"), reader.number("mult"), reader.number("decay"));
        let (decay_on, floor) = (reader.choice("decay_on"), reader.lr("floor"));
        let (limit, then) = (reader.maybe_whole("limit"), reader.lr("then"));
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
        }))
    },
};

#[derive(Debug)]
struct Restart {
    of: Part,
    every: Length,
    mult: f64,
    decay: f64,
    decay_on: DecayOn,
    floor: LrValue,
    limit: Option<u64>,
    then: LrValue,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum DecayOn {
    Peak,
    Amplitude,
    All,
}

impl Restart {
    /// Begin of cycle `i`: the sum of the lengths before it.
    fn begin(&self, every: f64, i: f64) -> f64 {
        if self.mult == 1.0 { every * i } else { every * (libm::pow(self.mult, i) - 1.0) / (self.mult - 1.0) }
    }

    /// Number of the cycle at a position, in closed form; a boundary belongs to the new cycle.
    fn cycle(&self, every: f64, at: &At) -> f64 {
        if self.mult == 1.0 {
            return at.stretches(every);
        }
        let growth = self.mult - 1.0;
        let estimate = libm::log1p(at.s / every * growth) / libm::log1p(growth);
        let i = estimate.floor().max(0.0);
        // A begin that is meant to be whole can be a hair late, and the logarithm a hair off.
        let s = at.s * (1.0 + 4.0 * f64::EPSILON) + 1e-9 * every;
        if self.begin(every, i) > s {
            i - 1.0
        } else if self.begin(every, i + 1.0) <= s {
            i + 1.0
        } else {
            i
        }
    }

    /// What the run sees of the last cycle that it sees, and the length of that cycle.
    fn last_cycle(&self, seen: &Window, every: f64) -> (f64, f64) {
        let last = seen.at.at(seen.end - seen.notch());
        let i = self.cycle(every, &last);
        (seen.end - self.begin(every, i), every * libm::pow(self.mult, i))
    }

    /// Whether a cycle ends below its top, so that it matters where it is left.
    fn falls(&self, seen: &Window, every: f64) -> bool {
        const LOOKS: u32 = 32;
        let first = At { len: every, ..seen.at };
        let lr = |s: f64| self.of.lr(&first.at(s), &Memories::default());
        let last = every - seen.notch();
        let end = lr(last);
        (0..LOOKS).any(|i| {
            let s = (last / seen.notch() * f64::from(i) / f64::from(LOOKS)).floor() * seen.notch();
            lr(s) > end * (1.0 + 1e-9)
        })
    }

    /// A run that goes on after the last cycle, with nothing to train with.
    fn warn_of_the_rest(&self, seen: &Window, end: f64, warnings: &mut Vec<Problem>) {
        if self.then.is_zero() && seen.outlasts(end) {
            let message = format!("the cycles end after {end} of {}, and `then` the lr is 0", seen.end);
            let problem = self.every.problem(message).with_lint(HORIZON_MISMATCH);
            warnings.push(problem.with_hint("leave out `limit`, write `then: 0.01x`, or a longer `every`"));
        }
    }

    /// The position inside the cycle and the decay so far; `None` after the last cycle.
    fn inside(&self, at: &At) -> Option<(At, f64)> {
        let every = self.every.ticks(at);
        let i = self.cycle(every, at);
        if self.limit.is_some_and(|limit| i >= limit as f64) {
            return None;
        }
        // Far beyond every run the length would be infinite.
        let length = (every * libm::pow(self.mult, i)).min(1e300);
        let factor = libm::pow(self.decay, i).min(f64::MAX);
        let inside = at.part(self.begin(every, i), length);
        let base = if self.decay_on == DecayOn::Peak { (at.base * factor).min(f64::MAX) } else { at.base };
        Some((At { base, ..inside }, factor))
    }
}

impl Branch for Restart {
    fn lr(&self, at: &At, memories: &Memories) -> f64 {
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

    fn active<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        if let Some((inside, _)) = self.inside(at) {
            see(&self.of, inside);
        }
    }

    fn parts<'a>(&'a self, at: &At, see: &mut dyn FnMut(&'a Part, At)) {
        see(&self.of, At { len: self.every.ticks(at), ..*at });
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        self.every.check(at, 1.0, problems);
    }

    fn seen<'a>(&'a self, seen: &Window, see: &mut dyn FnMut(&'a Part, Window)) {
        let every = self.every.ticks(&seen.at);
        see(&self.of, Window { at: At { s: 0.0, step: 0.0, len: every, ..seen.at }, end: every, ..*seen });
    }

    fn warn(&self, seen: &Window, warnings: &mut Vec<Problem>) {
        let every = self.every.ticks(&seen.at);
        if seen.cuts(every) {
            let message = format!("the first cycle takes {every}, the run has {}", seen.end);
            let hint = format!("write `every: {}`", seen.written(seen.end));
            warnings.push(self.every.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
            return;
        }
        if let Some(limit) = self.limit
            && self.begin(every, limit as f64) < seen.end
        {
            self.warn_of_the_rest(seen, self.begin(every, limit as f64), warnings);
            return;
        }
        if !self.falls(seen, every) {
            return;
        }
        let (into, length) = self.last_cycle(seen, every);
        if length - into <= seen.slack(length) {
            return;
        }
        let (lint, message) = if into <= seen.slack(length) {
            let message = format!("the run ({}) ends {into} into a new cycle, at its peak", seen.end);
            (RESTART_AT_PEAK, message)
        } else {
            (MID_CYCLE, format!("the run ({}) ends {into} into a cycle of {length}", seen.end))
        };
        let whole = |every: f64| {
            let (into, length) = self.last_cycle(seen, every);
            length - into <= seen.little(length)
        };
        let hint = match seen.nearest(
            every,
            self.cycle(every, &seen.at.at(seen.end)),
            |cycles| seen.end / self.begin(1.0, cycles),
            whole,
        ) {
            Some(every) => format!("write `every: {}`", seen.written(every)),
            None => "a budget of whole cycles".to_owned(),
        };
        warnings.push(self.every.problem(message).with_lint(lint).with_hint(hint));
    }

    fn keeps_constant(&self) -> bool {
        false
    }
}
