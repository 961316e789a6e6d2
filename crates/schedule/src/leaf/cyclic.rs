//! Cyclical learning rates.

use super::Leaf;
use crate::blend::blend;
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, ParamType, optional, param, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, MID_CYCLE, NEVER_CHANGES, warning};
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::reader::Momentum;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "cyclic",
    aliases: &["CyclicLR", "clr", "triangular", "triangular2", "exp_range", "cyclical"],
    summary: "rises and falls in repeated cycles, without end",
    formula: "c = floor(1 + s/(u+d)), x = 1 + s/(u+d) - c, r = u/(u+d), h = x/r for x <= r, else (1-x)/(1-r); lr = min \
              + (max - min) * h * F, where F is 1 (triangular), 2^(1-c) (triangular2) or gamma^s (exp_range). With \
              `momentum` the momentum falls from its max to its min while the lr rises",
    symbols: &[
        ("u", "length of the rise, `up`"),
        ("d", "length of the fall, `down`"),
        ("c", "index of the cycle, from 1"),
        ("x", "position in the cycle, from 0 to 1"),
        ("r", "fraction of the cycle in which the lr rises"),
        ("h", "height: 0 at the lowest lr, 1 at the peak"),
        ("F", "factor on the peak of the cycle"),
    ],
    ends: Ends {
        before: "`min` at s = 0, first peak at s = up",
        at: "depends on the position in the cycle: a run of whole cycles ends one step above `min`",
        after: "the cycles continue without end",
    },
    source: "Smith, arXiv 1506.01186; torch CyclicLR",
    example: "{kind: cyclic, min: 0.1x, up: \"10%\"}",
    params: &[
        required("min", ParamType::Lr, "lowest lr of each cycle"),
        param("max", ParamType::Lr, "1x", "highest lr of the first cycle, at least `min`"),
        param("up", ParamType::Length(1), "2000", "length of the rise"),
        optional("down", ParamType::Length(1), "length of the fall; the same as `up` by default"),
        param(
            "mode",
            ParamType::Choice(&["triangular", "triangular2", "exp_range"]),
            "triangular",
            "how the peaks change from cycle to cycle",
        ),
        param(
            "gamma",
            ParamType::Number(ABOVE_0),
            "1",
            "factor per step of exp_range; a value above 1 must not make a cycled momentum negative",
        ),
        optional(
            "momentum",
            ParamType::Momentum,
            "cycle the momentum (Adam: beta1) between these bounds; off by default",
        ),
    ],
    build: Build::Leaf(|reader| {
        let (min, max) = (reader.lr("min"), reader.lr("max"));
        let (up, down) = (reader.length("up"), reader.maybe_length("down"));
        let (mode, gamma, momentum) = (reader.choice("mode"), reader.number("gamma"), reader.momentum());
        let top_place = reader.place_of("max");
        let path = reader.fields.path_of("max");
        let mode = match mode? {
            "triangular2" => Mode::Triangular2,
            "exp_range" => Mode::ExpRange { gamma: gamma? },
            _ => Mode::Triangular,
        };
        let order = Problem::new(top_place, path, "`max` is below `min`");
        let growth = Problem::new(reader.place_of("gamma"), reader.fields.path_of("gamma"), "")
            .with_hint("use a `gamma` of at most 1, a shorter run, or no cycled momentum");
        Some(Box::new(Cyclic {
            min: min?,
            max: max?,
            up: up?,
            down: down?,
            mode,
            momentum: momentum?,
            order,
            growth,
        }))
    }),
};

#[derive(Debug)]
struct Cyclic {
    min: LrValue,
    max: LrValue,
    up: Length,
    down: Option<Length>,
    mode: Mode,
    momentum: Option<Momentum>,
    /// The problem if `max` is below `min`, which depends on the base lr.
    order: Problem,
    /// The problem if the momentum falls below 0. The message is added later.
    growth: Problem,
}

#[derive(Debug)]
enum Mode {
    Triangular,
    Triangular2,
    ExpRange { gamma: f64 },
}

impl Cyclic {
    /// The hint for whole cycles of about `length`, with the same proportion of rise and fall.
    fn suggestion(&self, covered: &Coverage, length: f64, up: f64) -> String {
        let unit = covered.unit();
        let rise = |cycle: f64| (up / length * cycle / unit).round().max(1.0) * unit;
        let whole = |cycle: f64| {
            let into = (covered.end - unit).rem_euclid(cycle);
            let halves = self.down.is_some() || (cycle / unit / 2.0).fract() == 0.0;
            halves
                && rests(covered, cycle)
                && rise(cycle) < cycle
                && (into < 1e-9 || cycle - unit - into <= covered.hint_tolerance(cycle))
        };
        match covered.nearest(length, covered.end / length, |cycles| covered.end / cycles, whole) {
            Some(cycle) if self.down.is_some() => {
                let (up, down) = (rise(cycle), cycle - rise(cycle));
                format!("write `up: {}` and `down: {}`", covered.written(up), covered.written(down))
            }
            Some(cycle) => format!("write `up: {}`", covered.written(cycle / 2.0)),
            None => "choose a budget of whole cycles".to_owned(),
        }
    }

    /// The height: 0 at the lowest lr, 1 at the peak of the first cycle.
    fn height(&self, at: &Position) -> f64 {
        let up = self.up.ticks(at);
        let length = up + self.down.as_ref().map_or(up, |down| down.ticks(at));
        let ratio = up / length;
        let cycle = (1.0 + at.s / length).floor();
        let x = 1.0 + at.s / length - cycle;
        let height = if x <= ratio { x / ratio } else { (1.0 - x) / (1.0 - ratio) };
        let factor = match self.mode {
            Mode::Triangular => 1.0,
            Mode::Triangular2 => libm::exp2(1.0 - cycle),
            // A factor above 1 overflows. It must stay finite, because 0 times it must be 0.
            Mode::ExpRange { gamma } => libm::pow(gamma, at.s).min(f64::MAX),
        };
        height * factor
    }

    fn height_formula(&self, at: &TermPosition) -> Term {
        let up = self.up.formula(at);
        let length = up.clone() + self.down.as_ref().map_or(up.clone(), |down| down.formula(at));
        let s = at.s.clone();
        let before = s.clone().divide_down(length.clone());
        // Ticks since the start of this cycle.
        let x = if s.is_multiple_exact() && length.is_whole() {
            s.clone().remainder(length.clone())
        } else {
            s.clone() - length.clone() * before.clone()
        };
        let x = x.named("x");
        let fall = (length.clone() - x.clone()) / (length - up.clone());
        let height = Term::choose(x.clone().less(up.clone()), x / up, fall);
        match self.mode {
            Mode::Triangular => height,
            Mode::Triangular2 => height * Term::from(0.5).power(before),
            Mode::ExpRange { gamma } => height * Term::from(gamma).power(s),
        }
    }
}

impl Cyclic {
    /// The lowest momentum of the segment and its tick; `None` if the peaks do not grow.
    fn lowest_momentum(&self, at: &Position) -> Option<(f64, f64)> {
        self.momentum?;
        let Mode::ExpRange { gamma } = self.mode else { return None };
        let up = self.up.ticks(at);
        let length = up + self.down.as_ref().map_or(up, |down| down.ticks(at));
        // If the peaks grow, the highest is one of the last two.
        let first = (at.len - 2.0 * length).max(0.0).floor();
        let ticks = (0_u32..).map(|i| first + f64::from(i)).take_while(|s| *s < at.len);
        let lowest =
            ticks.filter_map(|s| Some((s, self.momentum(&at.at(s))?))).min_by(|a, b| a.1.total_cmp(&b.1));
        lowest.filter(|_| gamma > 1.0)
    }
}

impl Leaf for Cyclic {
    fn lr(&self, at: &Position) -> f64 {
        blend(self.min.of(at.base), self.max.of(at.base), self.height(at))
    }

    fn formula(&self, at: &TermPosition) -> Term {
        self.min.formula(&at.base).towards(self.max.formula(&at.base), self.height_formula(at))
    }

    fn known(&self, at: &Position) -> Known {
        let up = self.up.ticks(at);
        let (mode, gamma) = match self.mode {
            Mode::Triangular => ("triangular", 1.0),
            Mode::Triangular2 => ("triangular2", 1.0),
            Mode::ExpRange { gamma } => ("exp_range", gamma),
        };
        Known::Cyclic {
            min: self.min.of(at.base),
            max: self.max.of(at.base),
            up,
            down: self.down.as_ref().map_or(up, |down| down.ticks(at)),
            mode,
            gamma,
            momentum: self.momentum.map(|momentum| (momentum.min, momentum.max)),
        }
    }

    fn momentum(&self, at: &Position) -> Option<f64> {
        let momentum = self.momentum?;
        Some(blend(momentum.max, momentum.min, self.height(at)))
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.up.check(at, 1.0, problems);
        if let Some(down) = &self.down {
            down.check(at, 1.0, problems);
        }
        if self.max.of(at.base) < self.min.of(at.base) {
            problems.push(self.order.clone());
        }
        if let Some((s, momentum)) = self.lowest_momentum(at).filter(|(_, momentum)| *momentum < 0.0) {
            let message =
                format!("the momentum falls below 0 because the peaks grow: it is {momentum} at step {s}");
            problems.push(Problem { message, ..self.growth.clone() });
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        if self.min.of(covered.start.base) == self.max.of(covered.start.base) {
            let message = "`min` and `max` are the same lr, so the lr never changes";
            warnings.push(warning(NEVER_CHANGES, message).with_hint("choose another `min`"));
            return;
        }
        let up = self.up.ticks(&covered.start);
        let length = up + self.down.as_ref().map_or(up, |down| down.ticks(&covered.start));
        if covered.ends_before(length) {
            let what = if up >= covered.end { "the first peak" } else { "the end of the first cycle" };
            let after = if up >= covered.end { up } else { length };
            let message = format!("the run ({}) ends before {what} ({after})", covered.end);
            let hint = self.suggestion(covered, length, up);
            warnings.push(self.up.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        } else if !rests(covered, length) {
            let into = covered.end.rem_euclid(length);
            let message = format!("the run ({}) ends {into} into a cycle of {length}", covered.end);
            let hint = self.suggestion(covered, length, up);
            warnings.push(self.up.problem(message).with_lint(MID_CYCLE).with_hint(hint));
        }
    }
}

/// Whether the run ends at the end of a cycle of this length, or close enough to it.
fn rests(covered: &Coverage, length: f64) -> bool {
    let into = (covered.end - covered.unit()).rem_euclid(length);
    into <= length / 100.0 + 1e-9 || length - into <= covered.tolerance(length)
}
