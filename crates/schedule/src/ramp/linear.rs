//! A straight line.

use super::Shape;
use crate::catalogue::{Build, Entry};

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
}
