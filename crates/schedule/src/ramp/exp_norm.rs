//! An exponential that ends exactly at its target.

use super::{Progress, Shape};
use crate::catalogue::{BETWEEN_0_AND_1, Build, Entry, ParamType, param};
use crate::formula::Term;

pub(crate) static ENTRY: Entry = Entry {
    kind: "exp_norm",
    aliases: &["normalized_exponential", "exponential_cooldown"],
    summary: "exponential, scaled so that it ends exactly at its target",
    formula: "lr = to + (from - to) * (ratio^p - ratio) / (1 - ratio)",
    symbols: &[],
    ends: super::ENDS,
    source: "timm WSD `exp`; Megatron WSD `exponential` is ratio 0.5",
    example: "{kind: exp_norm, ratio: 0.1}",
    params: &[param(
        "ratio",
        ParamType::Number(BETWEEN_0_AND_1),
        "0.1",
        "steepness: a smaller ratio falls earlier",
    )],
    build: Build::Ramp(|reader| Some(Box::new(ExpNorm { ratio: reader.number("ratio")? }))),
};

#[derive(Debug)]
struct ExpNorm {
    ratio: f64,
}

impl Shape for ExpNorm {
    fn left(&self, p: f64) -> f64 {
        (libm::pow(self.ratio, p) - self.ratio) / (1.0 - self.ratio)
    }

    fn left_formula(&self, p: &Progress) -> Term {
        (Term::from(self.ratio).power(p.p.clone()) - self.ratio) / (1.0 - self.ratio)
    }
}
