//! The real binary, with real data and a real database, as a user runs it.

mod bad_input;
mod layers;
mod lr;
mod support;
mod sweep;
