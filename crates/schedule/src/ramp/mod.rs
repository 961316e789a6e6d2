//! Ramps: ways from one lr to another over a stretch of time. A ramp is a schedule of its own, and the
//! shape of warmup and cooldown. One file per shape; where in a ramp a step stands is decided here.

use crate::blend::blend;
use crate::catalogue::{ABOVE_0, Ends, Entry, Holds, Param, optional, param};
use crate::leaf::Leaf;
use crate::length::Length;
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::segment::At;

pub(crate) mod cosine;
pub(crate) mod exp_norm;
pub(crate) mod geometric;
pub(crate) mod linear;
pub(crate) mod one_minus_power;
pub(crate) mod one_minus_sqrt;
pub(crate) mod polynomial;
pub(crate) mod rex;
pub(crate) mod tanh;

/// What every ramp takes.
pub(crate) const PARAMS: &[Param] = &[
    param("from", Holds::Lr, "1x", "lr at progress 0"),
    param("to", Holds::Lr, "0", "lr at progress 1"),
    optional("over", Holds::Length(1), "length N of the ramp; the whole enclosing length if not given"),
    SAMPLE,
    K,
    param(
        "after",
        Holds::Choice(&["hold", "continue", "stretch", "error"]),
        "hold",
        "beyond the ramp: `hold` the last value, `continue` the formula (never below 0), `stretch` the ramp to the \
         next multiple of N, `error` if the ramp ends before its segment",
    ),
];

/// How every ramp ends.
pub(crate) const ENDS: Ends = Ends {
    before: "starts exactly at `from`; with `sample` `right` or `open` one notch in",
    at: "the last step, N - 1, stands one notch short of `to`; with `sample` `right` or `closed` exactly on it",
    after: "from step N on the lr of p = 1 holds, which is `to`; `after` names the other ways",
};

/// The parameter that says where in a ramp of N steps the progress p of step s is taken.
pub(crate) const SAMPLE: Param = param(
    "sample",
    Holds::Choice(&["left", "right", "closed", "open"]),
    "left",
    "progress p of step s: `left` s/N, `right` (s+1)/N, `closed` s/(N-1), `open` (s+1)/(N+1)",
);

/// The parameter that bends the clock of a ramp.
pub(crate) const K: Param =
    param("k", Holds::Number(ABOVE_0), "1", "k-decay (arXiv 2004.05909): the formula takes p^k for p");

/// The way a ramp takes.
pub(crate) trait Shape: std::fmt::Debug + Send + Sync {
    /// The share of the way that is left at progress `p`: 1 at 0, 0 at 1 (but where the formula says
    /// otherwise). `p` is at least 0 and may exceed 1.
    fn left(&self, p: f64) -> f64;

    /// The lr at progress `p`.
    fn value(&self, p: f64, from: f64, to: f64) -> f64 {
        blend(to, from, self.left(p))
    }

    /// Whether both ends must be above 0. A ramp of its own has its ends read so; in a cooldown the shape
    /// is known only after them.
    fn needs_positive_ends(&self) -> bool {
        false
    }
}

/// Where in a ramp a step's progress is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    Left,
    Right,
    Closed,
    Open,
}

/// How progress becomes what the formula takes: p^k.
pub(crate) fn bent(p: f64, k: f64) -> f64 {
    if k == 1.0 { p } else { libm::pow(p, k) }
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

    /// Progress of step `s` in a ramp of `n` steps; 1 or more where the ramp is over.
    pub(crate) fn progress(self, s: f64, n: f64) -> f64 {
        match self {
            Sample::Left => s / n,
            Sample::Right => (s + 1.0) / n,
            // A ramp of one step stands at its start.
            Sample::Closed if n <= 1.0 => s,
            Sample::Closed => s / (n - 1.0),
            Sample::Open => (s + 1.0) / (n + 1.0),
        }
    }
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
    fn lr(&self, at: &At) -> f64 {
        let n = self.over.as_ref().map_or(at.len, |over| over.ticks(at));
        let p = match self.after {
            // A body between a warmup and a cooldown that fill the run has no length.
            _ if n <= 0.0 => 1.0,
            After::Continue => self.sample.progress(at.s, n),
            After::Stretch => self.sample.progress(at.s, n * (at.s / n).ceil().max(1.0)).min(1.0),
            After::Hold | After::Error if at.s >= n => 1.0,
            After::Hold | After::Error => self.sample.progress(at.s, n),
        };
        // `continue` may cross 0.
        self.shape.value(bent(p, self.k), self.from.of(at.base), self.to.of(at.base)).max(0.0)
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        let Some(over) = &self.over else { return };
        if let Some(n) = over.check(at, 1.0, problems)
            && self.after == After::Error
            && n < at.len
        {
            let message = format!("the ramp ends after {n} of {}, and `after: error` forbids that", at.len);
            problems.push(over.problem(message));
        }
    }

    fn warn(&self, at: &At, warnings: &mut Vec<Problem>) {
        if let Some(over) = &self.over
            && over.ticks(at) > at.len
        {
            let message = format!(
                "the ramp takes {} but the run leaves {}: it is cut before it reaches its end",
                over.ticks(at),
                at.len
            );
            warnings.push(over.problem(message).with_hint("without `over` it takes all there is"));
        }
    }
}

/// Reads the shape of a warmup or cooldown and its own parameters.
pub(crate) fn shape_of(entry: &'static Entry, reader: &mut Reader<'_, '_>) -> Option<Box<dyn Shape>> {
    reader.also(entry.params);
    match entry.build {
        crate::catalogue::Build::Ramp(read) => read(reader),
        _ => None,
    }
}
