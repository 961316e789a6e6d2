//! A schedule as code of another library: its own class where that gives the same lrs, else a function with
//! the closed form. Text out; no I/O.

use crate::input::ExportInput;
use crate::{keras, optax, timm, torch, transformers};

/// The libraries that code is printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the libraries'")]
pub enum Library {
    Pytorch,
    Optax,
    Keras,
    Transformers,
    Timm,
}

/// The program that gives the same lrs.
///
/// # Errors
/// The schedule watches training by a rule that the library does not have: the reason, and what there is.
pub fn code(library: Library, subject: &ExportInput<'_>) -> Result<String, String> {
    match library {
        Library::Pytorch => torch::export::code(subject),
        Library::Optax => optax::export::code(subject),
        Library::Keras => keras::export::code(subject),
        Library::Transformers => transformers::export::code(subject),
        Library::Timm => timm::export::code(subject),
    }
}
