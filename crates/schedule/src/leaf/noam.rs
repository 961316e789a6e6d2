//! The schedule of the transformer paper.

use super::Leaf;
use crate::catalogue::{Build, Ends, Entry, ParamType, required};
use crate::coverage::Coverage;
use crate::formula::{Term, TermPosition};
use crate::length::Length;
use crate::lint::HORIZON_MISMATCH;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) static ENTRY: Entry = Entry {
    kind: "noam",
    aliases: &["transformer", "NoamLR", "noam_scheduler"],
    summary: "linear warmup, then 1/sqrt(t); the base lr is a scale",
    formula: "lr = base * model_dim^-0.5 * min(n^-0.5, n * warmup^-1.5) with n = s + 1; the peak is \
              base / sqrt(model_dim * warmup) at n = warmup",
    symbols: &[("n", "index of the update, from 1")],
    ends: Ends {
        before: "rises from base / sqrt(model_dim * warmup^3) at s = 0 to its peak at s = warmup - 1",
        at: "no target; add a `cooldown` to end at 0",
        after: "continues to fall and never reaches 0",
    },
    source: "Vaswani et al. 2017",
    example: "{kind: noam, model_dim: 128, warmup: \"10%\"}",
    params: &[
        required("model_dim", ParamType::Whole(1), "width of the model"),
        required("warmup", ParamType::Length(1), "length of the rise"),
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
    fn lr(&self, at: &Position) -> f64 {
        let n = at.s + 1.0;
        let rise = n * libm::pow(self.warmup.ticks(at), -1.5);
        at.base / self.model_dim.sqrt() * (1.0 / n.sqrt()).min(rise)
    }

    fn formula(&self, at: &TermPosition) -> Term {
        let n = at.s.clone() + 1.0;
        let rise = n.clone() * self.warmup.formula(at).power(-1.5);
        at.base.clone() * Term::from(self.model_dim).power(-0.5) * n.power(-0.5).at_most(rise)
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        self.warmup.check(at, 1.0, problems);
    }

    fn warn(&self, covered: &Coverage, warnings: &mut Vec<Problem>) {
        let warmup = self.warmup.ticks(&covered.start);
        if covered.ends_before(warmup) {
            let message =
                format!("the rise takes {warmup}, but the run has {}: the lr never falls", covered.end);
            let hint = format!("write `warmup: {}`", covered.share(10.0));
            warnings.push(self.warmup.problem(message).with_lint(HORIZON_MISMATCH).with_hint(hint));
        }
    }
}
