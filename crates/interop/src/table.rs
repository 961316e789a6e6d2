//! The table of all entries by library, and the lookup of names.

use schedule::problem::nearest;

use crate::entry::{LibraryEntry, bare};
use crate::{keras, optax, timm, torch, transformers};

/// All entries, by library.
pub const LIBRARIES: &[(&str, &[LibraryEntry])] = &[
    ("torch", torch::import::ENTRIES),
    ("optax", optax::import::ENTRIES),
    ("keras", keras::import::ENTRIES),
    ("transformers", transformers::import::ENTRIES),
    ("timm", timm::import::ENTRIES),
];

/// Every entry.
pub fn entries() -> impl Iterator<Item = &'static LibraryEntry> {
    LIBRARIES.iter().flat_map(|(_, entries)| entries.iter())
}

/// All names that `kind:` may have.
pub fn names() -> impl Iterator<Item = &'static str> {
    entries().flat_map(LibraryEntry::names)
}

/// The entry with this name.
pub fn find(name: &str) -> Option<&'static LibraryEntry> {
    entries().find(|entry| entry.names().any(|known| known == name))
}

/// The name that was probably intended: one with this bare name, or a similar one.
pub(crate) fn meant(typed: &str) -> Option<&'static str> {
    let same = entries().find(|entry| bare(entry.name) == typed).map(|entry| entry.name);
    same.or_else(|| nearest(typed, names()).filter(|_| typed.contains('.')))
}
