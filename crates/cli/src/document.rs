//! The document of a report, for Markdown and single figures.

use report::document::Document;
use sweep::ranked::RankBy;
use sweep::wait_for;

use crate::exit::Failure;
use crate::global::Global;
use crate::input::show_note;

/// The report of a sweep, which is named by `word` (default: the most recent sweep).
pub(crate) fn document(global: &Global, word: Option<&str>, how: &RankBy) -> Result<Document, Failure> {
    let (document, note) = wait_for(dashboard::document(word, how, &global.context))?;
    show_note(note.as_deref(), global);
    Ok(document)
}
