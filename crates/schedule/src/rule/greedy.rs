//! GreedyLR: up while the loss falls, down when it does not.

use super::{Better, EVERY, MODE, Memory, Rule, WATCH, Watch};
use crate::catalogue::{AT_LEAST_0, BETWEEN_0_AND_1, Build, Ends, Entry, Holds, Param, param};
use crate::known::{Known, KnownGreedy};
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::segment::At;

/// `factor`, also in other libraries.
pub const FACTOR: Param =
    param("factor", Holds::Number(BETWEEN_0_AND_1), "0.95", "factor of a cut; a rise divides by it");
/// `patience`, also in other libraries.
pub const PATIENCE: Param =
    param("patience", Holds::Whole(0), "10", "looks in a row that change nothing yet");
/// `threshold`, also in other libraries.
pub const THRESHOLD: Param = param("threshold", Holds::Number(AT_LEAST_0), "1e-6", "gain that counts");
/// `threshold_mode`, also in other libraries.
pub const THRESHOLD_MODE: Param = param(
    "threshold_mode",
    Holds::Choice(&["rel", "abs"]),
    "abs",
    "whether `threshold` is a share of the best",
);
/// `cooldown`, also in other libraries.
pub const COOLDOWN: Param = param("cooldown", Holds::Whole(0), "0", "looks to wait after a cut");
/// `eps`, also in other libraries.
pub const EPS: Param = param("eps", Holds::Number(AT_LEAST_0), "1e-8", "smaller changes are not made");
/// `warmup`, also in other libraries.
pub const WARMUP: Param = param("warmup", Holds::Whole(0), "0", "looks to wait after a rise");

pub(crate) static ENTRY: Entry = Entry {
    kind: "greedy",
    aliases: &["GreedyLR", "greedy_lr"],
    summary: "raises the lr while the loss falls, cuts it when not",
    formula: "more than `patience` better looks in a row: lr = min(lr / factor, max), then wait `warmup` looks; more \
              than `patience` others: lr = max(lr * factor, min), then wait `cooldown` looks. While waiting nothing \
              is counted and best stays. After `reset_after` cuts at `min` without a rise everything starts anew",
    symbols: &[("better", "by more than `threshold`, as `threshold_mode` says")],
    ends: Ends {
        before: "`base` until the first rise or cut; the look after step t changes the lr of t + 1",
        at: "wherever the losses have led it, between `min` and `max` once it has moved",
        after: "goes on for as long as it is shown losses",
    },
    source: "GreedyLR, arXiv 2512.14527; transformers `greedy`",
    example: "{kind: greedy, factor: 0.8, patience: 1, min: 0.01x, max: 2x}",
    params: &[
        MODE,
        FACTOR,
        PATIENCE,
        THRESHOLD,
        THRESHOLD_MODE,
        COOLDOWN,
        WARMUP,
        param("min", Holds::Lr, "1e-3", "lower bound"),
        param("max", Holds::Lr, "1", "upper bound"),
        param("smooth", Holds::Whole(1), "1", "looks whose running mean is the metric"),
        param("reset_after", Holds::Whole(1), "500", "cuts at the lower bound before a new start"),
        EPS,
        WATCH,
        EVERY,
    ],
    build: Build::Rule(|reader| {
        let mode = reader.maybe_choice("mode");
        let (factor, patience) = (reader.number("factor"), reader.whole("patience"));
        let threshold = reader.number("threshold");
        let relative = reader.choice("threshold_mode").map(|mode| mode == "rel");
        let (cooldown, warmup) = (reader.whole("cooldown"), reader.whole("warmup"));
        let (min, max) = (reader.lr("min"), reader.lr("max"));
        let (smooth, reset_after, eps) =
            (reader.whole("smooth"), reader.whole("reset_after"), reader.number("eps"));
        let watch = Watch::read(reader);
        let (mode, watch) = (mode?, watch?);
        let order =
            Problem::new(reader.place_of("max"), reader.fields.path_of("max"), "`max` is below `min`");
        Some(Box::new(Greedy {
            better: Better {
                max: watch.max_mode(mode),
                relative: relative?,
                threshold: threshold?,
                also: 0.0,
            },
            factor: factor?,
            patience: patience?,
            cooldown: cooldown?,
            warmup: warmup?,
            min: min?,
            max: max?,
            smooth: smooth?,
            reset_after: reset_after?,
            eps: eps?,
            watch,
            order,
        }))
    }),
};

#[derive(Debug)]
struct Greedy {
    better: Better,
    factor: f64,
    patience: u64,
    cooldown: u64,
    warmup: u64,
    min: LrValue,
    max: LrValue,
    smooth: u64,
    reset_after: u64,
    eps: f64,
    watch: Watch,
    /// What is said if `max` turns out to be below `min`, which depends on the base lr.
    order: Problem,
}

impl Greedy {
    /// Mean of the last `smooth` metrics, summed up as transformers does it.
    fn smoothed(&self, memory: &mut Memory, metric: f64) -> f64 {
        if self.smooth == 1 {
            return metric;
        }
        memory.window.push(metric.to_bits());
        memory.sum += metric;
        if memory.window.len() as u64 > self.smooth {
            memory.sum -= f64::from_bits(memory.window.remove(0));
        }
        memory.sum / memory.window.len() as f64
    }
}

impl Rule for Greedy {
    fn start(&self, base: f64) -> Memory {
        Memory { lr: base, best: self.better.worst(), ..Memory::default() }
    }

    fn check(&self, at: &At, problems: &mut Vec<Problem>) {
        if self.max.of(at.base) < self.min.of(at.base) {
            problems.push(self.order.clone());
        }
    }

    fn least_looks(&self) -> u64 {
        self.patience.saturating_add(1)
    }

    fn known(&self, base: f64) -> Known {
        Known::Greedy(KnownGreedy {
            lr: base,
            max_mode: self.better.max,
            relative: self.better.relative,
            threshold: self.better.threshold,
            factor: self.factor,
            patience: self.patience,
            cooldown: self.cooldown,
            warmup: self.warmup,
            min: self.min.of(base),
            max: self.max.of(base),
            smooth: self.smooth,
            reset_after: self.reset_after,
            eps: self.eps,
            watch: self.watch.known(),
        })
    }

    fn watch(&self) -> Option<&Watch> {
        Some(&self.watch)
    }

    fn max_mode(&self) -> Option<bool> {
        Some(self.better.max)
    }

    fn look(&self, memory: &mut Memory, base: f64, metric: f64) {
        let metric = self.smoothed(memory, metric);
        if memory.cooldown > 0 || memory.warmup > 0 {
            if memory.cooldown > 0 {
                memory.cooldown -= 1;
            } else {
                memory.warmup -= 1;
            }
            (memory.bad, memory.good) = (0, 0);
            return;
        }
        if self.better.than(metric, memory.best) {
            memory.best = metric;
            (memory.bad, memory.good) = (0, memory.good + 1);
        } else {
            (memory.bad, memory.good) = (memory.bad + 1, 0);
        }
        if memory.good > self.patience {
            let higher = (memory.lr / self.factor).min(self.max.of(base));
            if higher - memory.lr > self.eps {
                memory.lr = higher;
            }
            (memory.good, memory.at_min, memory.warmup) = (0, 0, self.warmup);
        } else if memory.bad > self.patience {
            let min = self.min.of(base);
            let lower = (memory.lr * self.factor).max(min);
            if memory.lr - lower > self.eps {
                memory.lr = lower;
            }
            let mut reset = false;
            if memory.lr <= min {
                memory.at_min += 1;
                reset = memory.at_min >= self.reset_after;
            }
            if reset {
                *memory = self.start(base);
            }
            // As in transformers: a reset, too, is followed by the wait.
            (memory.bad, memory.cooldown) = (0, self.cooldown);
        }
    }
}
