//! A hyperbolic tangent: flat, steep, flat.

use super::{Progress, Shape};
use crate::catalogue::{ANY, Build, Ends, Entry, ParamType, param};
use crate::formula::Term;
use crate::known::Way;

pub(crate) static ENTRY: Entry = Entry {
    kind: "tanh",
    aliases: &["TanhLRScheduler", "hyperbolic_tangent"],
    summary: "hyperbolic tangent: flat, steep, flat",
    formula: "lr = to + (from - to) * (1 - tanh(lb (1 - p) + ub p)) / 2",
    symbols: &[],
    ends: Ends {
        before: "starts slightly below `from`, by (from - to) * (1 + tanh(lb)) / 2",
        at: "like every ramp, but its target is slightly above `to`, by (from - to) * (1 - tanh(ub)) / 2",
        after: "from step N on the lr stays at its value for p = 1, slightly above `to`; `after` sets other behaviour",
    },
    source: "arXiv 1806.01593, timm TanhLRScheduler",
    example: "{kind: tanh}",
    params: &[
        param("lb", ParamType::Number(ANY), "-7", "argument at progress 0"),
        param("ub", ParamType::Number(ANY), "3", "argument at progress 1, above lb"),
    ],
    build: Build::Ramp(|reader| {
        let (lb, ub) = (reader.number("lb"), reader.number("ub"));
        let (lb, ub) = (lb?, ub?);
        if lb >= ub {
            reader.problem("ub", format!("`ub` ({ub}) must be above `lb` ({lb})"));
            return None;
        }
        Some(Box::new(Tanh { lb, ub }))
    }),
};

#[derive(Debug)]
struct Tanh {
    lb: f64,
    ub: f64,
}

impl Shape for Tanh {
    fn left(&self, p: f64) -> f64 {
        0.5 * (1.0 - libm::tanh(self.lb * (1.0 - p) + self.ub * p))
    }

    fn suggestion(&self) -> Option<&'static str> {
        Some("write `ub: 3`")
    }

    fn way(&self) -> Option<Way> {
        Some(Way::Tanh { lb: self.lb, ub: self.ub })
    }

    fn left_formula(&self, p: &Progress) -> Term {
        (Term::from(1.0) - (p.left.clone() * self.lb + p.p.clone() * self.ub).tanh()) * 0.5
    }
}
