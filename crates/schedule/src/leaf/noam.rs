//! The transformer paper's schedule.

use super::Leaf;
use crate::catalogue::{Build, Entry, Holds, required};
use crate::formula::{Position, Term};
use crate::length::Length;
use crate::problem::Problem;
use crate::segment::At;

pub(crate) static ENTRY: Entry = Entry {
    kind: "noam",
    aliases: &["transformer", "NoamLR", "noam_scheduler"],
    summary: "linear warmup, then 1/sqrt(t), scaled by the model's width; the base lr is a scale",
    formula: "lr = base * model_dim^-0.5 * min(n^-0.5, n * warmup^-1.5) with n = s + 1; the peak is \
              base / sqrt(model_dim * warmup) at n = warmup",
    source: "Vaswani et al. 2017",
    example: "{kind: noam, model_dim: 128, warmup: \"10%\"}",
    params: &[
        required("model_dim", Holds::Whole(1), "width of the model"),
        required("warmup", Holds::Length(1), "length of the rise"),
    ],
    build: Build::Leaf(|reader| {
        let (model_dim, warmup) = (reader.whole("model_dim"), reader.length("warmup"));
        Some(Box::new(Noam { model_dim: model_dim? as f64, warmup: warmup? }))
    }),
};

#[derive(Debug)]
struct Noam {
    model_dim: f64,
    warmup: Length,
}

impl Leaf for Noam {
    fn lr(&self, at: &At) -> f64 {
        let n = at.s + 1.0;
        let rise = n * libm::pow(self.warmup.ticks(at), -1.5);
        at.base / self.model_dim.sqrt() * (1.0 / n.sqrt()).min(rise)
    }

    fn formula(&self, at: &Position) -> Term {
        let n = at.s.clone() + 1.0;
        let rise = n.clone() * self.warmup.formula(at).power(-1.5);
        at.base.clone() * Term::from(self.model_dim).power(-0.5) * n.power(-0.5).at_most(rise)
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        self.warmup.check(at, 1.0, problems);
    }
}
