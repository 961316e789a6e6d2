//! A sweep from its file to its verdict, without a terminal.

#![expect(clippy::expect_used, reason = "a test that can't go on has failed")]

mod own_task;
mod whole_sweep;
