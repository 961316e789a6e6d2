//! Interpolation between knots.

use std::f64::consts::PI;

use super::Leaf;
use crate::blend::blend;
use crate::catalogue::{Build, Ends, Entry, ParamType, param, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::HORIZON_MISMATCH;
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "piecewise",
    aliases: &["PiecewiseLinear", "piecewise_interpolate_schedule", "piecewise_linear", "triangle"],
    summary: "interpolation between knots",
    formula: "lr = A + (B - A) * f with q = (s - a) / (b - a) between the knots [a, A] and [b, B]; f is q, \
              (1 - cos(pi q)) / 2 or 0, as `interp` says; with `interp: log`, lr = A * (B / A)^q",
    symbols: &[
        ("a", "step of a knot"),
        ("b", "step of the next knot"),
        ("A", "lr at knot a"),
        ("B", "lr at the next knot, b"),
        ("q", "fraction of the way from a to b"),
        ("f", "fraction of the way from A to B"),
    ],
    ends: Ends {
        before: "the first value up to the first knot",
        at: "a knot at \"100%\" is one step after the last update, which does not reach it",
        after: "the lr stays at the last value",
    },
    source: "optax piecewise_interpolate_schedule, ignite PiecewiseLinear",
    example: "{kind: piecewise, points: [[0, 0.1x], [\"30%\", 1x], [\"100%\", 0]]}",
    params: &[
        required("points", ParamType::Points, "the knots, strictly increasing in time"),
        param(
            "interp",
            ParamType::Choice(&["linear", "cosine", "constant", "log"]),
            "linear",
            "interpolation between the knots; `log` is linear in the log lr, for lrs above 0",
        ),
    ],
    build: Build::Leaf(|reader| {
        let (points, interp) = (reader.points("points"), reader.choice("interp"));
        let interp = match interp? {
            "cosine" => Interp::Cosine,
            "constant" => Interp::Constant,
            "log" => Interp::Log,
            _ => Interp::Linear,
        };
        Some(Box::new(Piecewise { points: points?, interp }))
    }),
};

#[derive(Debug)]
struct Piecewise {
    points: Vec<(Length, LrValue)>,
    interp: Interp,
}

#[derive(Debug)]
enum Interp {
    Linear,
    Cosine,
    Constant,
    Log,
}

impl Leaf for Piecewise {
    fn lr(&self, at: &Position) -> f64 {
        let mut before: Option<(f64, f64)> = None;
        for (when, value) in &self.points {
            let (b, end) = (when.ticks(at), value.of(at.base));
            if at.s < b {
                let Some((a, start)) = before else { return end };
                let q = (at.s - a) / (b - a);
                return match self.interp {
                    Interp::Linear => blend(start, end, q),
                    Interp::Cosine => blend(start, end, (1.0 - libm::cos(PI * q)) / 2.0),
                    Interp::Constant => start,
                    Interp::Log => start * libm::pow(end / start, q),
                };
            }
            before = Some((b, end));
        }
        before.map_or(0.0, |(_, value)| value)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        // Built from the last knot backwards: the condition of each interval comes before those of later
        // ones.
        let knots: Vec<(Term, Term)> =
            self.points.iter().map(|(when, value)| (when.formula(at), value.formula(&at.base))).collect();
        let Some((_, last)) = knots.last() else { return 0.0.into() };
        let stretches = knots.iter().zip(knots.iter().skip(1)).rev();
        let after = stretches.fold(last.clone(), |after, ((a, start), (b, end))| {
            let here = at.between(a, b).s;
            let q = (here - a.clone()) / (b.clone() - a.clone());
            let (start, end) = (start.clone(), end.clone());
            let value = match self.interp {
                Interp::Linear => start.towards(end, q),
                Interp::Cosine => end.towards(start, q.wave()),
                Interp::Constant => start,
                Interp::Log => start.clone() * (end / start).power(q),
            };
            Term::choose(at.s.clone().less(b.clone()), value, after)
        });
        match knots.first() {
            Some((a, value)) => Term::choose(at.s.clone().less(a.clone()), value.clone(), after),
            None => after,
        }
    }

    fn known(&self, at: &Position) -> Known {
        let points = self.points.iter().map(|(when, lr)| (when.ticks(at), lr.of(at.base))).collect();
        match self.interp {
            Interp::Linear => Known::Piecewise { points, cosine: false },
            Interp::Cosine => Known::Piecewise { points, cosine: true },
            Interp::Constant | Interp::Log => Known::Other,
        }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let is_log = matches!(self.interp, Interp::Log);
        for (when, _) in self.points.iter().filter(|(_, lr)| is_log && lr.is_zero()) {
            let message = format!("`interp: log` needs lrs above 0, found 0 at {}", when.written());
            problems.push(when.problem(message).with_hint("write a small lr, as in 0.001x"));
        }
        let mut before = None;
        for (when, _) in &self.points {
            let Some(here) = when.check(at, 0.0, problems) else { continue };
            if let Some(before) = before
                && here <= before
            {
                problems.push(when.problem(format!(
                    "expected knots in strictly rising order, found {here} after {before}"
                )));
            }
            before = Some(here);
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        self.points.iter().for_each(|(when, _)| when.warn_if_lost(&covered.start, warnings));
        for (when, _) in
            self.points.iter().filter(|(when, _)| covered.ends_before(when.ticks(&covered.start)))
        {
            let message =
                format!("this knot ({}) is after the end of the run ({})", when.written(), covered.end);
            let hint = format!("remove it, or write at most {}", covered.written(covered.end));
            warnings.push(when.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }
}
