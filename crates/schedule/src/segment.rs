//! Where an evaluation stands: the clock, length and base lr of the segment that encloses a node.

/// A position in a segment. Ticks are steps, or epochs under `clock: epoch`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct At {
    /// Ticks since the segment began, at least 0. Whole, but under `clock: epoch_fraction`.
    pub(crate) s: f64,
    /// Steps since the segment began, whatever the clock.
    pub(crate) step: f64,
    /// Length of the segment in ticks, above 0. Positions beyond it are legal.
    pub(crate) len: f64,
    /// What `1x` means here: the run's base lr, or a scaled one inside a decaying `restart`.
    pub(crate) base: f64,
    /// Steps in a tick.
    pub(crate) tick: f64,
    /// Steps in an epoch, if the run knows epochs.
    pub(crate) epoch: Option<f64>,
    /// Whether lengths come to whole ticks; not under `clock: epoch_fraction`.
    pub(crate) whole: bool,
}

impl At {
    /// The same segment at another position.
    pub(crate) fn at(self, s: f64) -> Self {
        Self { s, step: s * self.tick, ..self }
    }

    /// A part of this segment that begins at `start` and has its own length.
    pub(crate) fn part(self, start: f64, len: f64) -> Self {
        Self { s: self.s - start, step: self.step - start * self.tick, len, ..self }
    }

    /// `ticks` as lengths are counted here: rounded half up to whole ticks, or as they are.
    pub(crate) fn round(&self, ticks: f64) -> f64 {
        if self.whole { (ticks + 0.5).floor() } else { ticks }
    }
}
