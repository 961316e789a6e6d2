//! Text in, values and problems out: the golden files, the examples of the tables, what is refused and
//! where, and that no text makes the readers panic.

#![allow(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]

mod examples;
mod fuzz;
/// The random schedules with which the schedule crate is tested.
#[allow(dead_code, reason = "only a part of it is of use here")]
#[path = "../../../schedule/tests/it/generate.rs"]
mod generate;
mod golden;
mod golden_calls;
mod library;
mod lints;
mod messages;
mod own_lr;
mod plan;
mod refusals;
mod round_trip;
mod schema;
mod validator;
mod whole_files;
