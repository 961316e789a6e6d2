//! The base lr times an expression.

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, ParamType, required};
use crate::expression::{Expression, Names, Values};
use crate::formula::{Term, TermPosition};
use crate::number::ArithmeticError;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "lambda",
    aliases: &["LambdaLR", "expression", "custom"],
    summary: "the base lr times a custom expression",
    formula: "lr = base * expr, where expr is an expression in Python syntax over t = s, T = S, epoch (whole epochs \
              since the start of the segment), base (the base lr), pi, e and inf, with `+ - * / // % **`, comparisons \
              (chained too, and `in (1, 2)`), `and`, `or`, `not`, `if` with `else`, `[1, 0.1][t // 30]`, and abs, acos, \
              around, asin, atan, bisect, bisect_left, bisect_right, ceil, clip, cos, cosh, exp, expm1, float, floor, \
              fmod, int, len, log, log10, log1p, log2, max, maximum, min, minimum, mod, pow, power, round, sin, sinh, \
              sqrt, sum, tan, tanh, trunc, where. Arithmetic is Python's: `//` and `%` round down, `round` rounds \
              halves to even, `int` and `trunc` round towards 0, integers have any size; errors in Python (division by \
              0, logarithm of 0, float overflow) are errors here. around, clip, fmod, maximum, minimum, mod, power and \
              where are those of numpy. The value must be at least 0 at every step of the run; after the run an invalid \
              value counts as 0",
    symbols: &[
        ("t", "the same as s"),
        ("T", "the same as S"),
        ("e", "2.718281828459045"),
        ("inf", "infinity, as in min(inf, t)"),
        ("bisect_left", "bisect_left(list, x): how many numbers of a sorted list are below x"),
        ("bisect_right", "bisect_right(list, x): how many are at most x; the same as `bisect`"),
    ],
    ends: Ends {
        before: "`expr` at t = 0",
        at: "`expr` at t = T - 1",
        after: "continues by the expression; an invalid or negative value counts as 0",
    },
    source: "torch LambdaLR",
    example: "{kind: lambda, expr: \"0.95 ** (10 * t / T)\"}",
    params: &[required("expr", ParamType::Expression, "factor on the base lr")],
    build: Build::Leaf(|reader| {
        let (expression, problem) = reader.expression("expr")?;
        Some(Box::new(Lambda { expression, problem }))
    }),
};

#[derive(Debug)]
struct Lambda {
    expression: Expression,
    /// The problem of a step at which the expression gives no lr. The message is added later.
    problem: Problem,
}

impl Lambda {
    fn factor(&self, at: &Position) -> Result<f64, ArithmeticError> {
        let epoch = at.epoch.map_or(f64::NAN, |epoch| (at.step / epoch).floor());
        self.expression.value(&Values { t: at.s, length: at.len, epoch, base: at.base })
    }
}

impl Leaf for Lambda {
    fn lr(&self, at: &Position) -> f64 {
        // Steps of the run without a value were refused before: see `invalid_lr`.
        self.factor(at).map_or(f64::NAN, |factor| at.base * factor)
    }

    fn has_formula(&self) -> bool {
        self.expression.has_formula()
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let epoch = at.epoch.map_or(f64::NAN.into(), |epoch| at.step.clone().divide_down(epoch.into()));
        let names = Names { t: at.s.clone(), length: at.len.clone(), epoch, base: at.base.clone() };
        at.base.clone() * self.expression.formula(&names).unwrap_or_else(|| f64::NAN.into())
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        super::needs_epochs(&self.expression, &self.problem, at, problems);
    }

    fn needs_step_check(&self) -> bool {
        true
    }

    fn invalid_lr(&self, at: &Position) -> Option<Problem> {
        let factor = match self.factor(at) {
            Ok(factor) if factor >= 0.0 && (at.base * factor).is_finite() => return None,
            Ok(factor) => factor,
            Err(ArithmeticError(error)) => {
                let message = format!("the expression has no value at t = {}: {error}", at.s);
                let problem = Problem { message, ..self.problem.clone() };
                let only_at_0 = at.s == 0.0 && self.factor(&at.at(1.0)).is_ok();
                return Some(match only_at_0 {
                    true => problem.with_hint("t starts at 0; t + 1 is never 0"),
                    false => problem,
                });
            }
        };
        let message =
            format!("expected a finite number of at least 0 at every step, found {factor} at t = {}", at.s);
        let problem = Problem { message, ..self.problem.clone() };
        Some(if factor < 0.0 { problem.with_hint("max(0, ...) is never below 0") } else { problem })
    }
}
