//! Tests of the readers: golden files, the examples of the tables, problems and their positions, and that no text makes a reader
//! panic.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod examples;
mod fuzz;
/// The random schedules of the tests of the crate `schedule`.
#[allow(dead_code, reason = "only a part of it is used here")]
#[path = "../../../schedule/tests/it/generate.rs"]
mod generate;
mod golden;
mod golden_calls;
mod groups;
mod library;
mod lints;
mod messages;
mod metric;
mod own_lr;
mod plan;
mod refusals;
mod round_trip;
mod schema;
mod screen;
mod validator;
mod whole_files;

/// A world with the built-in models, in which the files that the predicate accepts exist.
struct Files(fn(&str) -> bool);

impl spec::World for Files {
    fn catalogue(&self) -> &spec::catalogue::Catalogue {
        trainer::catalogue()
    }

    fn hash(&self, file: &str) -> Option<String> {
        (self.0)(file).then(|| file.to_owned())
    }
}
