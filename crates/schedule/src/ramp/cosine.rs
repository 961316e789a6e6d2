//! Half a cosine wave, or several.

use std::f64::consts::TAU;

use super::{Progress, Shape};
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, ParamType, param};
use crate::formula::Term;
use crate::known::Way;

pub(crate) static ENTRY: Entry = Entry {
    kind: "cosine",
    aliases: &[
        "CosineAnnealingLR",
        "CosineDecay",
        "cosine_decay",
        "cosine_decay_schedule",
        "cosine_annealing",
        "CosineLRScheduler",
        "cos",
    ],
    summary: "half a cosine wave from one lr to another",
    formula: "lr = to + (from - to) * ((1 + cos(2 pi cycles p)) / 2)^exponent",
    symbols: &[],
    ends: Ends {
        at: "like every ramp if `cycles` is an odd multiple of 0.5; a whole number of cycles ends at `from`",
        ..super::ENDS
    },
    source: "SGDR, arXiv 1608.03983; exponent: optax",
    example: "{kind: cosine, to: 0.1x}",
    params: &[
        param("cycles", ParamType::Number(ABOVE_0), "0.5", "number of waves in the ramp"),
        param("exponent", ParamType::Number(ABOVE_0), "1", "power of the wave"),
    ],
    build: Build::Ramp(|reader| {
        let (cycles, exponent) = (reader.number("cycles"), reader.number("exponent"));
        Some(Box::new(Cosine { cycles: cycles?, exponent: exponent? }))
    }),
};

#[derive(Debug)]
struct Cosine {
    cycles: f64,
    exponent: f64,
}

impl Shape for Cosine {
    fn left(&self, p: f64) -> f64 {
        let wave = (1.0 + libm::cos(TAU * self.cycles * p)) / 2.0;
        // Skips the power, which would cost as much as the wave.
        if self.exponent == 1.0 { wave } else { libm::pow(wave, self.exponent) }
    }

    fn suggestion(&self) -> Option<&'static str> {
        Some("write `cycles: 0.5` (or 1.5, 2.5, ...): a whole number of waves ends at `from`")
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Cosine { cycles: self.cycles, exponent: self.exponent })
    }

    fn left_formula(&self, p: &Progress) -> Term {
        (Term::from(2.0 * self.cycles) * p.p.clone()).wave().power(self.exponent)
    }
}
