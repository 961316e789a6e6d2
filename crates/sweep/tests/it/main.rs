//! Tests of the library: a sweep from its file to its ranking, without a terminal.

#![expect(clippy::expect_used, reason = "a failed expectation fails the test")]

mod custom_task;
mod refine;
mod search_null;
mod whole_sweep;
mod workers;
