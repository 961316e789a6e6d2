//! Renders verdicts, curves and rows as tables, Markdown, HTML, SVG, PNG and TensorBoard files, for people and programs. The crate
//! `verdict` draws the conclusions.

pub mod assets;
mod audit_rows;
mod chart;
pub mod comparison_text;
pub mod compose;
pub mod document;
mod escape;
pub mod figure;
pub mod halving;
mod html;
pub mod lines;
pub mod looks;
mod lr_law_rows;
mod markdown;
pub mod page;
pub mod plot;
pub mod ranking_rows;
pub mod refine;
mod render;
pub mod rows;
pub mod tensorboard;
#[cfg(test)]
mod verdict_tests;
pub mod views;
pub mod wrap;

pub use audit_rows::audit_rows;
pub use html::html;
pub use lr_law_rows::{lr_law_refused, lr_law_rows, lr_law_table, lr_law_warnings};
pub use markdown::markdown;
pub use ranking_rows::by_config;
pub use rows::{Cell, Format, Rows};
pub use verdict::numbers::{Rounding, accuracy, exact_lr, rounded, short};
