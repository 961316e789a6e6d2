//! The position at which a node is evaluated: the clock, the length and the base lr of its segment.

/// A position in a segment. Ticks are steps, or epochs under `clock: epoch`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Position {
    /// Ticks since the start of the segment, at least 0. Whole, except with `clock: epoch_fraction`.
    pub(crate) s: f64,
    /// Steps since the start of the segment, for any clock.
    pub(crate) step: f64,
    /// The step of the run at which the segment began. It identifies the segment.
    pub(crate) begin: f64,
    /// Length of the segment in ticks, above 0. Positions beyond it are legal.
    pub(crate) len: f64,
    /// The value of `1x` here: the run's base lr, or a scaled one inside a decaying `restart`.
    pub(crate) base: f64,
    /// Steps in a tick.
    pub(crate) tick: f64,
    /// Steps in an epoch, if the run knows epochs.
    pub(crate) epoch: Option<f64>,
    /// Length of the whole run in steps.
    pub(crate) run: f64,
    /// Whether lengths are rounded to whole ticks; false with `clock: epoch_fraction`.
    pub(crate) whole: bool,
}

impl Position {
    /// The start of a run of `total` steps.
    pub(crate) fn run(total: u64, base: f64, steps_per_epoch: Option<u64>) -> Self {
        let epoch = steps_per_epoch.map(|steps| steps as f64);
        let len = total as f64;
        Self { s: 0.0, step: 0.0, begin: 0.0, len, base, tick: 1.0, epoch, run: len, whole: true }
    }

    /// The same segment at another position.
    pub(crate) fn at(self, s: f64) -> Self {
        Self { s, step: s * self.tick, ..self }
    }

    /// The same position with a clock that ticks once per epoch; `steps` is the length of an epoch.
    pub(crate) fn by_epochs(self, steps: f64) -> Self {
        let len = self.whole_steps() / steps;
        Self { s: (self.step / steps).floor(), len, tick: steps, epoch: Some(steps), whole: true, ..self }
    }

    /// The length in steps. A whole number of steps stays whole after conversion to epochs and back.
    pub(crate) fn whole_steps(self) -> f64 {
        let steps = self.len * self.tick;
        if (steps - steps.round()).abs() < 1e-9 * steps { steps.round() } else { steps }
    }

    /// A part of this segment that begins at `start` and has its own length.
    pub(crate) fn subsegment(self, start: f64, len: f64) -> Self {
        let steps = start * self.tick;
        // Rounding can put a start between two ticks slightly off; a position must not be before its segment.
        let (s, step) = ((self.s - start).max(0.0), (self.step - steps).max(0.0));
        Self { s, step, begin: self.begin + steps, len, ..self }
    }

    /// `ticks` rounded half up to whole ticks, if lengths are rounded here.
    pub(crate) fn round(&self, ticks: f64) -> f64 {
        if self.whole { floor(ticks + 0.5) } else { ticks }
    }

    /// The number of completed intervals of length `every`.
    pub(crate) fn full_intervals(&self, every: f64) -> f64 {
        floor(self.s / every)
    }
}

/// The floor of a quotient or percentage of at least 0, with a tolerance for rounding: 1.4% of 2750 is 38.5,
/// but slightly less in floating point.
pub(crate) fn floor(x: f64) -> f64 {
    (x + x * (2.0 * f64::EPSILON)).floor()
}
