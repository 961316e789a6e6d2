//! Names, calls and code of other libraries.

#![allow(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]

mod import;
mod mistakes;
mod round_trip;
