//! Leaves: schedules that are a function of the clock alone, in closed form. One file per kind.

use crate::formula::{Position, Term};
use crate::known::Known;
use crate::problem::Problem;
use crate::segment::At;

pub(crate) mod chebyshev;
pub(crate) mod constant;
pub(crate) mod cyclic;
pub(crate) mod exponential;
pub(crate) mod inverse_sqrt;
pub(crate) mod inverse_time;
pub(crate) mod lambda;
pub(crate) mod multistep;
pub(crate) mod noam;
pub(crate) mod one_cycle;
pub(crate) mod piecewise;
pub(crate) mod power;
pub(crate) mod step;

/// A function of the clock.
pub(crate) trait Leaf: std::fmt::Debug + Send + Sync {
    /// The lr at a position, at least 0. Costs the same at every position.
    fn lr(&self, at: &At) -> f64;

    /// The lr as a term.
    fn formula(&self, at: &Position) -> Term;

    /// What it is, in words that libraries share; only [`Known::Step`] and [`Known::Multistep`] may stand
    /// under a clock of epochs.
    fn known(&self, _at: &At) -> Known {
        Known::Other
    }

    /// The momentum at a position, where the kind cycles it.
    fn momentum(&self, _at: &At) -> Option<f64> {
        None
    }

    /// What does not fit a run whose segment begins at `at`.
    fn check(&self, _at: &At, _problems: &mut Vec<Problem>) {}

    /// Whether [`Leaf::stray`] must be asked at every step of the run: what it gives is not known before.
    fn may_stray(&self) -> bool {
        false
    }

    /// What is said if this position has no lr: one that is no number, or below 0.
    fn stray(&self, _at: &At) -> Option<Problem> {
        None
    }

    /// What a person should know before training with it. Only asked where `check` found nothing.
    fn warn(&self, _at: &At, _warnings: &mut Vec<Problem>) {}
}
