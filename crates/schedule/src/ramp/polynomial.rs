//! A power of the remaining fraction.

use super::{Progress, Shape};
use crate::catalogue::{ABOVE_0, Build, Entry, ParamType, param};
use crate::formula::Term;
use crate::known::Way;

pub(crate) static ENTRY: Entry = Entry {
    kind: "polynomial",
    aliases: &["PolynomialLR", "PolynomialDecay", "polynomial_schedule", "poly"],
    summary: "a power of the remaining fraction of the run",
    formula: "lr = to + (from - to) * (1 - p)^power",
    symbols: &[],
    ends: super::ENDS,
    source: "torch PolynomialLR, keras PolynomialDecay",
    example: "{kind: polynomial, power: 2, to: 0}",
    params: &[param("power", ParamType::Number(ABOVE_0), "1", "exponent of the remaining fraction")],
    build: Build::Ramp(|reader| Some(Box::new(Polynomial { power: reader.number("power")? }))),
};

#[derive(Debug)]
struct Polynomial {
    power: f64,
}

impl Shape for Polynomial {
    fn left(&self, p: f64) -> f64 {
        libm::pow((1.0 - p).max(0.0), self.power)
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Polynomial { power: self.power })
    }

    fn left_formula(&self, p: &Progress) -> Term {
        p.left.clone().at_least(0.0).power(self.power)
    }
}
