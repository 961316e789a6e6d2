//! Schedules of other libraries: `kind: torch.CosineAnnealingLR` with torch's own parameters, the call as it is written
//! in a Python program, and a schedule as code of another library. One folder per library holds `import` and `export`.
//!
//! An import is a documented expansion into the grammar of `schedule`, made before a schedule is read: no learning rate
//! is computed here.
//!
//! `entry` and `table` describe the schedules by name, `given` reads their parameters, `expand` replaces names in a
//! tree, `trees` makes the trees. `python` reads the syntax of a pasted program, `program` what its names mean.
//! `subject`, `writer`, `parts` and `plateau` are what the exports share.

mod arguments;
mod entry;
mod expand;
mod export;
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

/// Reads a schedule, in which names of other libraries and calls may occur. Every problem found is added to `problems`;
/// `None` if there was any.
pub fn parse(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Node> {
    let before = problems.len();
    let document = expand::document(tree, path, problems);
    let sound = problems.len() == before;
    schedule::read(document, path, problems).filter(|_| sound)
}
