//! The result of a stored run under a metric.

use std::collections::{BTreeSet, HashMap};

use schedule::problem::{listed, nearest};
use spec::metric::{Metric, Target, VALID_LOSS};
use store::{Status, StoreError, TrialRecord, Wanted};
use verdict::results::{RunResult, RunState};
use verdict::score::Score;

use crate::Error;

/// A metric, and its values that are not in the records of the runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values {
    /// The metric.
    pub metric: Metric,
    /// By trial: the value, or the number of steps to the target.
    found: HashMap<String, f64>,
    /// By trial: the best value, if the metric has a target.
    best: HashMap<String, f64>,
}

/// The value of a metric for a run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    Value(f64),
    /// It never reached the target; this is the value that came nearest.
    Unreached(f64),
    Nothing,
}

impl Values {
    /// Reads the values of a sweep with `read`, which is `values` of a store or its reader.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn read(
        metric: Metric,
        mut read: impl AsyncFnMut(&Wanted<'_>) -> Result<HashMap<String, f64>, StoreError>,
    ) -> Result<Self, StoreError> {
        let (mut found, mut best) = (HashMap::new(), HashMap::new());
        match &metric {
            Metric::Best => found = read(&Wanted::Best(VALID_LOSS, metric.direction())).await?,
            Metric::Tail(steps) => found = read(&Wanted::Tail(*steps)).await?,
            Metric::StepsTo(target) => {
                found = read(&Wanted::StepsTo(target)).await?;
                best = read(&Wanted::Best(&target.name, target.direction)).await?;
            }
            _ => {}
        }
        Ok(Self { metric, found, best })
    }

    fn seen(&self, row: &TrialRecord) -> Seen {
        let value = match &self.metric {
            Metric::Final => row.final_valid_loss,
            Metric::ValidAccuracy => row.valid_accuracy,
            Metric::TestLoss => row.test_loss,
            Metric::TestAccuracy => row.test_accuracy,
            Metric::Own { name, .. } => row.metrics.0.get(name).copied(),
            Metric::Best | Metric::Tail(_) | Metric::StepsTo(_) => self.found.get(&row.trial_id).copied(),
        };
        let nearest = self.best.get(&row.trial_id).copied();
        value.map(Seen::Value).or(nearest.map(Seen::Unreached)).unwrap_or(Seen::Nothing)
    }

    /// The number by which configs are chosen; lower is better. `None` if the loss is not finite, which is a divergence that
    /// nobody noticed.
    fn cost(&self, row: &TrialRecord) -> Option<f64> {
        match (self.seen(row), &self.metric) {
            (Seen::Value(value), metric) if value.is_finite() => Some(metric.direction().cost(value)),
            (Seen::Value(_), Metric::Final | Metric::Best | Metric::Tail(_)) => None,
            // Among runs that do not reach the target, those that come nearer are better: less than a step.
            (Seen::Unreached(best), Metric::StepsTo(Target { direction, value, .. })) => {
                let gap = direction.gain(value - best);
                Some(unreached(row) + gap / (1.0 + gap))
            }
            _ => Some(f64::INFINITY),
        }
    }

    /// Whether no finished run has the metric, although there are finished runs.
    pub(crate) fn is_unknown(&self, results: &[RunResult]) -> bool {
        let mut done = results.iter().filter(|run| run.trial.status == Status::Done).peekable();
        done.peek().is_some() && done.all(|run| matches!(run.state, RunState::Unreported(_)))
    }

    /// The error if no finished run has the metric. It names the metrics that runs have.
    pub(crate) fn unknown(&self, sweep: &str, results: &[RunResult]) -> Error {
        let Some(name) = self.metric.own_name() else {
            let title = self.metric.title();
            return Error::usage(format_args!("the runs of `{sweep}` have no {title}; use another metric"));
        };
        let known: BTreeSet<&str> =
            results.iter().flat_map(|run| run.trial.metrics.0.keys().map(String::as_str)).collect();
        no_metric(sweep, name, &known)
    }
}

/// The number of steps of a run that does not reach its target: it needs at least one more than it has.
fn unreached(row: &TrialRecord) -> f64 {
    row.steps as f64 + 1.0
}

/// The error for a metric that no run reports. `known` are the metrics that runs report.
pub(crate) fn no_metric(sweep: &str, name: &str, known: &BTreeSet<&str>) -> Error {
    let fixed = ["final", "best", "valid_accuracy", "test_loss", "accuracy"];
    let hint = match nearest(name, known.iter().copied().chain(fixed)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "they report no other metrics".to_owned(),
        None => format!("they report {}", listed(known.iter().copied())),
    };
    Error::usage(format_args!("no finished run of `{sweep}` has reported `{name}` ({hint})"))
}

/// The result of a run: the cost by which `chooses` chooses configs, and the score by which `judges` ranks them. Test metrics are
/// used only for the score.
pub(crate) fn result(row: TrialRecord, chooses: &Values, judges: &Values) -> RunResult {
    let (state, score) = outcome(&row, chooses, judges);
    RunResult { trial: row, state, score }
}

/// The state of a run and the score that judges it.
pub(crate) fn outcome(row: &TrialRecord, chooses: &Values, judges: &Values) -> (RunState, Option<Score>) {
    let direction = judges.metric.direction();
    let cost = chooses.cost(row).filter(|_| row.final_valid_loss.is_some());
    let (state, value) = match (row.status, cost, judges.seen(row)) {
        (Status::Done, Some(cost), Seen::Value(value)) if value.is_finite() => {
            (RunState::Done(cost), Some(value))
        }
        (Status::Done, Some(cost), Seen::Unreached(_)) => (RunState::Unreached(cost), Some(unreached(row))),
        (Status::Done, Some(cost), _) => (RunState::Unreported(cost), Some(direction.worst())),
        (Status::Diverged | Status::Done, ..) => (RunState::Diverged, Some(direction.worst())),
        (Status::Failed, ..) => (RunState::Failed, None),
        _ => (RunState::Missing, None),
    };
    (state, value.map(|value| Score { value, direction }))
}

/// The metric in the types of `verdict`.
pub(crate) fn described(metric: &Metric) -> verdict::ranking::Metric {
    verdict::ranking::Metric {
        name: metric.to_string(),
        title: metric.title(),
        direction: metric.direction(),
        has_target: matches!(metric, Metric::StepsTo(_)),
    }
}
