//! Prints a schedule as code of another library: one of its classes if that gives the same lrs, otherwise a
//! function with the closed form. Returns text; no I/O.

use crate::input::ExportInput;
use crate::{groups, keras, optax, timm, torch, transformers};

/// The libraries for which code can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the libraries'")]
pub enum Library {
    Pytorch,
    Optax,
    Keras,
    Transformers,
    Timm,
}

/// A program that gives the same lrs.
///
/// # Errors
/// The library has no counterpart of the schedule. The message has the reason and alternatives.
pub fn code(library: Library, subject: &ExportInput<'_>) -> Result<String, String> {
    if subject.schedule.is_grouped() {
        return grouped(library, subject);
    }
    match library {
        Library::Pytorch => torch::export::code(subject),
        Library::Optax => optax::export::code(subject),
        Library::Keras => keras::export::code(subject),
        Library::Transformers => transformers::export::code(subject),
        Library::Timm => timm::export::code(subject),
    }
}

/// A schedule by parameter group.
fn grouped(library: Library, subject: &ExportInput<'_>) -> Result<String, String> {
    let refused = |library: &str| {
        Err(format!(
            "a schedule with parameter groups can't be exported to {library}: export the schedule of each group by itself"
        ))
    };
    match library {
        Library::Pytorch => groups::pytorch(subject),
        Library::Optax => groups::optax(subject),
        Library::Keras => refused("Keras, whose optimizers have one lr"),
        Library::Transformers => refused("transformers, whose schedules scale the lrs of all groups alike"),
        Library::Timm => refused("timm, whose schedules scale the lrs of all groups alike"),
    }
}
