//! Schedule-free training: a constant lr, and weights that are averaged instead.

use super::{Average, Memory, Rule};
use crate::catalogue::{AT_LEAST_0, Build, Entry, FROM_0_BELOW_1, Holds, param};
use crate::length::Length;
use crate::problem::Problem;
use crate::segment::At;
use crate::vectors::Own;
use crate::{BeforeUpdate, Needs};

pub(crate) static ENTRY: Entry = Entry {
    kind: "schedule_free",
    aliases: &["ScheduleFree", "SGDScheduleFree", "AdamWScheduleFree", "schedulefree"],
    summary: "a constant lr after a warmup; the weights that count are an average of those that are trained",
    formula: "lr(t) = base * min(1, (t+1)/W). The optimiser, without its momentum (AdamW: with beta1 = 0), moves z by the \
              gradient at y and weight decay at y; then x = (1-c) x + c z and y = (1-momentum) z + momentum x, with c = \
              w_t / (w_0 + ... + w_t), w_t = (t+1)^r m_t^weight_lr_power, m_t the greatest lr so far. Training and its \
              loss are at y; evaluation and the final weights are x",
    source: "Defazio et al., arXiv 2405.15682; schedulefree SGDScheduleFree, AdamWScheduleFree",
    example: "{kind: schedule_free, warmup: \"5%\"}",
    params: &[
        param("warmup", Holds::Length(0), "0", "length W of the warmup"),
        param("momentum", Holds::Number(FROM_0_BELOW_1), "0.9", "how far y lies on the way from z to x"),
        param("r", Holds::Number(AT_LEAST_0), "0", "power of the step in the weights of the average"),
        param(
            "weight_lr_power",
            Holds::Number(AT_LEAST_0),
            "2",
            "power of the lr in the weights of the average",
        ),
    ],
    build: Build::Rule(|reader| {
        let (warmup, momentum) = (reader.length("warmup"), reader.number("momentum"));
        let (r, power) = (reader.number("r"), reader.number("weight_lr_power"));
        Some(Box::new(ScheduleFree { warmup: warmup?, momentum: momentum?, r: r?, power: power? }))
    }),
};

#[derive(Debug)]
struct ScheduleFree {
    warmup: Length,
    momentum: f64,
    r: f64,
    power: f64,
}

impl Rule for ScheduleFree {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        self.warmup.check(at, 0.0, problems);
    }

    fn averages(&self) -> bool {
        true
    }

    fn average(&self, memory: &Memory) -> Option<Average> {
        // Before its first update there is nothing to average.
        (memory.count > 0).then_some(Average {
            first: memory.count == 1,
            momentum: self.momentum,
            weight: memory.share,
        })
    }

    fn gradient(&self, memory: &mut Memory, at: &At, _seen: &BeforeUpdate, _own: &mut Own<'_>) {
        memory.count += 1;
        let (n, over) = (memory.count as f64, self.warmup.ticks(at) * at.tick);
        memory.lr = if n < over { at.base * n / over } else { at.base };
        memory.best = memory.best.max(memory.lr);
        let weight = libm::pow(n, self.r) * libm::pow(memory.best, self.power);
        memory.sum += weight;
        memory.share = if memory.sum > 0.0 { weight / memory.sum } else { 0.0 };
    }
}
