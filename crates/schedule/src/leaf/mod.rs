//! Leaves: schedules that are a function of the clock alone, in closed form. One file per kind.

use crate::coverage::Coverage;
use crate::expression::Expression;
use crate::formula::{Term, TermPosition};
use crate::known::Known;
use crate::problem::Problem;
use crate::segment::Position;

pub(crate) mod chebyshev;
pub(crate) mod constant;
pub(crate) mod cyclic;
pub(crate) mod exponential;
pub(crate) mod inverse_sqrt;
pub(crate) mod inverse_time;
pub(crate) mod lambda;
pub(crate) mod multiplicative;
pub(crate) mod multistep;
pub(crate) mod noam;
pub(crate) mod one_cycle;
pub(crate) mod piecewise;
pub(crate) mod power;
pub(crate) mod step;

/// A function of the clock.
pub(crate) trait Leaf: std::fmt::Debug + Send + Sync {
    /// The lr at a position, at least 0. Costs the same at every position.
    fn lr(&self, at: &Position) -> f64;

    /// Whether [`Leaf::formula`] can give its lr.
    fn has_formula(&self) -> bool {
        true
    }

    /// The lr as a term.
    fn formula(&self, at: &TermPosition) -> Term;

    /// What it is, in words that libraries share; only [`Known::Step`] and [`Known::Multistep`] may stand
    /// under a clock of epochs.
    fn known(&self, _at: &Position) -> Known {
        Known::Other
    }

    /// The momentum at a position, where the kind cycles it.
    fn momentum(&self, _at: &Position) -> Option<f64> {
        None
    }

    /// What does not fit a run whose segment begins at `at`.
    fn check(&self, _at: &Position, _problems: &mut Vec<Problem>) {}

    /// Whether [`Leaf::invalid_lr`] must be asked at every step of the run: what it gives is not known before.
    fn needs_step_check(&self) -> bool {
        false
    }

    /// What is said if this position has no lr: one that is no number, or below 0.
    fn invalid_lr(&self, _at: &Position) -> Option<Problem> {
        None
    }

    /// What a person should know before training with it, where the run sees so much of it. Only asked
    /// where `check` found nothing. A warning without a path is about the node.
    fn warn(&self, _covered: &Coverage, _warnings: &mut Vec<Problem>) {}

    /// Whether one value for the whole run is what the kind is for.
    fn is_constant(&self) -> bool {
        false
    }
}

/// Refuses an expression over `epoch` where nobody knows how long an epoch is. `problem` lacks its message.
fn needs_epochs(expression: &Expression, problem: &Problem, at: &Position, problems: &mut Vec<Problem>) {
    if expression.uses_epoch() && at.epoch.is_none() {
        let message = "the expression says `epoch`, but how long an epoch is, is not known";
        let problem = Problem { message: message.to_owned(), ..problem.clone() };
        problems.push(problem.with_hint("give --steps-per-epoch, or write it with t and T"));
    }
}
