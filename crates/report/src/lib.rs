//! Rows of results -> what they support -> text for people and programs. No SQL and no I/O.

pub mod export;
mod format;
pub mod lines;
pub mod page;
pub mod plot;
pub mod ranking;
pub mod rows;
pub mod tensorboard;
pub mod wrap;

pub use format::{accuracy, decimals, lr};
pub use ranking::{Line, Ranking, rank};
pub use rows::{Cell, Format, Rows};
