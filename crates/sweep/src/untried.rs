//! The schedules of a sweep file that were not trained, in the order of their predicted losses.

use std::collections::BTreeSet;
use std::sync::Arc;

use schedule::problem::listed;
use spec::screen::{self, Candidate};
use spec::trial::{Config, Task};
use spec::{Plan, Spec};
use store::{Reader, Status, TrialRecord};

use crate::curves::{all_curves, same_task};
use crate::laws::{Found, Laws};
use crate::{Context, Error, lookup, plan};

/// The predictions for a sweep file.
#[derive(Debug)]
pub struct Untried {
    /// The stored sweep that the laws were learned from.
    pub source: String,
    /// Its laws, in words.
    pub laws: Vec<String>,
    /// The schedules without a finished run: the lowest predicted loss first, and last those without a prediction.
    pub schedules: Vec<Entry>,
    /// The schedules with finished runs.
    pub tried: Vec<String>,
}

/// A schedule that was not trained.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name.
    pub schedule: String,
    /// Its config with the lowest predicted loss, or its first one, for the longest runs.
    pub config: Arc<Config>,
    /// The prediction, or why there is none.
    pub found: Result<Found, String>,
}

/// Predicts the schedules of a file from the runs of a stored sweep of the same task: the named one, or that of the file, or the most recent.
///
/// # Errors
/// The store can't be read, or has no runs to learn from.
pub async fn untried(
    reader: &mut Reader,
    spec: &Spec,
    sweep: Option<&str>,
    context: &Context,
) -> Result<Untried, Error> {
    let plan = plan::whole(spec)?;
    let ids: Vec<String> = plan.trials.iter().map(|trial| trial.id.clone()).collect();
    let ended = reader.ended_trials(&ids).await?;
    let is_tried = |name: &str| {
        let own = plan.cells.iter().filter(|cell| cell.schedule == name);
        own.filter_map(|cell| plan.trials.get(cell.trial)).any(|trial| ended.contains(&trial.id))
    };
    let all = candidates(&plan);
    let tasks: Vec<&Task> =
        all.iter().flat_map(|candidate| &candidate.configs).map(|config| &config.task).collect();
    let (source, laws) = learned(reader, &plan.name, sweep, &tasks, context).await?;
    let (mut schedules, mut tried) = (Vec::new(), Vec::new());
    for Candidate { schedule, configs } in all {
        if is_tried(&schedule) {
            tried.push(schedule);
            continue;
        }
        let (config, found) = match laws.best(&configs) {
            Ok((config, found)) => (Some(Arc::clone(config)), Ok(found)),
            Err(why) => (configs.first().cloned(), Err(why)),
        };
        schedules.extend(config.map(|config| Entry { schedule, config, found }));
    }
    let loss = |entry: &Entry| entry.found.as_ref().map_or(f64::INFINITY, |found| found.predicted.loss);
    schedules.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    Ok(Untried { source, laws: laws.described(), schedules, tried })
}

/// The schedules of a plan with their configs for the longest runs.
fn candidates(plan: &Plan) -> Vec<Candidate> {
    let longest = plan.trials.iter().map(|trial| trial.config.task.steps).max();
    let configs = plan.cells.iter().filter_map(|cell| {
        let config = &plan.trials.get(cell.trial)?.config;
        (Some(config.task.steps) == longest).then(|| (cell.schedule.clone(), Arc::clone(config)))
    });
    screen::candidates(configs)
}

/// The laws of a stored sweep whose runs have one of these tasks, and its name.
async fn learned(
    reader: &mut Reader,
    own: &str,
    wanted: Option<&str>,
    tasks: &[&Task],
    context: &Context,
) -> Result<(String, Laws), Error> {
    let names = match wanted {
        Some(name) => vec![lookup::sweep(reader, Some(name), context).await?],
        None => {
            let mut names = reader.sweeps().await?;
            names.sort_by_key(|name| name != own);
            names
        }
    };
    let mut reasons = BTreeSet::new();
    for name in &names {
        let rows = reader.results(name).await?;
        if !has_task(reader, &rows, tasks).await? {
            continue;
        }
        let curves = all_curves(reader, &rows).await?;
        let same = |task: &Task| tasks.iter().any(|wanted| same_task(wanted, task));
        let laws = Laws::learn(curves.into_iter().filter(|curves| same(&curves.task)).collect());
        if laws.any() {
            return Ok((name.clone(), laws));
        }
        reasons.extend(laws.described());
    }
    let reasons = reasons.into_iter().collect::<Vec<_>>().join("; ");
    let why = if reasons.is_empty() { String::new() } else { format!(": {reasons}") };
    Err(Error::usage(match wanted {
        Some(name) => format!("no law can be learned from `{name}` for this task{why}"),
        None if names.is_empty() => {
            "the store has no sweep to learn from; train some schedules first".to_owned()
        }
        None => format!(
            "no law can be learned for this task from {}{why}; train some schedules first, as with `screen: {{keep: 8}}` in the file",
            listed(names.iter().map(String::as_str))
        ),
    }))
}

/// Whether a finished run has one of these tasks.
async fn has_task(reader: &mut Reader, rows: &[TrialRecord], tasks: &[&Task]) -> Result<bool, Error> {
    let mut seen = BTreeSet::new();
    for row in rows.iter().filter(|row| row.status == Status::Done) {
        if !seen.insert(row.config_id.as_str()) {
            continue;
        }
        let trial = reader.trial(&row.trial_id).await?.and_then(|row| row.trial().ok());
        if trial.is_some_and(|trial| tasks.iter().any(|task| same_task(task, &trial.config.task))) {
            return Ok(true);
        }
    }
    Ok(false)
}
