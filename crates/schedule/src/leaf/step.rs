//! Drops at equal intervals.

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
    kind: "step",
    aliases: &["StepLR", "StepLRScheduler", "step_decay", "staircase"],
    summary: "drops by the same factor at equal intervals",
    formula: "lr = base * gamma^floor(s / every)",
    symbols: &[],
    ends: Ends {
        before: "each drop takes effect at a multiple of `every`",
        at: "the last interval may be shorter",
        after: "the drops continue without end",
    },
    source: "torch StepLR, timm StepLRScheduler",
    example: "{kind: step, every: \"30%\", gamma: 0.1}",
    params: &[
        required("every", ParamType::Length(1), "length of an interval"),
        param("gamma", ParamType::Number(ABOVE_0), "0.1", "factor of each drop"),
    ],
    build: Build::Leaf(|reader| {
        let (every, gamma) = (reader.length("every"), reader.number("gamma"));
        Some(Box::new(Step { every: every?, gamma: gamma? }))
    }),
};

#[derive(Debug)]
struct Step {
    every: Length,
    gamma: f64,
}

impl Leaf for Step {
    fn lr(&self, at: &Position) -> f64 {
        at.base * libm::pow(self.gamma, at.full_intervals(self.every.ticks(at)))
    }

    fn formula(&self, at: &TermPosition) -> Term {
        at.base.clone() * Term::from(self.gamma).power(at.full_intervals(self.every.formula(at)))
    }

    fn known(&self, at: &Position) -> Known {
        Known::Step { lr: at.base, every: self.every.ticks(at) * at.tick, gamma: self.gamma }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.every.check(at, 1.0, problems);
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        if self.gamma == 1.0 {
            warnings.push(
                warning(NEVER_CHANGES, "a `gamma` of 1 never changes the lr").with_hint("write `gamma: 0.1`"),
            );
        }
        let every = self.every.ticks(&covered.start);
        if every >= covered.end {
            let message = format!("the first drop would come after {every}, but the run has {}", covered.end);
            let hint = format!("write `every: {}`", covered.share(3.0));
            warnings.push(self.every.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }
}
