//! Schedules of other libraries: `kind: torch.CosineAnnealingLR` with torch's parameters, calls copied from a
//! Python program, and the export of a schedule as code of another library. One folder per library has
//! `import` and `export`.
//!
//! An import is a documented expansion into the grammar of `schedule`, done before a schedule is read. No
//! learning rate is computed here.
//!
//! `entry` and `table` describe the schedules, `arguments` reads their parameters, `expand` replaces names in
//! a tree, and `trees` builds trees. `python` parses the syntax of a program, and `program` interprets its
//! names. `input`, `writer`, `segments` and `plateau` are shared by the exports.

mod arguments;
mod entry;
mod expand;
mod export;
mod groups;
mod input;
mod keras;
mod optax;
mod plateau;
mod program;
mod python;
mod segments;
mod table;
mod timm;
mod torch;
mod transformers;
mod trees;
mod writer;

use schedule::Node;
use schedule::problem::Problem;
use schedule::tree::Tree;

pub use entry::{Extra, ExtraType, LibraryEntry, NumberType, Typed};
pub use export::{Library, code};
pub use input::ExportInput;
pub use program::{BaseLr, ParsedProgram, is_call, is_program, parse_program};
pub use table::{LIBRARIES, entries, find, names};

/// Reads a schedule that may contain names of other libraries and calls. Adds every problem to `problems` and
/// returns `None` if there is any.
pub fn parse(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let before = problems.len();
    let document = expand::document(tree, path, problems);
    let sound = problems.len() == before;
    schedule::read(document, path, problems).filter(|_| sound)
}
