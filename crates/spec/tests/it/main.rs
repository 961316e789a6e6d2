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

/// A world with the models that ship with the tool, in which some files are there.
struct Files(fn(&str) -> bool);

impl spec::World for Files {
    fn catalogue(&self) -> &spec::catalogue::Catalogue {
        trainer::catalogue()
    }

    fn hash(&self, file: &str) -> Option<String> {
        (self.0)(file).then(|| file.to_owned())
    }
}
