//! Leaves: schedules in closed form that depend only on the step. One file per kind.

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

/// A function of the step.
pub(crate) trait Leaf: std::fmt::Debug + Send + Sync {
    /// The lr at a position, at least 0. The cost is the same at every position.
    fn lr(&self, at: &Position) -> f64;

    /// Whether [`Leaf::formula`] can express its lr.
    fn has_formula(&self) -> bool {
        true
    }

    /// The lr as a term.
    fn formula(&self, at: &TermPosition) -> Term;

    /// Its form in other libraries. Only [`Known::Step`] and [`Known::Multistep`] are used with a clock in
    /// epochs.
    fn known(&self, _at: &Position) -> Known {
        Known::Other
    }

    /// The momentum at a position, if the kind cycles it.
    fn momentum(&self, _at: &Position) -> Option<f64> {
        None
    }

    /// Checks that it fits a run whose segment begins at `at`.
    fn check(&self, _at: &Position, _problems: &mut Vec<Problem>) {}

    /// Whether [`Leaf::invalid_lr`] must be called at every step of the run, because its values are not known
    /// before.
    fn needs_step_check(&self) -> bool {
        false
    }

    /// The problem if the lr at this position is not a number or negative.
    fn invalid_lr(&self, _at: &Position) -> Option<Problem> {
        None
    }

    /// Warns about settings that are legal and probably not intended, for the part that the run covers.
    /// Called only if `check` found nothing. A warning without a path is about the node.
    fn warn(&self, _covered: &Coverage, _warnings: &mut Vec<Problem>) {}

    /// Whether the kind is meant to be constant.
    fn is_constant(&self) -> bool {
        false
    }
}

/// Refuses an expression over `epoch` if the length of an epoch is unknown. `problem` has no message yet.
fn needs_epochs(expression: &Expression, problem: &Problem, at: &Position, problems: &mut Vec<Problem>) {
    if expression.uses_epoch() && at.epoch.is_none() {
        let message = "the expression uses `epoch`, but the length of an epoch is unknown";
        let problem = Problem { message: message.to_owned(), ..problem.clone() };
        problems.push(problem.with_hint("pass --steps-per-epoch, or use `t` and `T`"));
    }
}
