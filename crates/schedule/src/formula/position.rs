//! A position as terms: the counterpart of [`Position`].

use super::Term;
use crate::segment::{Position, floor};

/// A position in a segment, as terms. The fields are those of [`Position`].
#[derive(Debug, Clone)]
pub(crate) struct TermPosition {
    pub(crate) s: Term,
    pub(crate) step: Term,
    pub(crate) len: Term,
    pub(crate) base: Term,
    pub(crate) tick: f64,
    pub(crate) epoch: Option<f64>,
    pub(crate) whole: bool,
    /// Whether it is known to be before the end of the segment.
    pub(crate) inside: bool,
}

impl TermPosition {
    /// Any step of a whole run.
    pub(crate) fn run(at: &Position) -> Self {
        let t = Term::t(at.len);
        Self {
            s: t.clone(),
            step: t,
            len: at.len.into(),
            base: at.base.into(),
            tick: at.tick,
            epoch: at.epoch,
            whole: at.whole,
            inside: true,
        }
    }

    /// The same segment at another position.
    pub(crate) fn at(&self, s: Term) -> Self {
        Self { step: s.clone() * self.tick, s, inside: false, ..self.clone() }
    }

    /// A subsegment that begins at `start` and has its own length.
    pub(crate) fn subsegment(&self, start: Term, len: Term) -> Self {
        let s = (self.s.clone() - start.clone()).at_least(0.0).named("s");
        let step =
            if self.tick == 1.0 { s.clone() } else { (self.step.clone() - start * self.tick).at_least(0.0) };
        Self { s, step, len, inside: false, ..self.clone() }
    }

    /// The same position, known to be in the range from `start` to before `end`.
    pub(crate) fn between(&self, start: &Term, end: &Term) -> Self {
        let last = end.ends().1 - if self.s.is_whole() && end.is_whole() { 1.0 } else { 0.0 };
        let s = self.s.clone().within(start.ends().0, last);
        let step = if self.tick == 1.0 { s.clone() } else { self.step.clone() };
        Self { s, step, ..self.clone() }
    }

    /// `ticks` rounded half up to whole ticks, if lengths are rounded here.
    pub(crate) fn round(&self, ticks: Term) -> Term {
        match ticks.number() {
            _ if !self.whole => ticks,
            Some(x) => floor(x + 0.5).into(),
            None => (ticks + 0.5).divide_down(1.0.into()),
        }
    }

    /// The number of completed intervals of length `every`.
    pub(crate) fn full_intervals(&self, every: Term) -> Term {
        self.s.clone().divide_down(every)
    }
}
