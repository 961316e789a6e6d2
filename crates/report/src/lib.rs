//! Rows of results -> what they support -> text for people and programs. No SQL and no I/O.

pub mod audit;
mod chart;
pub mod compare;
pub mod compose;
pub mod document;
pub mod duel;
mod edges;
mod escape;
pub mod family;
pub mod figure;
mod format;
mod html;
pub mod lines;
mod markdown;
pub mod page;
pub mod plot;
pub mod promote;
pub mod ranking;
mod ranking_rows;
pub mod results;
pub mod rows;
pub mod tensorboard;
pub mod warnings;
pub mod wrap;

pub use format::{accuracy, decimals, lr, number, short};
pub use html::html;
pub use markdown::markdown;
pub use ranking::{Line, Ranking, rank};
pub use ranking_rows::by_config;
pub use rows::{Cell, Format, Rows};
