//! The bold driver: raises the lr a little after each improvement and lowers it much otherwise.

use serde::{Deserialize, Serialize};

use super::{EVERY, Memory, Rule, RuleState, WATCH_LOSS, Watch};
use crate::catalogue::{AT_LEAST_1, BETWEEN_0_AND_1, Build, Ends, Entry, ParamType, param};

pub(crate) static ENTRY: Entry = Entry {
    kind: "bold_driver",
    aliases: &["boldDriver", "bold"],
    summary: "raises the lr as the loss falls, cuts it after a rise",
    formula: "if m_t < m_(t-1), lr = lr * up, else lr = lr * down; the first check only stores the metric",
    symbols: &[("m_t", "the metric of the check after step t"), ("m_(t-1)", "that of the previous check")],
    ends: Ends {
        before: "`base` until the second check; the check after step t changes the lr of t + 1",
        at: "depends on the losses; no bound",
        after: "continues as long as it receives losses",
    },
    source: "Battiti 1989",
    example: "{kind: bold_driver, up: 1.05, down: 0.5}",
    params: &[
        param("up", ParamType::Number(AT_LEAST_1), "1.05", "factor after a fall of the loss"),
        param("down", ParamType::Number(BETWEEN_0_AND_1), "0.5", "factor after a rise"),
        WATCH_LOSS,
        EVERY,
    ],
    build: Build::Rule(|reader| {
        let (up, down, watch) = (reader.number("up"), reader.number("down"), Watch::read(reader));
        Some(Box::new(BoldDriver { up: up?, down: down?, watch: watch? }))
    }),
};

#[derive(Debug)]
struct BoldDriver {
    up: f64,
    down: f64,
    watch: Watch,
}

/// Its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The metric of the last check.
    #[serde(with = "crate::exact::option")]
    last: Option<f64>,
}

impl Rule for BoldDriver {
    fn start(&self, base: f64) -> Memory {
        Memory::new(base, RuleState::BoldDriver(State { last: None }))
    }

    fn min_checks(&self) -> u64 {
        2
    }

    fn watch(&self) -> Option<&Watch> {
        Some(&self.watch)
    }

    fn observe(&self, memory: &mut Memory, _base: f64, metric: f64) {
        let Memory { lr, state: RuleState::BoldDriver(state) } = memory else { return };
        if let Some(last) = state.last {
            *lr *= if metric < last { self.up } else { self.down };
        }
        state.last = Some(metric);
    }
}
