//! The base lr times an expression.

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, Holds, required};
use crate::expression::{Expression, Names, Values};
use crate::formula::{Position, Term};
use crate::problem::Problem;
use crate::segment::At;

pub(crate) static ENTRY: Entry = Entry {
    kind: "lambda",
    aliases: &["LambdaLR", "expression", "custom"],
    summary: "the base lr times an expression of your own",
    formula: "lr = base * expr, an expression as Python writes it over t = s, T = S, epoch (whole epochs since the \
              segment began), base (the base lr) and pi, with `+ - * / // % **`, comparisons, `and`, `or`, `not`, `if` with \
              `else` and abs, ceil, cos, exp, float, floor, int, log, log10, log2, max, min, pow, sin, sqrt, tan, tanh. It must give a \
              number of at least 0 at every step of the run; beyond the run what is none counts as 0",
    symbols: &[("t", "the same as s"), ("T", "the same as S")],
    ends: Ends {
        before: "`expr` at t = 0 counts",
        at: "`expr` at t = T - 1",
        after: "goes on by the expression; a value that is none, or below 0, counts as 0",
    },
    source: "torch LambdaLR",
    example: "{kind: lambda, expr: \"0.95 ** (10 * t / T)\"}",
    params: &[required("expr", Holds::Expression, "the factor on the base lr")],
    build: Build::Leaf(|reader| {
        let (expression, stray) = reader.expression("expr")?;
        Some(Box::new(Lambda { expression, stray }))
    }),
};

#[derive(Debug)]
struct Lambda {
    expression: Expression,
    /// What is said of a step at which the expression gives no lr, but for the step.
    stray: Problem,
}

impl Lambda {
    fn factor(&self, at: &At) -> f64 {
        let epoch = at.epoch.map_or(f64::NAN, |epoch| (at.step / epoch).floor());
        self.expression.value(&Values { t: at.s, length: at.len, epoch, base: at.base })
    }
}

impl Leaf for Lambda {
    fn lr(&self, at: &At) -> f64 {
        at.base * self.factor(at)
    }

    fn formula(&self, at: &Position) -> Term {
        let epoch = at.epoch.map_or(f64::NAN.into(), |epoch| at.step.clone().divide_down(epoch.into()));
        let names = Names { t: at.s.clone(), length: at.len.clone(), epoch, base: at.base.clone() };
        at.base.clone() * self.expression.formula(&names)
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        super::needs_epochs(&self.expression, &self.stray, at, problems);
    }

    fn may_stray(&self) -> bool {
        true
    }

    fn stray(&self, at: &At) -> Option<Problem> {
        let factor = self.factor(at);
        let sound = factor >= 0.0 && (at.base * factor).is_finite();
        if sound {
            return None;
        }
        let message =
            format!("expected a finite number of at least 0 at every step, found {factor} at t = {}", at.s);
        let problem = Problem { message, ..self.stray.clone() };
        Some(match at.s {
            0.0 if !factor.is_finite() => problem.with_hint("t counts from 0: t + 1 is never 0"),
            _ if factor < 0.0 => problem.with_hint("max(0, ...) is never below 0"),
            _ => problem,
        })
    }
}
