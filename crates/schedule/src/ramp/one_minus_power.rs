//! One minus a power of the progress: flat at the start for powers above 1.

use super::{Progress, Shape};
use crate::catalogue::{ABOVE_0, Build, Entry, ParamType, required};
use crate::formula::Term;

pub(crate) static ENTRY: Entry = Entry {
    kind: "one_minus_power",
    aliases: &["1-square", "one_minus_square"],
    summary: "one minus a power of the progress",
    formula: "lr = to + (from - to) * (1 - p^power)",
    symbols: &[],
    ends: super::ENDS,
    source: "pytorch_optimizer WSD, timm WSD",
    example: "{kind: one_minus_power, power: 2}",
    params: &[required("power", ParamType::Number(ABOVE_0), "exponent of the progress")],
    build: Build::Ramp(|reader| Some(Box::new(OneMinusPower { power: reader.number("power")? }))),
};

#[derive(Debug)]
struct OneMinusPower {
    power: f64,
}

impl Shape for OneMinusPower {
    fn left(&self, p: f64) -> f64 {
        1.0 - libm::pow(p, self.power)
    }

    fn left_formula(&self, p: &Progress) -> Term {
        Term::from(1.0) - p.p.clone().power(self.power)
    }
}
