//! A drop after equal stretches.

use super::Leaf;
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, Holds, param, required};
use crate::formula::{Position, Term};
use crate::known::Known;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NEVER_CHANGES, warning};
use crate::problem::Problem;
use crate::segment::At;
use crate::window::Window;

pub(crate) static ENTRY: Entry = Entry {
    kind: "step",
    aliases: &["StepLR", "StepLRScheduler", "step_decay", "staircase"],
    summary: "a drop by the same factor after equal stretches",
    formula: "lr = base * gamma^floor(s / every)",
    symbols: &[],
    ends: Ends {
        before: "each multiple of `every` has the lower lr already",
        at: "the last stretch may be cut short",
        after: "the drops go on without end",
    },
    source: "torch StepLR, timm StepLRScheduler",
    example: "{kind: step, every: \"30%\", gamma: 0.1}",
    params: &[
        required("every", Holds::Length(1), "length of a stretch"),
        param("gamma", Holds::Number(ABOVE_0), "0.1", "factor of each drop"),
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
    fn lr(&self, at: &At) -> f64 {
        at.base * libm::pow(self.gamma, at.stretches(self.every.ticks(at)))
    }

    fn formula(&self, at: &Position) -> Term {
        at.base.clone() * Term::from(self.gamma).power(at.stretches(self.every.formula(at)))
    }

    fn known(&self, at: &At) -> Known {
        Known::Step { lr: at.base, every: self.every.ticks(at) * at.tick, gamma: self.gamma }
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        self.every.check(at, 1.0, problems);
    }

    fn warn(&self, seen: &Window, warnings: &mut Vec<Problem>) {
        if self.gamma == 1.0 {
            warnings.push(warning(NEVER_CHANGES, "a drop by the factor 1 is none").with_hint("`gamma: 0.1`"));
        }
        let every = self.every.ticks(&seen.at);
        if every >= seen.end {
            let message = format!("the first drop would come after {every}, the run has {}", seen.end);
            let hint = format!("write `every: {}`", seen.share(3.0));
            warnings.push(self.every.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }
}
