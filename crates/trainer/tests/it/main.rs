//! Training through the public interface.

#![expect(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]

mod allocations;
mod resume;
mod share;
mod support;
