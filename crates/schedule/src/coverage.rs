//! The part of a segment that the run covers. Lints compare it with the end of a schedule.

use crate::segment::Position;

/// The range of ticks of a segment that the run covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coverage {
    /// The segment, at the first tick that the run covers.
    pub(crate) start: Position,
    /// One past the last tick that the run covers.
    pub(crate) end: f64,
    /// The number of steps between evaluations of the run, if known.
    pub(crate) evaluate_every: Option<f64>,
}

impl Coverage {
    /// A whole run.
    pub(crate) fn run(run: Position, evaluate_every: Option<f64>) -> Self {
        Self { start: run, end: run.len, evaluate_every }
    }

    /// The same range with another clock; `at` is its first tick on that clock.
    pub(crate) fn by(self, at: Position) -> Self {
        let end = self.end * self.start.tick / at.tick;
        // A tick that has begun is covered.
        Self { start: at, end: if at.whole { (end - 1e-9).ceil() } else { end }, ..self }
    }

    /// The covered range of the subsegment that begins at `start`; `None` if it is empty.
    pub(crate) fn subsegment(self, start: f64, len: f64) -> Option<Self> {
        let at = self.start.subsegment(start, len);
        let end = (self.end - start).min(len);
        (at.s < end).then_some(Self { start: at, end, ..self })
    }

    /// The covered range of a schedule that is evaluated `by` ticks ahead.
    pub(crate) fn ahead(self, by: f64) -> Self {
        Self { start: self.start.subsegment(-by, self.start.len), end: self.end + by, ..self }
    }

    /// The smallest unit in ticks: one step, or one tick if ticks can't be split.
    pub(crate) fn unit(&self) -> f64 {
        if self.start.whole { 1.0 } else { 1.0 / self.start.tick }
    }

    /// Whether the run ends before `n` ticks are over.
    pub(crate) fn ends_before(&self, n: f64) -> bool {
        n > self.end + 1e-9
    }

    /// Whether the run continues after `n` ticks, by more than the last tick.
    pub(crate) fn outlasts(&self, n: f64) -> bool {
        n < self.end - self.unit() - 1e-9
    }

    /// The difference that warnings ignore for a length of `n` ticks: one unit or a hundredth.
    pub(crate) fn tolerance(&self, n: f64) -> f64 {
        self.unit().max(n / 100.0) + 1e-9
    }

    /// The difference that hints ignore for a cycle of `n` ticks, so that whole cycles are found for any
    /// length of the run.
    pub(crate) fn hint_tolerance(&self, n: f64) -> f64 {
        (2.0 * self.unit()).max(n / 500.0).min(self.tolerance(n)) + 1e-9
    }

    /// A length in ticks as a user would write it in a file, in whole ticks or whole steps.
    pub(crate) fn written(&self, ticks: f64) -> String {
        if self.start.whole {
            format!("{ticks}")
        } else {
            format!("\"{} steps\"", (ticks * self.start.tick).round())
        }
    }

    /// One `n`th of the covered range, as a user would write it.
    pub(crate) fn share(&self, n: f64) -> String {
        let unit = self.unit();
        self.written((self.end / n / unit).floor().max(1.0) * unit)
    }

    /// The length of a first cycle, in whole units and nearest to `n`, that `sound` accepts. The run should
    /// have about `cycles` cycles; `ideal` returns the length of the first cycle for a number of cycles.
    pub(crate) fn nearest(
        &self,
        n: f64,
        cycles: f64,
        ideal: impl Fn(f64) -> f64,
        sound: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        let unit = self.unit();
        let around = |x: f64, by: i32| (-by..=by).map(move |d| x + f64::from(d));
        around(cycles.round(), 64)
            .filter(|cycles| *cycles >= 1.0)
            .flat_map(|cycles| around((ideal(cycles) / unit).round(), 2))
            .map(|units| units * unit)
            .filter(|length| *length >= unit && !self.ends_before(*length) && sound(*length))
            .min_by(|a, b| (a - n).abs().total_cmp(&(b - n).abs()))
    }
}
