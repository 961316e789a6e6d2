//! Properties of all schedules, generated from the tables: a new kind is tested without a new test.

#![allow(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]

mod ends;
mod formula;
mod formulas;
mod generate;
mod index;
mod lengths;
mod numbers;
mod pure;
mod resume;
mod rules;
mod table;
