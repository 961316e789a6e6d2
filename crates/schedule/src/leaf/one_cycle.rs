//! The 1cycle policy, with the knots of torch.

use std::f64::consts::PI;

use super::Leaf;
use crate::blend::blend;
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, FROM_0_TO_1, ParamType, optional, param};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NO_RISE};
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::ramp::no_lr_after;
use crate::reader::Momentum;
use crate::segment::Position;
use crate::tree::Place;

pub(crate) static ENTRY: Entry = Entry {
    kind: "one_cycle",
    aliases: &["OneCycleLR", "onecycle", "1cycle", "superconvergence"],
    summary: "one rise and one long fall (1cycle)",
    formula: "lr rises from max/div to max at step pct_start * N - 1, then falls to max/(div * final_div) at step N - \
              1; with `three_phase` it first falls back to max/div at step 2 * pct_start * N - 2. Knots may lie between \
              steps. With `momentum` the momentum moves in the opposite direction",
    symbols: &[("N", "length of the cycle: `over`, or S")],
    ends: Ends {
        before: "max/div at s = 0, unless pct_start * N is below 1: then it starts after its peak",
        at: "exactly max/(div * final_div) at step N - 1",
        after: "the lr stays at its last value; with `after: error` a longer run is refused (torch continues by its \
                formula for one step, then raises an error)",
    },
    source: "Smith, arXiv 1708.07120; torch OneCycleLR",
    example: "{kind: one_cycle, pct_start: 0.3}",
    params: &[
        param("max", ParamType::Lr, "1x", "highest lr"),
        optional("over", ParamType::Length(1), "length N of the cycle; the whole segment by default"),
        param(
            "pct_start",
            ParamType::Number(FROM_0_TO_1),
            "0.3",
            "fraction of the cycle in which the lr rises",
        ),
        param("div", ParamType::Number(ABOVE_0), "25", "the first lr is max/div"),
        param(
            "final_div",
            ParamType::Number(ABOVE_0),
            "10000",
            "the last lr is the first one divided by this",
        ),
        param("anneal", ParamType::Choice(&["cos", "linear"]), "cos", "interpolation between the knots"),
        param(
            "three_phase",
            ParamType::Flag,
            "false",
            "fall back to max/div in as many steps as the rise, then to the \
                                                        last lr",
        ),
        param(
            "after",
            ParamType::Choice(&["hold", "error"]),
            "hold",
            "after the cycle: `hold` the last value, or `error` if the cycle ends before its segment",
        ),
        optional(
            "momentum",
            ParamType::Momentum,
            "cycle the momentum (Adam: beta1) between these bounds; off by default",
        ),
    ],
    build: Build::Leaf(|reader| {
        let (max, over, pct_start) =
            (reader.lr("max"), reader.maybe_length("over"), reader.number("pct_start"));
        let (div, final_div) = (reader.number("div"), reader.number("final_div"));
        let (anneal, three_phase) = (reader.choice("anneal"), reader.flag("three_phase"));
        let (after, momentum) = (reader.choice("after"), reader.momentum());
        let (place, path) = (reader.place_of("pct_start"), reader.fields.path_of("pct_start"));
        Some(Box::new(OneCycle {
            max: max?,
            over: over?,
            pct_start: pct_start?,
            div: div?,
            final_div: final_div?,
            linear: anneal? == "linear",
            three_phase: three_phase?,
            ends: after? == "error",
            momentum: momentum?,
            place,
            path,
        }))
    }),
};

#[derive(Debug)]
struct OneCycle {
    max: LrValue,
    over: Option<Length>,
    pct_start: f64,
    div: f64,
    final_div: f64,
    linear: bool,
    three_phase: bool,
    /// Whether it is an error if the segment is longer.
    ends: bool,
    momentum: Option<Momentum>,
    place: Place,
    path: String,
}

/// The value of a knot.
#[derive(Clone, Copy)]
enum Knot {
    First,
    Top,
    Last,
}

impl OneCycle {
    fn n(&self, at: &Position) -> f64 {
        self.over.as_ref().map_or(at.len, |over| over.ticks(at))
    }

    fn problem(&self, message: String) -> Problem {
        Problem::new(self.place, self.path.clone(), message)
    }

    /// The knots around a position, and the interpolated fraction from the first to the second.
    fn between(&self, at: &Position) -> (Knot, Knot, f64) {
        let n = self.n(at);
        let (top, back, last) = (self.pct_start * n - 1.0, 2.0 * self.pct_start * n - 2.0, n - 1.0);
        let s = at.s.min(last);
        let (start, end, from, to) = if s <= top {
            (0.0, top, Knot::First, Knot::Top)
        } else if !self.three_phase {
            (top, last, Knot::Top, Knot::Last)
        } else if s <= back {
            (top, back, Knot::Top, Knot::First)
        } else {
            (back, last, Knot::First, Knot::Last)
        };
        // An interval of length 0 (0 / 0) is at its end.
        let q = ((s - start) / (end - start)).min(1.0);
        (from, to, if self.linear { q } else { (1.0 - libm::cos(PI * q)) / 2.0 })
    }
}

impl OneCycle {
    /// The interpolation between knots with the given values.
    fn between_formula(&self, at: &TermPosition, value: &dyn Fn(Knot) -> Term) -> Term {
        let n = self.over.as_ref().map_or(at.len.clone(), |over| over.formula(at));
        let last = n.clone() - 1.0;
        let s = at.s.clone().at_most(last.clone());
        let stretch = |start: Term, end: Term, from: Knot, to: Knot| {
            let length = end - start.clone();
            // An interval of length 0 is at its end.
            let q = Term::choose(
                Term::from(0.0).less(length.clone()),
                ((s.clone() - start) / length).at_most(1.0),
                1.0.into(),
            );
            if self.linear {
                value(from).towards(value(to), q)
            } else {
                value(to).towards(value(from), q.wave())
            }
        };
        let top = n.clone() * self.pct_start - 1.0;
        let up = stretch(0.0.into(), top.clone(), Knot::First, Knot::Top);
        let down = if self.three_phase {
            let back = n * (2.0 * self.pct_start) - 2.0;
            let first = stretch(top.clone(), back.clone(), Knot::Top, Knot::First);
            let second = stretch(back.clone(), last, Knot::First, Knot::Last);
            Term::choose(s.clone().up_to(back), first, second)
        } else {
            stretch(top.clone(), last, Knot::Top, Knot::Last)
        };
        Term::choose(s.up_to(top), up, down)
    }
}

impl Leaf for OneCycle {
    fn lr(&self, at: &Position) -> f64 {
        let max = self.max.of(at.base);
        let value = |knot| match knot {
            Knot::First => max / self.div,
            Knot::Top => max,
            Knot::Last => max / self.div / self.final_div,
        };
        let (from, to, q) = self.between(at);
        blend(value(from), value(to), q)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let max = self.max.formula(&at.base);
        let value = |knot| match knot {
            Knot::First => max.clone() / self.div,
            Knot::Top => max.clone(),
            Knot::Last => max.clone() / self.div / self.final_div,
        };
        self.between_formula(at, &value)
    }

    fn known(&self, at: &Position) -> Known {
        Known::OneCycle {
            max: self.max.of(at.base),
            over: self.n(at),
            pct_start: self.pct_start,
            div: self.div,
            final_div: self.final_div,
            linear: self.linear,
            three_phase: self.three_phase,
            momentum: self.momentum.map(|momentum| (momentum.min, momentum.max)),
        }
    }

    fn momentum(&self, at: &Position) -> Option<f64> {
        let momentum = self.momentum?;
        let value = |knot| match knot {
            Knot::Top => momentum.min,
            Knot::First | Knot::Last => momentum.max,
        };
        let (from, to, q) = self.between(at);
        Some(blend(value(from), value(to), q))
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        if let Some(over) = &self.over
            && over.check(at, 1.0, problems).is_none()
        {
            return;
        }
        let n = self.n(at);
        if let Some(over) = self.over.as_ref().filter(|_| self.ends && n < at.len) {
            problems.push(over.problem(no_lr_after("cycle", n, at.len)));
        }
        if n < 1.0 {
            problems.push(self.problem(format!("the cycle needs at least one step: N is {n}")));
        } else if (self.pct_start * n - 1.0).abs() < 1e-9 {
            let message =
                format!("the rise would be 0 steps long: pct_start * N = {} * {n} = 1", self.pct_start);
            let hint = format!("choose a `pct_start` above {}, as in 0.3", 1.0 / n);
            problems.push(self.problem(message).with_hint(hint));
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let n = self.n(&covered.start);
        if self.pct_start * n < 1.0 {
            let message =
                format!("pct_start * N = {} is below 1: the cycle starts after its peak", self.pct_start * n);
            let hint = format!("choose a `pct_start` above {}", 1.0 / n);
            warnings.push(self.problem(message).with_lint(NO_RISE).with_hint(hint));
        }
        if self.three_phase && self.pct_start > 0.5 {
            let message =
                format!("the fall does not end: rise and fall take {} of the cycle", 2.0 * self.pct_start);
            let problem = self.problem(message).with_lint(HORIZON_MISMATCH);
            warnings.push(problem.with_hint("choose a `pct_start` of at most 0.5 with `three_phase`"));
        }
        if let Some(over) = &self.over
            && (covered.ends_before(n) || covered.outlasts(n))
        {
            let message = if covered.ends_before(n) {
                format!("the cycle takes {n}, but the run has only {}: it stops before its end", covered.end)
            } else {
                format!("the cycle ends after {n} of {}: the lr stays at its lowest", covered.end)
            };
            let hint = format!("remove `over`, or write `over: {}`", covered.written(covered.end));
            warnings.push(over.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }
}
