//! Reduce on plateau.

use serde::{Deserialize, Serialize};

use super::{Better, EVERY, MODE, Memory, Rule, RuleState, WATCH, Watch};
use crate::catalogue::{AT_LEAST_0, BETWEEN_0_AND_1, Build, Ends, Entry, Param, ParamType, param};
use crate::known::{Known, KnownPlateau};
use crate::lr_value::LrValue;

/// `factor`, shared with other libraries.
pub const FACTOR: Param =
    param("factor", ParamType::Number(BETWEEN_0_AND_1), "0.1", "factor of each reduction");
/// `patience`, shared with other libraries.
pub const PATIENCE: Param = param(
    "patience",
    ParamType::Whole(0),
    "10",
    "number of checks without improvement before the lr is reduced",
);
/// `threshold`, shared with other libraries.
pub const THRESHOLD: Param = param("threshold", ParamType::Number(AT_LEAST_0), "1e-4", "minimum improvement");
/// `threshold_mode`, shared with other libraries.
pub const THRESHOLD_MODE: Param = param(
    "threshold_mode",
    ParamType::Choice(&["rel", "abs"]),
    "rel",
    "`rel`: `threshold` is relative to the best metric; `abs`: it is absolute",
);
/// `cooldown`, shared with other libraries.
pub const COOLDOWN: Param = param("cooldown", ParamType::Whole(0), "0", "checks to ignore after a reduction");
/// `eps`, shared with other libraries.
pub const EPS: Param = param(
    "eps",
    ParamType::Number(AT_LEAST_0),
    "1e-8",
    "minimum change of the lr; smaller \
                                                                            reductions are skipped",
);

pub(crate) static ENTRY: Entry = Entry {
    kind: "plateau",
    aliases: &["ReduceLROnPlateau", "reduce_on_plateau", "PlateauLRScheduler", "reduce_lr_on_plateau"],
    summary: "reduces the lr when the metric stops improving",
    formula: "after each check: if m is better than best, best = m and bad = 0, else bad = bad + 1; during the \
              cooldown bad = 0; if bad > patience, lr = max(lr * factor, min) if that changes it by more than eps, then \
              the cooldown starts. Better: m < best * (1 - threshold) - threshold_abs (rel) or m < best - threshold - \
              threshold_abs (abs)",
    symbols: &[
        ("m", "the metric of this check"),
        ("best", "the best metric so far"),
        ("bad", "consecutive checks without improvement"),
    ],
    ends: Ends {
        before: "`base` until the first reduction; the check after step t changes the lr of t + 1 (`apply: same`: of t)",
        at: "depends on the metrics; no target",
        after: "continues as long as it receives metrics",
    },
    source: "torch ReduceLROnPlateau; `apply: same`, `accumulate`, `threshold_abs`: optax reduce_on_plateau (keras and \
             optax patience p is p - 1 here)",
    example: "{kind: plateau, factor: 0.5, patience: 2}",
    params: &[
        MODE,
        FACTOR,
        PATIENCE,
        THRESHOLD,
        THRESHOLD_MODE,
        param(
            "threshold_abs",
            ParamType::Number(AT_LEAST_0),
            "0",
            "absolute improvement required in addition to `threshold`",
        ),
        COOLDOWN,
        param("min", ParamType::Lr, "0", "lower bound"),
        EPS,
        param("accumulate", ParamType::Whole(1), "1", "number of checks whose mean is one metric"),
        param(
            "apply",
            ParamType::Choice(&["next", "same"]),
            "next",
            "whether the metric of step t changes the lr of step t + 1 (`next`) or t (`same`)",
        ),
        WATCH,
        EVERY,
    ],
    build: Build::Rule(|reader| {
        let mode = reader.maybe_choice("mode");
        let (factor, patience) = (reader.number("factor"), reader.whole("patience"));
        let threshold = reader.number("threshold");
        let relative = reader.choice("threshold_mode").map(|mode| mode == "rel");
        let absolute = reader.number("threshold_abs");
        let (cooldown, min, eps) = (reader.whole("cooldown"), reader.lr("min"), reader.number("eps"));
        let accumulate = reader.whole("accumulate");
        let same = reader.choice("apply").map(|apply| apply == "same");
        let watch = Watch::read(reader);
        let watch = if same? { watch?.before_update(reader) } else { watch };
        let (mode, watch) = (mode?, watch?);
        let max = watch.max_mode(mode, reader)?;
        Some(Box::new(Plateau {
            better: Better { max, relative: relative?, threshold: threshold?, absolute: absolute? },
            factor: factor?,
            patience: patience?,
            cooldown: cooldown?,
            min: min?,
            eps: eps?,
            accumulate: accumulate?,
            watch,
        }))
    }),
};

#[derive(Debug)]
struct Plateau {
    better: Better,
    factor: f64,
    patience: u64,
    cooldown: u64,
    min: LrValue,
    eps: f64,
    accumulate: u64,
    watch: Watch,
}

/// Its state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The best metric so far.
    #[serde(with = "crate::exact")]
    best: f64,
    /// Sum of the metrics since the last check.
    #[serde(with = "crate::exact")]
    sum: f64,
    /// Number of these metrics.
    #[serde(rename = "looks")]
    checks: u64,
    /// Consecutive checks without improvement.
    bad: u64,
    /// Checks to wait after a reduction.
    cooldown: u64,
}

impl Rule for Plateau {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::Plateau(State { best: self.better.worst(), ..State::default() }))
    }

    fn min_checks(&self) -> u64 {
        // The first metric counts as an improvement, unless `threshold` is at least 1 and relative.
        let first = u64::from(!self.better.relative || self.better.threshold < 1.0);
        self.patience.saturating_add(1 + first).saturating_mul(self.accumulate)
    }

    fn known(&self, base: f64) -> Known {
        Known::Plateau(KnownPlateau {
            lr: base,
            max_mode: self.better.max,
            relative: self.better.relative,
            threshold: self.better.threshold,
            threshold_abs: self.better.absolute,
            factor: self.factor,
            patience: self.patience,
            cooldown: self.cooldown,
            min: self.min.of(base),
            eps: self.eps,
            accumulate: self.accumulate,
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
        let Memory { lr, state: RuleState::Plateau(state) } = memory else { return };
        state.sum += metric;
        state.checks += 1;
        if state.checks < self.accumulate {
            return;
        }
        let metric = state.sum / state.checks as f64;
        (state.sum, state.checks) = (0.0, 0);

        if self.better.than(metric, state.best) {
            state.best = metric;
            state.bad = 0;
        } else {
            state.bad += 1;
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad = 0;
        }
        if state.bad > self.patience {
            let lower = (*lr * self.factor).max(self.min.of(base));
            if *lr - lower > self.eps {
                *lr = lower;
            }
            state.cooldown = self.cooldown;
            state.bad = 0;
        }
    }
}
