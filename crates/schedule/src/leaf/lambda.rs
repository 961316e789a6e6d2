//! The base lr times an expression.

use super::Leaf;
use crate::catalogue::{Build, Entry, Holds, required};
use crate::expression::{Expression, Names, Values};
use crate::formula::{Position, Term};
use crate::problem::Problem;
use crate::segment::At;

pub(crate) static ENTRY: Entry = Entry {
    kind: "lambda",
    aliases: &["LambdaLR", "expression", "custom"],
    summary: "the base lr times an expression of your own",
    formula: "lr = base * expr, an expression as Python writes it over t = s, T = S, epoch (whole epochs since the \
              segment began), base (the base lr) and pi, with `+ - * / // % **`, comparisons, `and`, `or`, `not`, `a if c \
              else b` and abs, ceil, cos, exp, floor, log, log10, log2, max, min, pow, sin, sqrt, tan, tanh. It must give a \
              number of at least 0 at every step of the run; beyond the run what is none counts as 0",
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
        if self.expression.says_epoch() && at.epoch.is_none() {
            let message = "the expression says `epoch`, but how long an epoch is, is not known";
            let problem = Problem { message: message.to_owned(), ..self.stray.clone() };
            problems.push(problem.with_hint("give --steps-per-epoch, or write it with t and T"));
        }
    }

    fn may_stray(&self) -> bool {
        true
    }

    fn stray(&self, at: &At) -> Option<Problem> {
        let factor = self.factor(at);
        let sound = factor >= 0.0 && (at.base * factor).is_finite();
        let message = || format!("the expression gives {factor} at t = {}, which is no factor", at.s);
        (!sound).then(|| Problem { message: message(), ..self.stray.clone() })
    }
}
