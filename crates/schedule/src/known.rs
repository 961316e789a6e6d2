//! The form of a schedule in other libraries, for printing it as one of their classes. Lengths are in steps
//! and lrs are numbers, fitted to the run. A kind that no library has, or one with a clock in epochs, is
//! [`Known::Other`] and is printed as a formula.

use std::sync::Arc;

/// The form of a schedule in other libraries.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// A constant lr.
    Constant(f64),
    /// From one lr to another.
    Ramp(KnownRamp),
    /// `lr * gamma^floor(t / every)`.
    Step {
        /// At t = 0.
        lr: f64,
        /// Steps between drops.
        every: f64,
        /// Factor of a drop.
        gamma: f64,
    },
    /// A factor at each milestone.
    Multistep {
        /// Before the first milestone.
        lr: f64,
        /// Milestones; milestone m takes effect at t = m.
        at: Vec<f64>,
        /// The factor of each.
        gammas: Vec<f64>,
    },
    /// `lr * gamma^(t / every)`.
    Exponential {
        /// At t = 0.
        lr: f64,
        /// Factor after `every` steps.
        gamma: f64,
        /// Steps.
        every: f64,
    },
    /// `lr / (1 + rate * t / every)`.
    InverseTime {
        /// At t = 0.
        lr: f64,
        /// Rate.
        rate: f64,
        /// Steps.
        every: f64,
        /// Whether `t / every` is rounded down.
        staircase: bool,
    },
    /// `lr / sqrt(1 + t / timescale)`.
    InverseSqrt {
        /// At t = 0.
        lr: f64,
        /// Steps.
        timescale: f64,
    },
    /// Interpolation between knots.
    Piecewise {
        /// Step and lr of each.
        points: Vec<(f64, f64)>,
        /// Half a cosine wave between them instead of a straight line.
        cosine: bool,
    },
    /// torch's CyclicLR.
    Cyclic {
        /// Lowest lr.
        min: f64,
        /// Highest lr.
        max: f64,
        /// Steps of a rise.
        up: f64,
        /// Steps of a fall.
        down: f64,
        /// `triangular`, `triangular2` or `exp_range`.
        mode: &'static str,
        /// Factor per step of `exp_range`.
        gamma: f64,
        /// Lowest and highest momentum, if it is cycled.
        momentum: Option<(f64, f64)>,
    },
    /// torch's OneCycleLR.
    OneCycle {
        /// Highest lr.
        max: f64,
        /// Steps.
        over: f64,
        /// Fraction of the cycle in which the lr rises.
        pct_start: f64,
        /// The first lr is max / div.
        div: f64,
        /// The last lr is the first one divided by this.
        final_div: f64,
        /// Straight lines instead of half cosine waves.
        linear: bool,
        /// Fall back in as many steps as the rise, then to the last lr.
        three_phase: bool,
        /// Lowest and highest momentum, if it is cycled.
        momentum: Option<(f64, f64)>,
    },
    /// A ramp up, then the body with its own clock.
    Warmup {
        /// The warmup.
        ramp: KnownRamp,
        /// The schedule after it.
        body: Box<Known>,
    },
    /// A body and a final ramp that starts from the body's lr.
    Cooldown {
        /// The schedule before it.
        body: Box<Known>,
        /// First step of the ramp.
        start: f64,
        /// The ramp.
        ramp: KnownRamp,
    },
    /// Schedules one after another, each with its own clock: the step at which it ends, and its form.
    Phases(Vec<(f64, Known)>),
    /// Repeated cycles.
    Restart(Box<KnownRestart>),
    /// torch's ReduceLROnPlateau.
    Plateau(KnownPlateau),
    /// transformers' GreedyLR.
    Greedy(KnownGreedy),
    /// `min((loss - f_min) / (|g|^2 + eps), max)`.
    Polyak {
        /// Highest lr.
        max: f64,
        /// Lowest possible loss.
        f_min: f64,
        /// Added to the squared norm.
        eps: f64,
    },
    /// A form that no library has.
    Other,
}

/// A ramp from one lr to another over a number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownRamp {
    /// The curve.
    pub way: Way,
    /// At progress 0.
    pub from: f64,
    /// At progress 1.
    pub to: f64,
    /// Steps.
    pub over: f64,
    /// Whether progress at step t is (t + 1) / over instead of t / over.
    pub ahead: bool,
    /// Whether the lr stays constant after the end; otherwise the formula continues.
    pub holds: bool,
}

/// The curve of a ramp: the remaining fraction at progress p.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// 1 - p.
    Linear,
    /// (1 - p)^power.
    Polynomial {
        /// Exponent.
        power: f64,
    },
    /// ((1 + cos(2 pi cycles p)) / 2)^exponent.
    Cosine {
        /// Waves.
        cycles: f64,
        /// Exponent.
        exponent: f64,
    },
    /// The same ratio at each step.
    Geometric,
    /// 1 - sqrt(p).
    OneMinusSqrt,
    /// Hyperbolic tangent from lb to ub.
    Tanh {
        /// Argument at the start.
        lb: f64,
        /// Argument at the end.
        ub: f64,
    },
    /// A rise; the completed fraction is 1 - sqrt(1 - p).
    OneMinusSqrtUp,
}

/// A schedule that is repeated in cycles.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownRestart {
    /// The first cycle.
    pub of: Known,
    /// Its length.
    pub every: f64,
    /// Length of each cycle relative to the one before.
    pub mult: f64,
    /// Factor per cycle.
    pub decay: f64,
    /// The part of the cycle that it scales: `peak`, `amplitude` or `all`.
    pub decay_on: &'static str,
    /// The lr that `amplitude` is measured from.
    pub floor: f64,
    /// Number of cycles.
    pub limit: Option<u64>,
    /// The lr after them.
    pub then: f64,
}

/// The metric that a rule watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metric {
    /// The loss on the validation set.
    ValidLoss,
    /// The loss of the batch.
    TrainLoss,
    /// The fraction of the validation set that is classified correctly, 0 to 1.
    ValidAccuracy,
    /// A metric that only the program knows.
    Own(Arc<str>),
}

impl Metric {
    /// Its name in `watch`.
    pub fn name(&self) -> &str {
        match self {
            Self::ValidLoss => "valid_loss",
            Self::TrainLoss => "train_loss",
            Self::ValidAccuracy => "valid_accuracy",
            Self::Own(name) => name,
        }
    }
}

/// How a rule watches a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownWatch {
    /// The metric.
    pub metric: Metric,
    /// Whether it checks before the update, so that the update uses the new lr.
    pub before: bool,
    /// The interval as written; `None` if it checks whenever the run evaluates.
    pub every: Option<String>,
}

/// The plateau rule.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the kind's parameters")]
pub struct KnownPlateau {
    pub lr: f64,
    pub max_mode: bool,
    pub relative: bool,
    pub threshold: f64,
    pub threshold_abs: f64,
    pub factor: f64,
    pub patience: u64,
    pub cooldown: u64,
    pub min: f64,
    pub eps: f64,
    pub accumulate: u64,
    pub watch: KnownWatch,
}

/// The greedy rule.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the kind's parameters")]
pub struct KnownGreedy {
    pub lr: f64,
    pub max_mode: bool,
    pub relative: bool,
    pub threshold: f64,
    pub factor: f64,
    pub patience: u64,
    pub cooldown: u64,
    pub warmup: u64,
    pub min: f64,
    pub max: f64,
    pub smooth: u64,
    pub reset_after: u64,
    pub eps: f64,
    pub watch: KnownWatch,
}
