//! What a schedule is, in words that other libraries have too: the raw material for printing it as one of
//! their own classes. Lengths are in steps and rates are numbers, fitted to the run. A kind that no library
//! has, or one under a clock of epochs, is [`Known::Other`]: its formula says what it does.

/// A schedule as a library would describe it.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// One lr for ever.
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
        /// Milestones; one takes effect at t = m.
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
        /// Share of the rise.
        pct_start: f64,
        /// The first lr is max / div.
        div: f64,
        /// The last lr is the first one divided by this.
        final_div: f64,
        /// Straight lines instead of half cosine waves.
        linear: bool,
        /// Fall as long as it rose, then on.
        three_phase: bool,
        /// Lowest and highest momentum, if it is cycled.
        momentum: Option<(f64, f64)>,
    },
    /// A ramp up, then the body with its own clock.
    Warmup {
        /// Steps; `sample` is as in [`KnownRamp`].
        ramp: KnownRamp,
        /// What comes after it.
        body: Box<Known>,
    },
    /// A body, and a ramp at the end that starts from the body's lr there.
    Cooldown {
        /// What comes before it.
        body: Box<Known>,
        /// Where the ramp begins.
        start: f64,
        /// The ramp.
        ramp: KnownRamp,
    },
    /// One after another, each with its own clock: the step at which it ends, and what it is.
    Phases(Vec<(f64, Known)>),
    /// Again and again.
    Restart(Box<KnownRestart>),
    /// torch's ReduceLROnPlateau.
    Plateau(KnownPlateau),
    /// transformers' GreedyLR.
    Greedy(KnownGreedy),
    /// `min((loss - f_min) / (|g|^2 + eps), max)`.
    Polyak {
        /// Highest lr.
        max: f64,
        /// Least loss.
        f_min: f64,
        /// Added to the squared norm.
        eps: f64,
    },
    /// Nothing that a library has under a name.
    Other,
}

/// From one lr to another over a number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownRamp {
    /// The way.
    pub way: Way,
    /// At progress 0.
    pub from: f64,
    /// At progress 1.
    pub to: f64,
    /// Steps.
    pub over: f64,
    /// Whether progress at step t is (t + 1) / over instead of t / over.
    pub ahead: bool,
    /// Whether the last lr holds after the end; else the formula goes on.
    pub holds: bool,
}

/// The way of a ramp; what is left of it at progress p.
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
    /// Equal ratios.
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
    /// A way up, 1 - sqrt(1 - p) done.
    OneMinusSqrtUp,
}

/// A schedule that starts again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownRestart {
    /// The first cycle.
    pub of: Known,
    /// Its length.
    pub every: f64,
    /// Each cycle is so many times as long as the one before.
    pub mult: f64,
    /// Factor from cycle to cycle.
    pub decay: f64,
    /// On what: `peak`, `amplitude` or `all`.
    pub decay_on: &'static str,
    /// The foot of `amplitude`.
    pub floor: f64,
    /// Number of cycles.
    pub limit: Option<u64>,
    /// The lr after them.
    pub then: f64,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The loss on the validation set.
    ValidLoss,
    /// The loss of the batch.
    TrainLoss,
    /// The share of the validation set that is classified correctly, 0 to 1.
    ValidAccuracy,
}

impl Metric {
    /// As `watch` names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ValidLoss => "valid_loss",
            Self::TrainLoss => "train_loss",
            Self::ValidAccuracy => "valid_accuracy",
        }
    }
}

/// How a rule looks at a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownWatch {
    /// The metric.
    pub metric: Metric,
    /// Before the update, so that the update already uses the lr that follows.
    pub before: bool,
    /// How often, as written; whenever the run evaluates if `None`.
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
