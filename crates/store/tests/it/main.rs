//! Tests of the store on real SQLite files and PostgreSQL servers.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

mod crash;
mod life;
mod merge;
mod migration;
mod numbers;
mod query;
mod refusals;
mod removal;
mod runners;
mod stages;
mod support;
mod views;
mod volume;
