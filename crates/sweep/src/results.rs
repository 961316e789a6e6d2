//! The result of a stored run under a metric.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use store::{Status, TrialRecord};
use verdict::results::{RunResult, RunState};
use verdict::score::{Direction, Score};

/// The metric by which runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metric {
    /// Validation loss after the last step.
    #[default]
    Final,
    /// The lowest validation loss of all evaluations.
    Best,
    /// Mean training loss over this many last steps.
    Tail(u32),
    /// Test loss after the last step. Only ranks; the final validation loss still chooses the configs.
    TestLoss,
    /// Test accuracy after the last step. Only ranks; the final validation loss still chooses the configs.
    Accuracy,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metric::Final => write!(f, "final"),
            Metric::Best => write!(f, "best"),
            Metric::Tail(steps) => write!(f, "tail:{steps}"),
            Metric::TestLoss => write!(f, "test_loss"),
            Metric::Accuracy => write!(f, "accuracy"),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    /// Parses the value of `--metric`.
    fn from_str(text: &str) -> Result<Self, String> {
        let tail = text.strip_prefix("tail:").and_then(|steps| {
            // Also as in 1e3.
            let exact = |x: &f64| x.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(x);
            steps.parse().ok().or_else(|| steps.parse().ok().filter(exact).map(|x| x as u32))
        });
        match (text, tail) {
            ("final", _) => Ok(Self::Final),
            ("best", _) => Ok(Self::Best),
            ("test_loss", _) => Ok(Self::TestLoss),
            ("accuracy", _) => Ok(Self::Accuracy),
            (_, Some(steps @ 1..)) => Ok(Self::Tail(steps)),
            _ => Err("expected final, best, tail:N (as in tail:50), test_loss or accuracy".to_owned()),
        }
    }
}

impl Metric {
    fn direction(self) -> Direction {
        match self {
            Metric::Accuracy => Direction::HigherIsBetter,
            Metric::Final | Metric::Best | Metric::Tail(_) | Metric::TestLoss => Direction::LowerIsBetter,
        }
    }

    /// The metric in the types of `verdict`.
    pub(crate) fn described(self) -> verdict::ranking::Metric {
        let title = match self {
            Metric::Final => "valid loss".to_owned(),
            Metric::Best => "best valid loss".to_owned(),
            Metric::Tail(steps) => format!("train loss, last {steps}"),
            Metric::TestLoss => "test loss".to_owned(),
            Metric::Accuracy => "test accuracy".to_owned(),
        };
        verdict::ranking::Metric { name: self.to_string(), title, direction: self.direction() }
    }
}

/// The result of a run: the loss by which configs are chosen, and the score by which they are ranked. Test metrics
/// are used only for the score.
pub(crate) fn result(row: TrialRecord, metric: Metric, losses: &HashMap<String, f64>) -> RunResult {
    let chosen = match metric {
        Metric::Best | Metric::Tail(_) => losses.get(&row.trial_id).copied(),
        Metric::Final | Metric::TestLoss | Metric::Accuracy => row.final_valid_loss,
    };
    let state = match (row.status, chosen) {
        (Status::Done, Some(loss)) if loss.is_finite() && row.final_valid_loss.is_some() => {
            RunState::Done(loss)
        }
        // A program may not report the losses of its last steps.
        (Status::Done, None) if matches!(metric, Metric::Tail(_)) => RunState::Missing,
        (Status::Diverged | Status::Done, _) => RunState::Diverged,
        (Status::Failed, _) => RunState::Failed,
        _ => RunState::Missing,
    };
    let judged = match metric {
        Metric::TestLoss => row.test_loss,
        Metric::Accuracy => row.test_accuracy,
        Metric::Final | Metric::Best | Metric::Tail(_) => chosen,
    };
    let direction = metric.direction();
    let score = match state {
        RunState::Diverged => Some(Score::worst(direction)),
        _ => judged.map(|value| Score { value, direction }),
    };
    RunResult { trial: row, state, score }
}
