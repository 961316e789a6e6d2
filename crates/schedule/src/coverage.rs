//! What of a segment a run sees: from which tick to which. Lints compare with it where a schedule ends.

use crate::segment::Position;

/// The stretch of a segment that the run sees.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Coverage {
    /// The segment, at the first tick that is seen.
    pub(crate) start: Position,
    /// One past the last tick that is seen.
    pub(crate) end: f64,
    /// The run evaluates after each so many steps, if that is known.
    pub(crate) evaluate_every: Option<f64>,
}

impl Coverage {
    /// A whole run.
    pub(crate) fn run(run: Position, evaluate_every: Option<f64>) -> Self {
        Self { start: run, end: run.len, evaluate_every }
    }

    /// The same stretch by another clock; `at` is its first tick by that clock.
    pub(crate) fn by(self, at: Position) -> Self {
        let end = self.end * self.start.tick / at.tick;
        // A tick that has begun is seen.
        Self { start: at, end: if at.whole { (end - 1e-9).ceil() } else { end }, ..self }
    }

    /// What is seen of the part that begins at `start`; `None` if nothing is.
    pub(crate) fn subsegment(self, start: f64, len: f64) -> Option<Self> {
        let at = self.start.subsegment(start, len);
        let end = (self.end - start).min(len);
        (at.s < end).then_some(Self { start: at, end, ..self })
    }

    /// The stretch seen by what is evaluated `by` ticks ahead.
    pub(crate) fn ahead(self, by: f64) -> Self {
        Self { start: self.start.subsegment(-by, self.start.len), end: self.end + by, ..self }
    }

    /// One step, in ticks, or one tick, where ticks can't be split.
    pub(crate) fn unit(&self) -> f64 {
        if self.start.whole { 1.0 } else { 1.0 / self.start.tick }
    }

    /// Whether what takes `n` ticks goes on where the run has ended.
    pub(crate) fn ends_before(&self, n: f64) -> bool {
        n > self.end + 1e-9
    }

    /// Whether what takes `n` ticks is over early: before the last tick, at which it may well end.
    pub(crate) fn outlasts(&self, n: f64) -> bool {
        n < self.end - self.unit() - 1e-9
    }

    /// What is too small a part of `n` ticks to speak of: one notch, or a hundredth.
    pub(crate) fn tolerance(&self, n: f64) -> f64 {
        self.unit().max(n / 100.0) + 1e-9
    }

    /// How far advice may be off for a cycle of `n` ticks: a run of any length has its whole cycles.
    pub(crate) fn hint_tolerance(&self, n: f64) -> f64 {
        (2.0 * self.unit()).max(n / 500.0).min(self.tolerance(n)) + 1e-9
    }

    /// A length in ticks as one would write it in a file, in whole ticks or whole steps.
    pub(crate) fn written(&self, ticks: f64) -> String {
        if self.start.whole {
            format!("{ticks}")
        } else {
            format!("\"{} steps\"", (ticks * self.start.tick).round())
        }
    }

    /// One `n`th of what is seen, as one would write it.
    pub(crate) fn share(&self, n: f64) -> String {
        let notch = self.unit();
        self.written((self.end / n / notch).floor().max(1.0) * notch)
    }

    /// The length of a first cycle nearest to `n`, in whole notches, for which `sound` holds. A run of about
    /// `cycles` cycles is asked for, and `ideal` is the length with which there are just so many.
    pub(crate) fn nearest(
        &self,
        n: f64,
        cycles: f64,
        ideal: impl Fn(f64) -> f64,
        sound: impl Fn(f64) -> bool,
    ) -> Option<f64> {
        let notch = self.unit();
        let around = |x: f64, by: i32| (-by..=by).map(move |d| x + f64::from(d));
        around(cycles.round(), 64)
            .filter(|cycles| *cycles >= 1.0)
            .flat_map(|cycles| around((ideal(cycles) / notch).round(), 2))
            .map(|notches| notches * notch)
            .filter(|length| *length >= notch && !self.ends_before(*length) && sound(*length))
            .min_by(|a, b| (a - n).abs().total_cmp(&(b - n).abs()))
    }
}
