//! The same ratio at each step.

use super::{Progress, Shape};
use crate::catalogue::{Build, Entry, ParamType, param, required};
use crate::formula::{Binary, Term, binary};
use crate::known::Way;

pub(crate) static ENTRY: Entry = Entry {
    kind: "geometric",
    aliases: &["log_linear", "exponential_to"],
    summary: "equal ratios from one lr to another, both above 0",
    formula: "lr = from * (to / from)^p",
    symbols: &[],
    ends: super::ENDS,
    source: "optax exponential_decay; LR range test: Smith 2015",
    example: "{kind: geometric, to: 0.01x}",
    params: &[
        param("from", ParamType::PositiveLr, "1x", "lr at progress 0"),
        required("to", ParamType::PositiveLr, "lr at progress 1"),
    ],
    build: Build::Ramp(|_| Some(Box::new(Geometric))),
};

#[derive(Debug)]
pub(crate) struct Geometric;

impl Shape for Geometric {
    fn left(&self, p: f64) -> f64 {
        1.0 - p
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Geometric)
    }

    fn left_formula(&self, p: &Progress) -> Term {
        p.left.clone()
    }

    fn formula(&self, p: &Progress, from: Term, to: Term) -> Term {
        match (from.number(), p.p.number()) {
            (_, Some(1.0)) => to,
            // A cooldown from lr 0 stays at 0 until its end.
            (Some(0.0), _) => Term::choose(binary(Binary::Equal, p.p.clone(), 1.0.into()), to, from),
            _ => from.clone() * (to / from).power(p.p.clone()),
        }
    }

    fn value(&self, p: f64, from: f64, to: f64) -> f64 {
        // The power is not exact at the end.
        if p == 1.0 { to } else { from * libm::pow(to / from, p) }
    }

    fn needs_positive_ends(&self) -> bool {
        true
    }
}
