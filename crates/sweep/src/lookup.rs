//! Finds the sweep or trial that a user names: by a name, a file, the start of an id, or `best`.

use std::collections::HashMap;
use std::path::Path;

use schedule::problem::{listed, nearest};
use store::{Reader, Status, TrialRecord};

use crate::plan::{self, Aim};
use crate::stored::by_id;
use crate::{Context, Error};

/// A user's name for a stored trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialName {
    /// The start of the trial's id, or `best`.
    pub trial: String,
    /// The sweep for `best`. `None` for the one that was run last.
    pub sweep: Option<String>,
}

/// The name of the sweep that a name or a sweep file refers to. `None` refers to the one that was run last.
///
/// # Errors
/// There is no such sweep, or its file has mistakes.
pub async fn sweep(reader: &mut Reader, name: Option<&str>, context: &Context) -> Result<String, Error> {
    let known = reader.sweeps().await?;
    let Some(wanted) = name else {
        let last = known.into_iter().next();
        return last.ok_or_else(|| Error::usage("the database has no sweeps yet; run one first"));
    };
    if known.iter().any(|name| name == wanted) {
        return Ok(wanted.to_owned());
    }
    let path = Path::new(wanted);
    if path.is_file() {
        let (_, plan) = plan::of_file(path, Aim::LookUp, context)?;
        if known.contains(&plan.name) {
            return Ok(plan.name);
        }
        return Err(Error::usage(format_args!("the sweep `{}` of {wanted} has not been run yet", plan.name)));
    }
    let names = || known.iter().map(String::as_str);
    let hint = match nearest(wanted, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "no sweep has been run yet".to_owned(),
        None => format!("existing sweeps: {}", listed(names())),
    };
    Err(Error::usage(format_args!("unknown sweep `{wanted}` ({hint})")))
}

/// The trial that the start of an id or `best` refers to.
///
/// # Errors
/// There is no such trial, or several match.
pub async fn trial(reader: &mut Reader, name: &TrialName, context: &Context) -> Result<TrialRecord, Error> {
    if name.trial != "best" {
        return by_id(reader, &name.trial).await;
    }
    let sweep = sweep(reader, name.sweep.as_deref(), context).await?;
    match reader.best(&sweep).await? {
        Some(best) => by_id(reader, &best).await,
        None => Err(no_best(&sweep, &reader.results(&sweep).await?)),
    }
}

/// Why a sweep has no best trial.
fn no_best(sweep: &str, rows: &[TrialRecord]) -> Error {
    let trials: HashMap<&str, Status> = rows.iter().map(|row| (row.trial_id.as_str(), row.status)).collect();
    let count = |wanted: &[Status]| trials.values().filter(|status| wanted.contains(status)).count();
    let each = [
        (count(&[Status::Diverged]), "diverged"),
        (count(&[Status::Failed]), "failed (see `sweep show TRIAL`)"),
        (count(&[Status::Queued, Status::Running, Status::Stopped]), "not finished yet"),
    ];
    let each: Vec<String> =
        each.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    Error::usage(format_args!("no trial of the sweep `{sweep}` has a result: {}", each.join(", ")))
}
