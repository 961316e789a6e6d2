//! Makes the plan of a sweep file, with the files, tasks and stored trials of this machine.

use std::path::Path;

use schedule::problem::Problem;
use spec::{Plan, Spec};

use crate::source::{Source, read};
use crate::world::LocalWorld;
use crate::{Context, Error};

/// The purpose of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The trials will be trained: one step of each custom task is tried first.
    Train,
    /// Something is looked up, without training.
    LookUp,
}

/// Makes the plan of a sweep file's text. `default_name` is the sweep's name if the text has none.
///
/// # Errors
/// All mistakes in the text.
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

/// Makes the plan of a text that was read from a file. The default name of the sweep is that of the file.
///
/// # Errors
/// All mistakes in the text.
pub fn of_source(path: &Path, source: &Source, aim: Aim, context: &Context) -> Result<(Spec, Plan), Error> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| *stem != "-").unwrap_or("sweep");
    of_text(&source.text, stem, aim, context).map_err(|problems| Error::Problems {
        name: source.name.clone(),
        text: source.text.clone(),
        problems,
    })
}

/// Makes the plan of a sweep file; `-` is standard input. The plan contains its warnings.
///
/// # Errors
/// The file can't be read, or has mistakes.
pub fn of_file(path: &Path, aim: Aim, context: &Context) -> Result<(Spec, Plan), Error> {
    of_source(path, &read(path, "sweep file", spec::yaml::MAX_BYTES)?, aim, context)
}

/// The plan of all schedules of a sweep file, also of those that its `screen` may leave out: for questions about the file, not for training.
///
/// # Errors
/// A schedule does not fit its runs.
pub fn whole(spec: &Spec) -> Result<Plan, Error> {
    spec::plan_all(spec).map_err(|problems| Error::Problems {
        name: spec.name.clone(),
        text: spec.text.clone(),
        problems,
    })
}
