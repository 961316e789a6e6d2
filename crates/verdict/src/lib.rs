//! From the results of a sweep to what they support: the choice of configs, the ranking, comparisons, warnings, what the next round
//! is. Plain data: no rendering, no SQL, no I/O.

pub mod audit;
pub mod budgets;
pub mod compare;
pub mod duel;
mod edges;
pub mod family;
pub mod numbers;
pub mod promote;
pub mod ranking;
pub mod results;
pub mod score;
pub mod warnings;

pub use ranking::{Line, Ranking, rank};
