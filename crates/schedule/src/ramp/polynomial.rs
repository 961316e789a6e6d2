//! A power of the share that is left.

use super::Shape;
use crate::catalogue::{ABOVE_0, Build, Entry, Holds, param};

pub(crate) static ENTRY: Entry = Entry {
    kind: "polynomial",
    aliases: &["PolynomialLR", "PolynomialDecay", "polynomial_schedule", "poly"],
    summary: "power of the remaining share of the run",
    formula: "lr = to + (from - to) * (1 - p^k)^power",
    source: "torch PolynomialLR, keras PolynomialDecay; k-decay: arXiv 2004.05909",
    example: "{kind: polynomial, power: 2, to: 0}",
    params: &[
        param("power", Holds::Number(ABOVE_0), "1", "exponent of the remaining share"),
        param("k", Holds::Number(ABOVE_0), "1", "k-decay: exponent of the progress"),
    ],
    build: Build::Ramp(|reader| {
        let (power, k) = (reader.number("power"), reader.number("k"));
        Some(Box::new(Polynomial { power: power?, k: k? }))
    }),
};

#[derive(Debug)]
struct Polynomial {
    power: f64,
    k: f64,
}

impl Shape for Polynomial {
    fn left(&self, p: f64) -> f64 {
        libm::pow((1.0 - libm::pow(p, self.k)).max(0.0), self.power)
    }
}
