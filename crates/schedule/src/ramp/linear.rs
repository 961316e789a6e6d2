//! A straight line.

use super::{Progress, Shape};
use crate::catalogue::{Build, Entry};
use crate::formula::Term;
use crate::known::Way;

pub(crate) static ENTRY: Entry = Entry {
    kind: "linear",
    aliases: &["LinearLR", "linear_schedule", "linear_decay", "budget_aware"],
    summary: "straight line from one lr to another",
    formula: "lr = to + (from - to) * (1 - p)",
    symbols: &[],
    ends: super::ENDS,
    source: "torch LinearLR, optax linear_schedule; budget-aware: Li et al. 2020",
    example: "{kind: linear, to: 0}",
    params: &[],
    build: Build::Ramp(|_| Some(Box::new(Linear))),
};

#[derive(Debug)]
pub(crate) struct Linear;

impl Shape for Linear {
    fn left(&self, p: f64) -> f64 {
        1.0 - p
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Linear)
    }

    fn left_formula(&self, p: &Progress) -> Term {
        p.left.clone()
    }

    fn formula(&self, p: &Progress, from: Term, to: Term) -> Term {
        let rises = from.ends().1 <= to.ends().0;
        if rises { from.towards(to, p.p.clone()) } else { to.towards(from, p.left.clone()) }
    }
}
