//! Names that users give: of sweeps, of schedules.

use schedule::fields::{Field, text};
pub(crate) use schedule::name::check_name;
use schedule::problem::Problem;

/// A name that is safe in tables, file names and terminals: printable and not too long.
pub(crate) fn name(field: &Field<'_>) -> Result<String, Problem> {
    let name = text(field)?;
    check_name(&name).map_err(|message| field.problem(message)).map(|()| name)
}
