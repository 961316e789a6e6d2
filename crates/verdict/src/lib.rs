//! Draws conclusions from the results of a sweep: the choice of configs, the ranking, comparisons, warnings, and the decisions for
//! the next round. Plain data in and out: no rendering, no SQL, no I/O.

mod anytime;
pub mod audit;
pub mod budgets;
pub mod comparison;
pub mod cost;
mod edges;
pub mod family;
pub mod halving;
pub mod looks;
pub mod lr_law;
pub mod numbers;
pub mod pair;
pub mod promote;
pub mod ranking;
pub mod refine;
pub mod results;
pub mod score;
pub mod warnings;

pub use ranking::{Line, Ranking, rank};
