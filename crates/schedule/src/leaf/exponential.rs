//! Exponential decay: the same factor at each step.

use super::Leaf;
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, ParamType, param, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NEVER_CHANGES, warning};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "exponential",
    aliases: &["ExponentialLR", "ExponentialDecay", "exponential_decay", "natural_exp", "exp"],
    summary: "exponential decay: the same factor at each step",
    formula: "lr = base * gamma^(s / every), the exponent rounded down with `staircase`",
    symbols: &[],
    ends: Ends {
        before: "`base` at s = 0",
        at: "no target: base * gamma^((S - 1) / every)",
        after: "continues by the same factor and never reaches 0",
    },
    source: "torch ExponentialLR, optax exponential_decay, keras ExponentialDecay",
    example: "{kind: exponential, gamma: 0.5, every: \"20%\"}",
    params: &[
        required("gamma", ParamType::Number(ABOVE_0), "factor per `every`"),
        param("every", ParamType::Length(1), "1", "length over which `gamma` is applied once"),
        param("staircase", ParamType::Flag, "false", "apply the whole factor at the end of each `every`"),
    ],
    build: Build::Leaf(|reader| {
        let (gamma, every, staircase) =
            (reader.number("gamma"), reader.length("every"), reader.flag("staircase"));
        Some(Box::new(Exponential { gamma: gamma?, every: every?, staircase: staircase? }))
    }),
};

#[derive(Debug)]
struct Exponential {
    gamma: f64,
    every: Length,
    staircase: bool,
}

impl Leaf for Exponential {
    fn lr(&self, at: &Position) -> f64 {
        let every = self.every.ticks(at);
        let n = if self.staircase { at.full_intervals(every) } else { at.s / every };
        at.base * libm::pow(self.gamma, n)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let every = self.every.formula(at);
        let n = if self.staircase { at.full_intervals(every) } else { at.s.clone() / every };
        at.base.clone() * Term::from(self.gamma).power(n)
    }

    fn known(&self, at: &Position) -> Known {
        let (lr, gamma, every) = (at.base, self.gamma, self.every.ticks(at) * at.tick);
        if self.staircase {
            Known::Step { lr, every, gamma }
        } else {
            Known::Exponential { lr, gamma, every }
        }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.every.check(at, 1.0, problems);
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        if self.gamma == 1.0 {
            warnings.push(
                warning(NEVER_CHANGES, "a `gamma` of 1 never changes the lr")
                    .with_hint("choose another `gamma`"),
            );
        }
        let every = self.every.ticks(&covered.start);
        if self.staircase && every >= covered.end {
            let message = format!("the first drop would come after {every}, but the run has {}", covered.end);
            let hint = format!("write `every: {}`", covered.share(5.0));
            warnings.push(self.every.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }
}
