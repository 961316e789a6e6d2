//! What users call a sweep or a trial: a name, a file, the start of an id, `best`.

use std::collections::HashMap;
use std::path::Path;

use schedule::problem::{listed, nearest};
use store::{Reader, Status, TrialRecord};

use crate::plan::{self, Aim};
use crate::stored::by_id;
use crate::{Context, Error};

/// Names a stored trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Which {
    /// The start of its id, or `best`.
    pub trial: String,
    /// The sweep that `best` belongs to; the one that was run last if none is named.
    pub sweep: Option<String>,
}

/// The name of the sweep that is meant by a name or a sweep file; of the one that was run last if none is given.
///
/// # Errors
/// There is no such sweep, or its file has mistakes.
pub async fn sweep(reader: &mut Reader, word: Option<&str>, context: &Context) -> Result<String, Error> {
    let known = reader.sweeps().await?;
    let Some(word) = word else {
        let last = known.into_iter().next();
        return last.ok_or_else(|| Error::usage("the database holds no sweep yet; run one first"));
    };
    if known.iter().any(|name| name == word) {
        return Ok(word.to_owned());
    }
    let path = Path::new(word);
    if path.is_file() {
        let (_, plan) = plan::of_file(path, Aim::LookUp, context)?;
        if known.contains(&plan.name) {
            return Ok(plan.name);
        }
        return Err(Error::usage(format_args!("the sweep `{}` of {word} was not run yet", plan.name)));
    }
    let names = || known.iter().map(String::as_str);
    let hint = match nearest(word, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "none was run yet".to_owned(),
        None => format!("known: {}", listed(names())),
    };
    Err(Error::usage(format_args!("there is no sweep `{word}` ({hint})")))
}

/// The trial that is meant by the start of its id, or by `best`.
///
/// # Errors
/// There is none, or there are several.
pub async fn trial(reader: &mut Reader, which: &Which, context: &Context) -> Result<TrialRecord, Error> {
    if which.trial != "best" {
        return by_id(reader, &which.trial).await;
    }
    let sweep = sweep(reader, which.sweep.as_deref(), context).await?;
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
        (count(&[Status::Failed]), "failed (`sweep show TRIAL` says why)"),
        (count(&[Status::Queued, Status::Running, Status::Stopped]), "not trained to the end yet"),
    ];
    let each: Vec<String> =
        each.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    Error::usage(format_args!("no trial of the sweep `{sweep}` has a result: {}", each.join(", ")))
}
