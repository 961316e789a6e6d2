//! Rows of results -> what they support -> text for people and programs. No SQL and no I/O.

pub mod export;
mod format;
pub mod ranking;
pub mod rows;

pub use format::{accuracy, decimals, lr};
pub use ranking::{Line, Ranking, rank};
pub use rows::{Cell, Format, Rows};
