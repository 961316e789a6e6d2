//! A sweep file and the plan that follows from it, with the files, tasks and stored trials that it names as they are here.

use std::path::Path;

use schedule::problem::Problem;
use spec::{Plan, Spec};

use crate::source::{Source, read};
use crate::world::LocalWorld;
use crate::{Context, Error};

/// What a plan is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Its trials are to be trained: a step of each task of this program is tried first.
    Train,
    /// Something is looked up.
    LookUp,
}

/// The plan of a sweep file's text. `default_name` is the sweep's name where the text gives none.
///
/// # Errors
/// All mistakes of the text.
pub fn of_text(
    text: &str,
    default_name: &str,
    aim: Aim,
    context: &Context,
) -> Result<(Spec, Plan), Vec<Problem>> {
    let spec = spec::read_with(text, default_name, &LocalWorld::new(context, aim == Aim::Train))?;
    let plan = spec::plan(&spec)?;
    Ok((spec, plan))
}

/// The plan of a text that was read from a file. The file's name is that of the sweep where the text gives none.
///
/// # Errors
/// All mistakes of the text.
pub fn of_source(path: &Path, source: &Source, aim: Aim, context: &Context) -> Result<(Spec, Plan), Error> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-").unwrap_or("sweep");
    of_text(&source.text, stem, aim, context).map_err(|problems| Error::Problems {
        name: source.name.clone(),
        text: source.text.clone(),
        problems,
    })
}

/// The plan of a sweep file; `-` is standard input. The plan holds its warnings.
///
/// # Errors
/// The file can't be read, or has mistakes.
pub fn of_file(path: &Path, aim: Aim, context: &Context) -> Result<(Spec, Plan), Error> {
    of_source(path, &read(path, "a sweep file", spec::yaml::MAX_BYTES)?, aim, context)
}
