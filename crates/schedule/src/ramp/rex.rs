//! A reflected exponential: slow at first, then a fast fall.

use super::{Progress, Shape};
use crate::catalogue::{Build, Entry, FROM_0_BELOW_1, ParamType, param};
use crate::formula::Term;

pub(crate) static ENTRY: Entry = Entry {
    kind: "rex",
    aliases: &["REXScheduler", "reflected_exponential"],
    summary: "reflected exponential: slow at first, then a fast fall",
    formula: "lr = to + (from - to) * (1 - p) / (1 - d p)",
    symbols: &[],
    ends: super::ENDS,
    source: "Chen et al., arXiv 2107.04197 (d = 0.5)",
    example: "{kind: rex}",
    params: &[param("d", ParamType::Number(FROM_0_BELOW_1), "0.5", "curvature: 0 is a straight line")],
    build: Build::Ramp(|reader| Some(Box::new(Rex { d: reader.number("d")? }))),
};

#[derive(Debug)]
struct Rex {
    d: f64,
}

impl Shape for Rex {
    fn left(&self, p: f64) -> f64 {
        (1.0 - p) / (1.0 - self.d * p)
    }

    fn left_formula(&self, p: &Progress) -> Term {
        p.left.clone() / (Term::from(1.0) - p.p.clone() * self.d)
    }
}
