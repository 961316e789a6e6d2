//! Finds the sweep that a user names: by a name or a file.

use std::collections::BTreeSet;
use std::path::Path;

use schedule::problem::{counted, listed, nearest};
use spec::{Plan, Spec};
use store::{Reader, TrialRecord};

use crate::plan::{self, Aim};
use crate::results::Values;
use crate::stored::values;
use crate::{Context, Error, rounds};

/// The name of the sweep that a name or a sweep file refers to. `None` refers to the one that was run last.
///
/// # Errors
/// There is no such sweep, or its file has mistakes.
pub async fn sweep(reader: &mut Reader, name: Option<&str>, context: &Context) -> Result<String, Error> {
    Ok(find(reader, name, context).await?.0)
}

/// A stored sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// How it differs from the file that the user named.
    pub note: Option<String>,
}

/// The same as [`sweep`], for results that users take for those of the file that they name.
///
/// # Errors
/// The errors of [`sweep`].
pub async fn found(reader: &mut Reader, name: Option<&str>, context: &Context) -> Result<Found, Error> {
    let (found, file) = find(reader, name, context).await?;
    let mut note = None;
    if let Some((file, (spec, plan))) = name.zip(file)
        && reader.file_text(&found).await? != plan.text
    {
        let values = values(reader, &found, &spec.metric).await?;
        note = difference(file, &spec, &plan, (&reader.results(&found).await?, &values));
    }
    Ok(Found { name: found, note })
}

/// How the trials of a file differ from those that its sweep was last trained with.
fn difference(
    file: &str,
    spec: &Spec,
    plan: &Plan,
    (rows, values): (&[TrialRecord], &Values),
) -> Option<String> {
    // The decisions of a changed file may be impossible. Its first round is enough then.
    let decided = rounds::decided(spec, plan, rows, values).unwrap_or_else(|_| plan.clone());
    let ids =
        |plan: &Plan| -> BTreeSet<String> { plan.trials.iter().map(|trial| trial.id.clone()).collect() };
    let (first, all) = (ids(plan), ids(&decided));
    let stored: BTreeSet<String> = rows.iter().map(|row| row.trial_id.clone()).collect();
    // A process may have been killed before it stored a later round, so only the first one has to be there.
    let (absent, foreign) = (first.difference(&stored).count(), stored.difference(&all).count());
    (absent + foreign > 0).then(|| {
        format!(
            "the sweep `{}` was last trained from another file, or {file} has changed since: {absent} of its {} \
             are not in these results, and {foreign} of the {} in these results are not in it; `sweep {file}` trains it",
            plan.name,
            counted(first.len(), "trial"),
            counted(stored.len(), "trial"),
        )
    })
}

/// The name of the sweep, and the file's content if a file was named.
async fn find(
    reader: &mut Reader,
    name: Option<&str>,
    context: &Context,
) -> Result<(String, Option<(Spec, Plan)>), Error> {
    let known = reader.sweeps().await?;
    let Some(wanted) = name else {
        let last = known.into_iter().next();
        let last = last.ok_or_else(|| Error::usage("the database has no sweeps yet; run one first"))?;
        return Ok((last, None));
    };
    if known.iter().any(|name| name == wanted) {
        return Ok((wanted.to_owned(), None));
    }
    let path = Path::new(wanted);
    if path.is_file() {
        let (spec, plan) = plan::of_file(path, Aim::LookUp, context)?;
        if known.contains(&plan.name) {
            return Ok((plan.name.clone(), Some((spec, plan))));
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
