//! The server against real stores, over HTTP.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod answers;
mod events;
mod finished;
mod safety;
mod support;
