//! Ramps: curves from one lr to another. A ramp is a schedule, and its shape can be that of a cooldown. One
//! file per shape; the progress of each step is computed here.

use crate::blend::blend;
use crate::catalogue::{ABOVE_0, Ends, Entry, Param, ParamType, optional, param};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::{Known, KnownRamp, Way};
use crate::leaf::Leaf;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NEVER_CHANGES, ZERO_WARMUP, warning};
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::Position;

pub(crate) mod cosine;
pub(crate) mod exp_norm;
pub(crate) mod geometric;
pub(crate) mod linear;
pub(crate) mod one_minus_power;
pub(crate) mod one_minus_sqrt;
pub(crate) mod polynomial;
pub(crate) mod rex;
pub(crate) mod tanh;

/// The parameters of every ramp.
pub(crate) const PARAMS: &[Param] = &[
    param("from", ParamType::Lr, "1x", "lr at progress 0"),
    param("to", ParamType::Lr, "0", "lr at progress 1"),
    optional("over", ParamType::Length(1), "length N of the ramp; the whole segment by default"),
    SAMPLE,
    K,
    param(
        "after",
        ParamType::Choice(&["hold", "continue", "stretch", "error"]),
        "hold",
        "after the ramp: `hold` the last value, `continue` the formula (never below 0), `stretch` the ramp to the next \
         multiple of N, or `error` if the ramp ends before its segment",
    ),
];

/// The ends of every ramp.
pub(crate) const ENDS: Ends = Ends {
    before: "starts exactly at `from`; with `sample` `right` or `open` one step further",
    at: "the last step, N - 1, is one step short of `to`; with `sample` `right` or `closed` it is exactly `to`",
    after: "from step N on the lr stays at `to` (p = 1); `after` sets other behaviour",
};

/// The parameter that sets the progress p of step s in a ramp of N steps.
pub(crate) const SAMPLE: Param = param(
    "sample",
    ParamType::Choice(&["left", "right", "closed", "open"]),
    "left",
    "progress p of step s: `left` s/N, `right` (s+1)/N, `closed` s/(N-1), `open` (s+1)/(N+1)",
);

/// The parameter that changes the progress of a ramp to a power of it.
pub(crate) const K: Param = param(
    "k",
    ParamType::Number(ABOVE_0),
    "1",
    "k-decay (arXiv 2004.05909): the formula uses p^k instead of p",
);

/// The curve of a ramp.
pub(crate) trait Shape: std::fmt::Debug + Send + Sync {
    /// The remaining fraction of the change at progress `p`: 1 at 0 and 0 at 1, unless the formula differs.
    /// `p` is at least 0 and may exceed 1.
    fn left(&self, p: f64) -> f64;

    /// The lr at progress `p`.
    fn value(&self, p: f64, from: f64, to: f64) -> f64 {
        blend(to, from, self.left(p))
    }

    /// The hint if the curve does not reach its target at progress 1.
    fn suggestion(&self) -> Option<&'static str> {
        None
    }

    /// [`Shape::left`], as a term.
    fn left_formula(&self, p: &Progress) -> Term;

    /// The lr, as a term.
    fn formula(&self, p: &Progress, from: Term, to: Term) -> Term {
        to.towards(from, self.left_formula(p))
    }

    /// The curve in the form that other libraries have.
    fn way(&self) -> Option<Way> {
        None
    }

    /// Whether both ends must be above 0. A ramp checks this when it reads its ends; a cooldown reads its
    /// shape after its ends.
    fn needs_positive_ends(&self) -> bool {
        false
    }
}

/// How the progress of a step is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    Left,
    Right,
    Closed,
    Open,
}

/// The progress that the formula uses: p^k.
pub(crate) fn bent(p: f64, k: f64) -> f64 {
    if k == 1.0 { p } else { libm::pow(p, k) }
}

/// Progress and remaining fraction as terms, written so that no digits cancel near the end.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) p: Term,
    pub(crate) left: Term,
}

impl Progress {
    /// `num / den`.
    fn of(num: Term, den: Term) -> Self {
        let p = (num.clone() / den.clone()).named("p");
        Self { p, left: (den.clone() - num) / den }
    }

    /// The same, known to be at most 1.
    fn at_most_1(self) -> Self {
        Self { p: self.p.within(0.0, 1.0), left: self.left.within(0.0, 1.0) }
    }

    /// [`bent`].
    pub(crate) fn bent(self, k: f64) -> Self {
        if k == 1.0 {
            return self;
        }
        let p = self.p.power(k);
        Self { left: Term::from(1.0) - p.clone(), p }
    }
}

impl Sample {
    pub(crate) fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        Some(match reader.choice("sample")? {
            "right" => Sample::Right,
            "closed" => Sample::Closed,
            "open" => Sample::Open,
            _ => Sample::Left,
        })
    }

    /// Progress of step `s` in a ramp of `n` steps; 1 or more after its end.
    pub(crate) fn progress(self, s: f64, n: f64) -> f64 {
        match self {
            Sample::Left => s / n,
            Sample::Right => (s + 1.0) / n,
            // A ramp of one step stays at its start.
            Sample::Closed if n <= 1.0 => s,
            Sample::Closed => s / (n - 1.0),
            Sample::Open => (s + 1.0) / (n + 1.0),
        }
    }

    /// Whether progress is at most 1 at every position before the end.
    fn ends_late(self, s: &Term, n: &Term) -> bool {
        match self {
            Sample::Left => true,
            Sample::Right | Sample::Open => s.is_whole() && n.is_whole(),
            Sample::Closed => false,
        }
    }

    /// Numerator and denominator of [`Sample::progress`].
    fn share(self, s: Term, n: Term) -> (Term, Term) {
        match self {
            Sample::Left => (s, n),
            Sample::Right => (s + 1.0, n),
            Sample::Closed => (s, Term::choose(n.clone().up_to(1.0), 1.0.into(), n - 1.0)),
            Sample::Open => (s + 1.0, n + 1.0),
        }
    }

    /// [`Sample::progress`], as a term.
    pub(crate) fn formula(self, s: Term, n: Term) -> Progress {
        let (num, den) = self.share(s, n);
        Progress::of(num, den)
    }

    /// The same, at most 1.
    pub(crate) fn capped(self, s: Term, n: Term) -> Progress {
        let (num, den) = self.share(s, n);
        Progress::of(num.at_most(den.clone()), den).at_most_1()
    }
}

/// The progress at the end of a ramp.
pub(crate) fn finished() -> Progress {
    Progress { p: 1.0.into(), left: 0.0.into() }
}

/// The message if a segment is longer than a ramp or cycle with `after: error`.
pub(crate) fn no_lr_after(what: &str, n: f64, len: f64) -> String {
    format!("the {what} ends after {n} of {len} and has no lr after its end")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Hold,
    Continue,
    Stretch,
    Error,
}

/// A ramp as a schedule.
#[derive(Debug)]
pub(crate) struct Ramp {
    from: LrValue,
    to: LrValue,
    over: Option<Length>,
    sample: Sample,
    k: f64,
    after: After,
    shape: Box<dyn Shape>,
}

impl Ramp {
    pub(crate) fn read(
        reader: &mut Reader<'_, '_>,
        shape: fn(&mut Reader<'_, '_>) -> Option<Box<dyn Shape>>,
    ) -> Option<Self> {
        let (from, to, over) = (reader.lr("from"), reader.lr("to"), reader.maybe_length("over"));
        let (sample, k) = (Sample::read(reader), reader.number("k"));
        let after = reader.choice("after").map(|after| match after {
            "continue" => After::Continue,
            "stretch" => After::Stretch,
            "error" => After::Error,
            _ => After::Hold,
        });
        let shape = shape(reader);
        Some(Self { from: from?, to: to?, over: over?, sample: sample?, k: k?, after: after?, shape: shape? })
    }
}

impl Leaf for Ramp {
    fn lr(&self, at: &Position) -> f64 {
        let n = self.over.as_ref().map_or(at.len, |over| over.ticks(at));
        let p = match self.after {
            // The body is empty if warmup and cooldown fill the run.
            _ if n <= 0.0 => 1.0,
            After::Continue => self.sample.progress(at.s, n),
            After::Stretch => self.sample.progress(at.s, n * (at.s / n).ceil().max(1.0)).min(1.0),
            After::Hold | After::Error if at.s >= n => 1.0,
            After::Hold | After::Error => self.sample.progress(at.s, n),
        };
        // `continue` may cross 0.
        self.shape.value(bent(p, self.k), self.from.of(at.base), self.to.of(at.base)).max(0.0)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let n = self.over.as_ref().map_or(at.len.clone(), |over| over.formula(at)).named("over");
        let s = at.s.clone();
        let (from, to) = (self.from.formula(&at.base), self.to.formula(&at.base));
        let value = |p: Progress| self.shape.formula(&p.bent(self.k), from.clone(), to.clone());
        let running = match self.after {
            After::Continue => value(self.sample.formula(s, n.clone())),
            After::Stretch => {
                let rounds = (s.clone() / n.clone()).function("ceil", f64::ceil).at_least(1.0);
                value(self.sample.capped(s, (n.clone() * rounds).named("length")))
            }
            // The ramp never reaches its end.
            After::Hold | After::Error
                if at.inside && self.over.is_none() && self.sample.ends_late(&s, &n) =>
            {
                value(self.sample.formula(s, n.clone()).at_most_1())
            }
            // Between whole ticks progress may exceed 1 before the end.
            After::Hold | After::Error if self.sample == Sample::Left || (s.is_whole() && n.is_whole()) => {
                value(self.sample.capped(s, n.clone()))
            }
            After::Hold | After::Error => Term::choose(
                s.clone().reaches(n.clone()),
                value(finished()),
                value(self.sample.formula(s, n.clone())),
            ),
        };
        Term::choose(n.up_to(0.0), value(finished()), running)
    }

    fn known(&self, at: &Position) -> Known {
        let ahead = match self.sample {
            Sample::Left => false,
            Sample::Right => true,
            _ => return Known::Other,
        };
        let over = self.over.as_ref().map_or(at.len, |over| over.ticks(at));
        match self.shape.way() {
            Some(way) if self.k == 1.0 && self.after != After::Stretch && over > 0.0 => {
                Known::Ramp(KnownRamp {
                    way,
                    from: self.from.of(at.base),
                    to: self.to.of(at.base),
                    over,
                    ahead,
                    holds: self.after != After::Continue,
                })
            }
            _ => Known::Other,
        }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let Some(over) = &self.over else { return };
        if let Some(n) = over.check(at, 1.0, problems)
            && self.after == After::Error
            && n < at.len
        {
            problems.push(over.problem(no_lr_after("ramp", n, at.len)));
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let (from, to) = (self.from.of(covered.start.base), self.to.of(covered.start.base));
        if from == to {
            let message = "`from` and `to` are the same lr, so the ramp is constant";
            warnings.push(warning(NEVER_CHANGES, message).with_hint("another `to`, or {kind: constant}"));
            return;
        }
        if from < to && covered.start.s == 0.0 && self.lr(&covered.start) == 0.0 {
            let message = "the first update of this ramp has lr 0 and changes nothing";
            warnings.push(warning(ZERO_WARMUP, message).with_hint("`from: 0.01x`, or `sample: right`"));
        }
        self.warn_of_the_end(covered, from < to, warnings);
    }
}

impl Ramp {
    /// Warns if the ramp does not end with the run.
    fn warn_of_the_end(&self, covered: &Coverage, rises: bool, warnings: &mut Vec<Problem>) {
        let left = self.shape.left(1.0);
        if left.abs() > NEAR {
            let message = format!("the ramp ends {:.0}% of the way short of `to`", 100.0 * left);
            let problem = warning(HORIZON_MISMATCH, message);
            warnings.push(match self.shape.suggestion() {
                Some(hint) => problem.with_hint(hint),
                None => problem,
            });
            return;
        }
        let Some(over) = &self.over else { return };
        let n = over.ticks(&covered.start);
        let message = match self.after {
            _ if covered.ends_before(n) => {
                format!("the ramp takes {n}, but the run has only {}: it stops before its end", covered.end)
            }
            _ if !covered.outlasts(n) => return,
            // A rise that ends early is a warmup.
            After::Hold | After::Error if rises => return,
            After::Hold | After::Error => {
                format!("the ramp ends after {n} of {}: the lr stays at `to` for the rest", covered.end)
            }
            After::Continue if self.back_at_end(covered, n) => return,
            After::Continue => {
                format!("the ramp ends after {n} of {}, and its formula continues", covered.end)
            }
            After::Stretch => {
                let over = covered.end.rem_euclid(n);
                if over <= covered.unit() || n - over <= covered.unit() {
                    return;
                }
                format!("the ramp ends at multiples of {n}, but the run ends after {}", covered.end)
            }
        };
        let hint = format!("remove `over`, or write `over: {}`", covered.written(covered.end));
        warnings.push(over.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
    }

    /// Whether a continued wave is back at `to` when the run ends.
    fn back_at_end(&self, covered: &Coverage, n: f64) -> bool {
        let left = |s: f64| self.shape.left(bent(self.sample.progress(s, n), self.k)).abs();
        left(covered.end) <= NEAR || left(covered.end - covered.unit()) <= NEAR
    }
}

/// The remaining fraction that is tolerated at the end.
const NEAR: f64 = 0.01;

/// Reads the shape of a cooldown and its own parameters.
pub(crate) fn shape_of(entry: &'static Entry, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Shape>> {
    reader.allow(entry.params);
    match entry.build {
        crate::catalogue::Build::Ramp(read) => read(reader),
        _ => None,
    }
}
