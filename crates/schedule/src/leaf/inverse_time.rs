//! 1/t decay.

use super::Leaf;
use crate::catalogue::{ABOVE_0, AT_LEAST_0, Build, Ends, Entry, ParamType, param};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NEVER_CHANGES, warning};
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "inverse_time",
    aliases: &["1/t", "InverseTimeDecay", "inverse_time_decay", "invscaling", "inv", "hyperbolic"],
    summary: "1/t decay, or a power of it",
    formula: "lr = base / (1 + rate * s / every)^power, the quotient rounded down with `staircase`",
    symbols: &[],
    ends: Ends {
        before: "`base` at s = 0",
        at: "no target: the value of the formula",
        after: "continues to fall and never reaches 0",
    },
    source: "Robbins and Monro 1951; keras InverseTimeDecay, scikit-learn invscaling",
    example: "{kind: inverse_time, rate: 1, every: \"10%\"}",
    params: &[
        param("rate", ParamType::Number(AT_LEAST_0), "1", "rate of decay"),
        param("every", ParamType::Length(1), "1", "the unit of time"),
        param("power", ParamType::Number(ABOVE_0), "1", "exponent"),
        param("staircase", ParamType::Flag, "false", "change the lr only at the end of each `every`"),
    ],
    build: Build::Leaf(|reader| {
        let (rate, every, power, staircase) =
            (reader.number("rate"), reader.length("every"), reader.number("power"), reader.flag("staircase"));
        Some(Box::new(InverseTime { rate: rate?, every: every?, power: power?, staircase: staircase? }))
    }),
};

#[derive(Debug)]
struct InverseTime {
    rate: f64,
    every: Length,
    power: f64,
    staircase: bool,
}

impl Leaf for InverseTime {
    fn lr(&self, at: &Position) -> f64 {
        let every = self.every.ticks(at);
        let n = if self.staircase { at.full_intervals(every) } else { at.s / every };
        at.base / libm::pow(1.0 + self.rate * n, self.power)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let every = self.every.formula(at);
        let n = if self.staircase { at.full_intervals(every) } else { at.s.clone() / every };
        at.base.clone() / (Term::from(1.0) + Term::from(self.rate) * n).power(self.power)
    }

    fn known(&self, at: &Position) -> Known {
        let (every, staircase) = (self.every.ticks(at), self.staircase);
        match self.power {
            1.0 => Known::InverseTime { lr: at.base, rate: self.rate, every, staircase },
            _ => Known::Other,
        }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.every.check(at, 1.0, problems);
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        if self.rate == 0.0 {
            warnings.push(
                warning(NEVER_CHANGES, "a `rate` of 0 never changes the lr").with_hint("write `rate: 1`"),
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
