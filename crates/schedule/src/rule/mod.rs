//! Closed-loop rules: their lr depends on the losses or gradients so far. The state of a rule is a plain
//! value outside the schedule. One file per kind.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Param, ParamType, optional};
use crate::coverage::Coverage;
use crate::known::{Known, KnownWatch, Metric};
use crate::length::Length;
use crate::lint::{HORIZON_MISMATCH, NEVER_CHANGES, WRONG_MODE, warning};
use crate::problem::{Problem, counted};
use crate::reader::Reader;
use crate::segment::Position;
use crate::vectors::{Kept, RuleVectors};
use crate::{AfterUpdate, Average, BeforeUpdate, Needs, Wants};

pub(crate) mod adagrad_norm;
pub(crate) mod adaptive;
pub(crate) mod bold_driver;
pub(crate) mod d_adaptation;
pub(crate) mod dog;
pub(crate) mod greedy;
pub(crate) mod hypergradient;
pub(crate) mod plateau;
pub(crate) mod polyak;
pub(crate) mod prodigy;
pub(crate) mod schedule_free;

/// A rule that watches training.
pub(crate) trait Rule: std::fmt::Debug + Send + Sync {
    /// Its memory before the first step; `base` is the base lr.
    fn start(&self, base: f64) -> Memory;

    /// Its form in other libraries.
    fn known(&self, _base: f64) -> Known {
        Known::Other
    }

    /// The metric that it watches, if any.
    fn watch(&self) -> Option<&Watch> {
        None
    }

    /// The inputs that it needs.
    fn needs(&self) -> Needs {
        let metric = self.watch().map(|watch| &watch.metric);
        Needs {
            loss: matches!(metric, Some(Metric::ValidLoss | Metric::TrainLoss)),
            accuracy: metric == Some(&Metric::ValidAccuracy),
            ..Needs::default()
        }
    }

    /// The vectors that it stores between steps.
    fn kept_vectors(&self) -> &'static [Kept] {
        &[]
    }

    /// The minimum number of checks with finite losses after which the lr can have changed.
    fn min_checks(&self) -> u64 {
        1
    }

    /// Whether a higher metric is better; `None` if it does not compare metrics.
    fn max_mode(&self) -> Option<bool> {
        None
    }

    /// Checks that it fits a run whose segment begins at `at`.
    fn check(&self, _at: &Position, _problems: &mut Vec<Problem>) {}

    /// Passes it one value of the metric that it watches.
    fn observe(&self, _memory: &mut Memory, _base: f64, _metric: f64) {}

    /// Passes it the gradient before an update.
    fn gradient(
        &self,
        _memory: &mut Memory,
        _at: &Position,
        _before: &BeforeUpdate,
        _vectors: &mut RuleVectors<'_>,
    ) {
    }

    /// Whether it ever returns an [`Average`].
    fn averages(&self) -> bool {
        false
    }

    /// How the current update is averaged, if it is.
    fn average(&self, _memory: &Memory) -> Option<Average> {
        None
    }
}

/// The lr of a rule and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The lr of the next update.
    #[serde(with = "crate::exact")]
    pub(crate) lr: f64,
    pub(crate) state: RuleState,
}

/// The state of a rule in addition to its lr. Each kind defines its own type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuleState {
    AdagradNorm(adagrad_norm::State),
    Adaptive(adaptive::State),
    BoldDriver(bold_driver::State),
    DAdaptation(d_adaptation::State),
    Dog(dog::State),
    Greedy(greedy::State),
    Hypergradient(hypergradient::State),
    Plateau(plateau::State),
    Polyak,
    Prodigy(prodigy::State),
    ScheduleFree(schedule_free::State),
}

impl Memory {
    fn new(lr: f64, state: RuleState) -> Self {
        Self { lr, state }
    }

    /// Whether both are memories of one kind of rule.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.state) == std::mem::discriminant(&other.state)
    }
}

/// The direction in which the metric improves.
pub(crate) const MODE: Param = optional(
    "mode",
    ParamType::Choice(&["min", "max"]),
    "whether a lower or a higher metric is better; by default `max` for the accuracy and `min` for a loss",
);

/// The metric that a rule watches.
pub const WATCH: Param = optional(
    "watch",
    ParamType::Metric(&Metric::NAMES),
    "the metric; by default the validation loss (with `apply: same` the loss of the batch). `valid_accuracy` needs a \
     model or program that reports one; a metric of the program's own needs `mode`",
);

/// The loss that a rule watches, for rules that only support metrics that should fall.
pub const WATCH_LOSS: Param = optional(
    "watch",
    ParamType::Choice(&["valid_loss", "train_loss"]),
    "the loss; by default the validation loss",
);

/// How often a rule checks its metric.
pub const EVERY: Param = optional(
    "every",
    ParamType::Length(1),
    "interval between checks; by default the rule checks whenever the run evaluates",
);

impl Metric {
    /// Their names in `watch`, in the order of the variants.
    const NAMES: [&'static str; 3] = ["valid_loss", "train_loss", "valid_accuracy"];

    /// The known metric with this name in `watch`; the validation loss for all others.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "train_loss" => Self::TrainLoss,
            "valid_accuracy" => Self::ValidAccuracy,
            _ => Self::ValidLoss,
        }
    }
}

/// How a rule watches a metric.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) metric: Metric,
    /// Check before the update: the loss at t already changes the lr of update t.
    pub(crate) before: bool,
    every: Option<Length>,
}

impl Watch {
    pub(crate) fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        let (metric, every) = (reader.maybe_metric("watch"), reader.maybe_length("every"));
        Some(Self { metric: metric?.unwrap_or(Metric::ValidLoss), before: false, every: every? })
    }

    /// The same with checks before the update. These can only use the loss of the batch.
    pub(crate) fn before_update(self, reader: &mut Reader<'_, '_>) -> Option<Self> {
        if reader.fields.has("watch") && self.metric != Metric::TrainLoss {
            reader.problem(
                "watch",
                "expected `train_loss` with `apply: same`: other metrics are not known before the \
                                     update",
            );
            return None;
        }
        Some(Self { metric: Metric::TrainLoss, before: true, ..self })
    }

    /// Whether higher is better: by `mode`, or by the metric if there is no `mode`. Only the user knows this of a program's own metric.
    pub(crate) fn max_mode(&self, mode: Option<&str>, reader: &mut Reader<'_, '_>) -> Option<bool> {
        match (mode, &self.metric) {
            (Some(mode), _) => Some(mode == "max"),
            (None, Metric::Own(name)) => {
                let message = format!(
                    "`{name}` needs `mode: max` if a higher value is better, or `mode: min` if a lower one is"
                );
                reader.problem("watch", &message);
                None
            }
            (None, metric) => Some(*metric == Metric::ValidAccuracy),
        }
    }

    /// Warns if the rule expects a loss to rise or an accuracy to fall.
    pub(crate) fn warn_of_the_mode(&self, max: bool, warnings: &mut Vec<Problem>) {
        let name = self.metric.name();
        let (message, hint) = match (&self.metric, max) {
            (Metric::ValidAccuracy, false) => (
                format!("`mode: min` on `{name}`: a rising accuracy does not count as an improvement"),
                "write `mode: max`, or remove `mode`".to_owned(),
            ),
            (Metric::ValidLoss | Metric::TrainLoss, true) => (
                format!("`mode: max` on `{name}`: a falling loss does not count as an improvement"),
                "write `mode: min` for the loss, or `watch: valid_accuracy` for the accuracy".to_owned(),
            ),
            _ => return,
        };
        warnings.push(warning(WRONG_MODE, message).with_hint(hint));
    }

    /// Its form in other libraries.
    pub(crate) fn known(&self) -> KnownWatch {
        let every = self.every.as_ref().map(Length::written);
        KnownWatch { metric: self.metric.clone(), before: self.before, every }
    }

    /// Whether the step at a position is the last of an interval.
    fn due(&self, at: &Position) -> bool {
        self.every.as_ref().is_none_or(|every| {
            let every = (every.ticks(at) * at.tick).round().max(1.0);
            // A cycle of a `restart` may begin between two steps.
            ((at.step + 1e-6).floor() + 1.0).rem_euclid(every) == 0.0
        })
    }

    /// The metric of a check before the update.
    pub(crate) fn metric_before(&self, at: &Position, before: &BeforeUpdate) -> Option<f64> {
        (self.before && self.due(at)).then_some(before.train_loss)
    }

    /// The metric of a check after the update.
    pub(crate) fn metric_after(&self, at: &Position, after: &AfterUpdate<'_>) -> Option<f64> {
        if !self.checks_after(at, after.evaluated) {
            return None;
        }
        match &self.metric {
            Metric::ValidLoss => after.valid_loss,
            Metric::TrainLoss => Some(after.train_loss),
            Metric::ValidAccuracy => after.valid_accuracy,
            Metric::Own(name) => after.own.get(name.as_ref()).copied(),
        }
    }

    /// Whether it checks after the update; `evaluates`: whether the run evaluates then.
    fn checks_after(&self, at: &Position, evaluates: bool) -> bool {
        !self.before && self.due(at) && (self.every.is_some() || evaluates)
    }

    /// The metrics that it needs of a step; `evaluates`: whether the run evaluates after it.
    pub(crate) fn wants(&self, at: &Position, evaluates: bool) -> Wants {
        let after = self.checks_after(at, evaluates);
        Wants {
            before: self.before && self.due(at),
            train_loss: after && self.metric == Metric::TrainLoss,
            valid_loss: after && self.metric == Metric::ValidLoss,
            valid_accuracy: after && self.metric == Metric::ValidAccuracy,
            own: match &self.metric {
                Metric::Own(name) if after => vec![Arc::clone(name)],
                _ => Vec::new(),
            },
        }
    }

    /// Warns if there are too few checks for the lr to change, for any losses.
    pub(crate) fn warn(&self, covered: &Coverage, least: u64, warnings: &mut Vec<Problem>) {
        let steps = |ticks: f64| (ticks * covered.start.tick).round();
        let first = steps(covered.start.s);
        // A check after the last update is too late.
        let last = steps(covered.end) - if self.before { 0.0 } else { 1.0 };
        let looks = match (&self.every, covered.evaluate_every) {
            (Some(every), _) => {
                let every = steps(every.ticks(&covered.start)).max(1.0);
                (last / every).floor() - (first / every).floor()
            }
            (None, _) if self.before => last - first,
            (None, Some(every)) => {
                let begin = covered.start.begin;
                ((begin + last) / every).floor() - ((begin + first) / every).floor()
            }
            (None, None) => return,
        };
        if looks >= least as f64 {
            return;
        }
        let enough = |every: &str| format!("write `{every}: {}`", covered.share(least as f64 + 1.0));
        if let (Some(every), true) = (&self.every, looks <= 0.0) {
            let message = format!(
                "the first check would come after {}, but the run has {}",
                every.written(),
                covered.end
            );
            let problem = every.problem(message).with_lint(HORIZON_MISMATCH);
            warnings.push(problem.with_hint(enough("every")));
            return;
        }
        let looks = counted(looks, "check");
        let message = format!("{looks} before the last update, but the lr can only change after {least}");
        let hint = format!("choose a smaller `patience`, or {}", enough("every"));
        warnings.push(warning(NEVER_CHANGES, message).with_hint(hint));
    }

    pub(crate) fn check(&self, at: &Position, problems: &mut Vec<Problem>) {
        if let Some(every) = &self.every {
            every.check(at, 1.0, problems);
        }
    }
}

/// The comparison of metrics, as in torch's ReduceLROnPlateau.
#[derive(Debug)]
pub(crate) struct Better {
    pub(crate) max: bool,
    pub(crate) relative: bool,
    pub(crate) threshold: f64,
    /// An absolute improvement that is required in addition to the threshold.
    pub(crate) absolute: f64,
}

impl Better {
    /// The worst possible metric.
    pub(crate) fn worst(&self) -> f64 {
        if self.max { f64::NEG_INFINITY } else { f64::INFINITY }
    }

    /// Whether `metric` is better than `best`; NaN never is.
    pub(crate) fn than(&self, metric: f64, best: f64) -> bool {
        let relative = if self.relative { self.threshold } else { 0.0 };
        let gain = if self.relative { self.absolute } else { self.threshold + self.absolute };
        if self.max {
            metric > best * (1.0 + relative) + gain
        } else {
            metric < best * (1.0 - relative) - gain
        }
    }
}
