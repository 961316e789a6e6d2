//! The adaptive learning rate of scikit-learn.

use serde::{Deserialize, Serialize};

use super::{EVERY, Memory, Rule, RuleState, WATCH_LOSS, Watch};
use crate::catalogue::{ABOVE_1, AT_LEAST_0, Build, Ends, Entry, ParamType, param};

pub(crate) static ENTRY: Entry = Entry {
    kind: "adaptive",
    aliases: &["sklearn_adaptive"],
    summary: "divides the lr when the loss falls too little",
    formula: "if m > best - tol, bad += 1, else bad = 0; best = min(best, m); if bad > patience, lr = lr / divide and \
              bad = 0. If this happens at an lr of stop_below or less, the lr becomes 0 and training stops",
    symbols: &[
        ("m", "the metric of this check"),
        ("best", "the lowest metric so far"),
        ("bad", "consecutive checks without improvement"),
    ],
    ends: Ends {
        before: "`base` until the first division; the check after step t changes the lr of t + 1",
        at: "depends on the losses; 0 after training has stopped",
        after: "continues as long as it receives losses",
    },
    source: "scikit-learn MLPClassifier(learning_rate='adaptive')",
    example: "{kind: adaptive, patience: 2}",
    params: &[
        param("divide", ParamType::Number(ABOVE_1), "5", "divisor of the lr"),
        param("tol", ParamType::Number(AT_LEAST_0), "1e-4", "minimum improvement"),
        param(
            "patience",
            ParamType::Whole(0),
            "10",
            "number of checks without improvement before the lr is divided",
        ),
        param(
            "stop_below",
            ParamType::Number(AT_LEAST_0),
            "1e-6",
            "lr at which training stops instead of a further division",
        ),
        WATCH_LOSS,
        EVERY,
    ],
    build: Build::Rule(|reader| {
        let (divide, tol, patience) =
            (reader.number("divide"), reader.number("tol"), reader.whole("patience"));
        let (stop_below, watch) = (reader.number("stop_below"), Watch::read(reader));
        Some(Box::new(Adaptive {
            divide: divide?,
            tol: tol?,
            patience: patience?,
            stop_below: stop_below?,
            watch: watch?,
        }))
    }),
};

#[derive(Debug)]
struct Adaptive {
    divide: f64,
    tol: f64,
    patience: u64,
    stop_below: f64,
    watch: Watch,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The lowest metric so far.
    #[serde(with = "crate::exact")]
    best: f64,
    /// Consecutive checks without improvement.
    bad: u64,
}

impl Rule for Adaptive {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::Adaptive(State { best: f64::INFINITY, bad: 0 }))
    }

    fn min_checks(&self) -> u64 {
        // The first metric counts as an improvement.
        self.patience.saturating_add(2)
    }

    fn watch(&self) -> Option<&Watch> {
        Some(&self.watch)
    }

    fn observe(&self, memory: &mut Memory, _base: f64, metric: f64) {
        let Memory { lr, state: RuleState::Adaptive(state) } = memory else { return };
        state.bad = if metric > state.best - self.tol { state.bad + 1 } else { 0 };
        if metric < state.best {
            state.best = metric;
        }
        if state.bad > self.patience {
            *lr = if *lr <= self.stop_below { 0.0 } else { *lr / self.divide };
            state.bad = 0;
        }
    }
}
