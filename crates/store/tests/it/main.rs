//! The store on real SQLite files.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod crash;
mod life;
mod numbers;
mod query;
mod refusals;
mod support;
mod views;
mod volume;
