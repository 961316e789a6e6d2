//! Drops at given steps.

use super::Leaf;
use crate::catalogue::{ABOVE_0, Build, Ends, Entry, ParamType, optional, param, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::length::Length;
use crate::lint::HORIZON_MISMATCH;
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "multistep",
    aliases: &[
        "MultiStepLR",
        "MultiStepLRScheduler",
        "piecewise_constant",
        "piecewise_constant_schedule",
        "PiecewiseConstantDecay",
        "multi_step",
        "milestones",
    ],
    summary: "drops at given steps",
    formula: "lr = base * gamma^n, base * gammas[0] * ... * gammas[n-1], or values[n], where n counts the milestones \
              m with m <= s + offset",
    symbols: &[("n", "number of milestones passed"), ("m", "a milestone")],
    ends: Ends {
        before: "`base`, or values[0]; a milestone m takes effect at step m (m - offset with an `offset`)",
        at: "the lr after the milestones passed so far",
        after: "later milestones still take effect; after the last one the lr stays constant",
    },
    source: "torch MultiStepLR, optax piecewise_constant_schedule, keras PiecewiseConstantDecay",
    example: "{kind: multistep, at: [\"50%\", \"75%\"], gamma: 0.1}",
    params: &[
        required("at", ParamType::Lengths, "the milestones; a repeated milestone counts each time"),
        optional("gamma", ParamType::Number(ABOVE_0), "factor of each drop; 0.1 by default"),
        optional("gammas", ParamType::Factors, "one factor per milestone"),
        optional("values", ParamType::Lrs, "the lr before the first milestone and after each milestone"),
        param(
            "offset",
            ParamType::Integer,
            "0",
            "shift of the milestones: 0 as in torch and optax, -1 as in keras, 1 \
                                                  as in timm",
        ),
    ],
    build: Build::Leaf(|reader| {
        let at = reader.lengths("at");
        let gamma = reader.maybe_number("gamma");
        let gammas = reader.maybe_factors("gammas");
        let values = reader.maybe_lrs("values");
        let offset = reader.integer("offset");
        let at = at?;
        let drops = match (gamma?, gammas?, values?) {
            (gamma, None, None) => Drops::Gamma(gamma.unwrap_or(0.1)),
            (None, Some(gammas), None) => {
                if gammas.len() != at.len() {
                    let message = format!(
                        "expected one factor per milestone, found {} factors for {} milestones",
                        gammas.len(),
                        at.len()
                    );
                    reader.problem("gammas", message);
                    return None;
                }
                Drops::Gammas(gammas)
            }
            (None, None, Some(values)) => {
                if values.len() != at.len() + 1 {
                    let message = format!(
                        "{} milestones need {} values, found {}",
                        at.len(),
                        at.len() + 1,
                        values.len()
                    );
                    reader.problem("values", message);
                    return None;
                }
                Drops::Values(values)
            }
            _ => {
                reader.problem("at", "expected only one of `gamma`, `gammas` and `values`");
                return None;
            }
        };
        Some(Box::new(Multistep { at, drops, offset: offset? as f64 }))
    }),
};

#[derive(Debug)]
struct Multistep {
    at: Vec<Length>,
    drops: Drops,
    offset: f64,
}

#[derive(Debug)]
enum Drops {
    Gamma(f64),
    Gammas(Vec<f64>),
    Values(Vec<LrValue>),
}

impl Leaf for Multistep {
    fn lr(&self, at: &Position) -> f64 {
        let passed = |m: &Length| m.ticks(at) <= at.s + self.offset;
        match &self.drops {
            Drops::Gamma(gamma) => {
                let n = self.at.iter().filter(|m| passed(m)).count();
                at.base * libm::pow(*gamma, n as f64)
            }
            Drops::Gammas(gammas) => {
                let passed = self.at.iter().zip(gammas).filter(|(m, _)| passed(m));
                at.base * passed.map(|(_, gamma)| gamma).product::<f64>()
            }
            Drops::Values(values) => {
                let n = self.at.iter().filter(|m| passed(m)).count();
                values.get(n).map_or(0.0, |value| value.of(at.base))
            }
        }
    }

    fn formula(&self, at: &TermPosition) -> Term {
        // Milestones in percent of a cycle whose length changes are compared one by one.
        let milestones: Vec<Term> = self.at.iter().map(|m| m.formula(at)).collect();
        let s = at.s.clone() + self.offset;
        let table: Option<Vec<f64>> = milestones.iter().map(Term::number).collect();
        let passed = match &table {
            Some(table) => s.clone().passed(table),
            None => milestones.iter().fold(Term::from(0.0), |n, m| {
                n + Term::choose(s.clone().reaches(m.clone()), 1.0.into(), 0.0.into())
            }),
        };
        match &self.drops {
            Drops::Gamma(gamma) => at.base.clone() * Term::from(*gamma).power(passed),
            Drops::Gammas(gammas) => {
                let products = gammas.iter().scan(1.0, |product, gamma| {
                    *product *= gamma;
                    Some(*product)
                });
                at.base.clone()
                    * passed.entry("factors", &[1.0].into_iter().chain(products).collect::<Vec<_>>())
            }
            Drops::Values(values) => {
                let values: Vec<Term> = values.iter().map(|value| value.formula(&at.base)).collect();
                match values.iter().map(Term::number).collect::<Option<Vec<f64>>>() {
                    Some(values) => passed.entry("values", &values),
                    None => milestones
                        .iter()
                        .zip(values.iter().skip(1))
                        .fold(values.first().cloned().unwrap_or(0.0.into()), |lr, (m, value)| {
                            Term::choose(s.clone().reaches(m.clone()), value.clone(), lr)
                        }),
                }
            }
        }
    }

    fn known(&self, at: &Position) -> Known {
        let milestones = self.at.iter().map(|m| ((m.ticks(at) - self.offset) * at.tick).max(0.0)).collect();
        let n = self.at.len();
        let (lr, gammas) = match &self.drops {
            Drops::Gamma(gamma) => (at.base, vec![*gamma; n]),
            Drops::Gammas(gammas) => (at.base, gammas.clone()),
            Drops::Values(values) => {
                let values: Vec<f64> = values.iter().map(|value| value.of(at.base)).collect();
                let ratios = values.iter().zip(values.iter().skip(1)).map(|(a, b)| b / a).collect();
                (values.first().copied().unwrap_or(0.0), ratios)
            }
        };
        let sound = gammas.iter().all(|gamma| gamma.is_finite());
        if sound { Known::Multistep { lr, at: milestones, gammas } } else { Known::Other }
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        let ticks: Vec<Option<f64>> = self.at.iter().map(|m| m.check(at, 0.0, problems)).collect();
        for ((m, before), here) in self.at.iter().skip(1).zip(&ticks).zip(ticks.iter().skip(1)) {
            if let (Some(before), Some(here)) = (before, here)
                && here < before
            {
                problems.push(
                    m.problem(format!("expected milestones in rising order, found {here} after {before}")),
                );
            }
        }
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        for m in &self.at {
            m.warn_if_lost(&covered.start, warnings);
            if m.ticks(&covered.start) - self.offset >= covered.end {
                let message = format!(
                    "this milestone ({}) is never reached: the run ends after {}",
                    m.written(),
                    covered.end
                );
                let last = (covered.end - covered.unit() + self.offset).max(0.0);
                let hint = format!("remove it, or write at most {}", covered.written(last));
                warnings.push(m.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
            }
        }
    }
}
