//! One minus a square root: steep at the start.

use super::{Progress, Shape};
use crate::catalogue::{Build, Entry};
use crate::formula::Term;
use crate::known::Way;

pub(crate) static ENTRY: Entry = Entry {
    kind: "one_minus_sqrt",
    aliases: &["1-sqrt", "minus_sqrt", "sqrt"],
    summary: "one minus a square root, steepest at its start",
    formula: "lr = to + (from - to) * (1 - sqrt(p))",
    symbols: &[],
    ends: super::ENDS,
    source: "Haegele et al., arXiv 2405.18392",
    example: "{body: 1x, cooldown: {over: \"20%\", shape: one_minus_sqrt}}",
    params: &[],
    build: Build::Ramp(|_| Some(Box::new(OneMinusSqrt))),
};

#[derive(Debug)]
struct OneMinusSqrt;

impl Shape for OneMinusSqrt {
    fn left(&self, p: f64) -> f64 {
        1.0 - p.sqrt()
    }

    fn way(&self) -> Option<Way> {
        Some(Way::OneMinusSqrt)
    }

    fn left_formula(&self, p: &Progress) -> Term {
        Term::from(1.0) - p.p.clone().sqrt()
    }
}
