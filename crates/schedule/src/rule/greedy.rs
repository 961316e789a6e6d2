//! GreedyLR: raises the lr while the metric improves, else lowers it.

use serde::{Deserialize, Serialize};

use super::{Better, EVERY, MODE, Memory, Rule, RuleState, WATCH, Watch};
use crate::catalogue::{AT_LEAST_0, BETWEEN_0_AND_1, Build, Ends, Entry, Param, ParamType, param};
use crate::known::{Known, KnownGreedy};
use crate::lr_value::LrValue;
use crate::problem::Problem;
use crate::segment::Position;

/// `factor`, shared with other libraries.
pub const FACTOR: Param = param(
    "factor",
    ParamType::Number(BETWEEN_0_AND_1),
    "0.95",
    "factor of a reduction; an increase divides by it",
);
/// `patience`, shared with other libraries.
pub const PATIENCE: Param =
    param("patience", ParamType::Whole(0), "10", "number of consecutive checks before the lr changes");
/// `threshold`, shared with other libraries.
pub const THRESHOLD: Param = param("threshold", ParamType::Number(AT_LEAST_0), "1e-6", "minimum improvement");
/// `threshold_mode`, shared with other libraries.
pub const THRESHOLD_MODE: Param = param(
    "threshold_mode",
    ParamType::Choice(&["rel", "abs"]),
    "abs",
    "`rel`: `threshold` is relative to the best metric; `abs`: it is absolute",
);
/// `cooldown`, shared with other libraries.
pub const COOLDOWN: Param = param("cooldown", ParamType::Whole(0), "0", "checks to wait after a reduction");
/// `eps`, shared with other libraries.
pub const EPS: Param = param(
    "eps",
    ParamType::Number(AT_LEAST_0),
    "1e-8",
    "minimum change of the lr; smaller changes \
                                                                            are skipped",
);
/// `warmup`, shared with other libraries.
pub const WARMUP: Param = param("warmup", ParamType::Whole(0), "0", "checks to wait after an increase");

pub(crate) static ENTRY: Entry = Entry {
    kind: "greedy",
    aliases: &["GreedyLR", "greedy_lr"],
    summary: "raises the lr while the metric improves, else lowers it",
    formula: "after more than `patience` better checks in a row lr = min(lr / factor, max), then wait `warmup` checks; \
              after more than `patience` other checks lr = max(lr * factor, min), then wait `cooldown` checks. While \
              waiting, checks are not counted and best does not change. After `reset_after` reductions at `min` without \
              an increase, the rule restarts",
    symbols: &[("better", "by more than `threshold`, as `threshold_mode` says")],
    ends: Ends {
        before: "`base` until the first change; the check after step t changes the lr of t + 1",
        at: "depends on the metrics; between `min` and `max` after the first change",
        after: "continues as long as it receives metrics",
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
        param("min", ParamType::Lr, "1e-3", "lower bound"),
        param("max", ParamType::Lr, "1", "upper bound"),
        param("smooth", ParamType::Whole(1), "1", "number of checks in the running mean of the metric"),
        param("reset_after", ParamType::Whole(1), "500", "reductions at the lower bound before a restart"),
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
        let max_mode = watch.max_mode(mode, reader)?;
        let order =
            Problem::new(reader.place_of("max"), reader.fields.path_of("max"), "`max` is below `min`");
        Some(Box::new(Greedy {
            better: Better { max: max_mode, relative: relative?, threshold: threshold?, absolute: 0.0 },
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
    /// The problem if `max` is below `min`, which depends on the base lr.
    order: Problem,
}

/// Its state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The best metric so far.
    #[serde(with = "crate::exact")]
    best: f64,
    /// The metrics of the running mean, the oldest first.
    #[serde(with = "crate::exact::list", rename = "window")]
    recent: Vec<f64>,
    /// Their sum.
    #[serde(with = "crate::exact")]
    sum: f64,
    /// Consecutive checks without improvement.
    bad: u64,
    /// Consecutive checks with improvement.
    good: u64,
    /// Checks left to wait after a reduction.
    cooldown: u64,
    /// Checks left to wait after an increase.
    warmup: u64,
    /// Reductions at the lower bound so far.
    at_min: u64,
}

impl Greedy {
    /// Mean of the last `smooth` metrics, summed up as transformers does it.
    fn smoothed(&self, state: &mut State, metric: f64) -> f64 {
        if self.smooth == 1 {
            return metric;
        }
        state.recent.push(metric);
        state.sum += metric;
        if state.recent.len() as u64 > self.smooth {
            state.sum -= state.recent.remove(0);
        }
        state.sum / state.recent.len() as f64
    }

    /// The state before the first check.
    fn initial_state(&self) -> State {
        State { best: self.better.worst(), ..State::default() }
    }

    /// Raises the lr after more than `patience` consecutive improvements.
    fn raise(&self, lr: &mut f64, state: &mut State, max: f64) {
        let higher = (*lr / self.factor).min(max);
        if higher - *lr > self.eps {
            *lr = higher;
        }
        (state.good, state.at_min, state.warmup) = (0, 0, self.warmup);
    }

    /// Lowers the lr after more than `patience` consecutive checks without improvement.
    fn lower(&self, lr: &mut f64, state: &mut State, base: f64) {
        let min = self.min.of(base);
        let reduced = (*lr * self.factor).max(min);
        if *lr - reduced > self.eps {
            *lr = reduced;
        }
        if *lr <= min {
            state.at_min += 1;
            if state.at_min >= self.reset_after {
                (*lr, *state) = (base, self.initial_state());
            }
        }
        // As in transformers, a reset is also followed by the wait.
        (state.bad, state.cooldown) = (0, self.cooldown);
    }
}

impl Rule for Greedy {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::Greedy(self.initial_state()))
    }

    fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        if self.max.of(at.base) < self.min.of(at.base) {
            problems.push(self.order.clone());
        }
    }

    fn min_checks(&self) -> u64 {
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

    fn observe(&self, memory: &mut Memory, base: f64, metric: f64) {
        let Memory { lr, state: RuleState::Greedy(state) } = memory else { return };
        let metric = self.smoothed(state, metric);
        if state.cooldown > 0 || state.warmup > 0 {
            if state.cooldown > 0 {
                state.cooldown -= 1;
            } else {
                state.warmup -= 1;
            }
            (state.bad, state.good) = (0, 0);
            return;
        }
        if self.better.than(metric, state.best) {
            state.best = metric;
            (state.bad, state.good) = (0, state.good + 1);
        } else {
            (state.bad, state.good) = (state.bad + 1, 0);
        }
        if state.good > self.patience {
            self.raise(lr, state, self.max.of(base));
        } else if state.bad > self.patience {
            self.lower(lr, state, base);
        }
    }
}
