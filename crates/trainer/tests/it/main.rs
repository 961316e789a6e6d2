//! Training through the public interface.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod allocations;
mod resume;
mod share;
mod support;
