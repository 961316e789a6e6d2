//! The loss curves of stored runs, for the laws of the crate `predict`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use predict::{Losses, Run};
use schedule::problem::{counted, listed, nearest};
use spec::screen::unusable;
use spec::trial::{Config, Task};
use store::{Reader, Status, TrialRecord};

use crate::Error;
use crate::error::joined_messages;

/// Which runs to learn from.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only schedules with these names; empty for all.
    pub schedules: Vec<String>,
    /// Only these base lrs; empty for the one with the most schedules.
    pub lrs: Vec<f64>,
    /// Which loss. `None`: the validation loss if each run was evaluated often enough, else the training loss.
    pub loss: Option<LossKind>,
    /// The part of a run over which its last training losses are averaged.
    pub last: f64,
}

/// A loss of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// On the validation set.
    Validation,
    /// On the batches.
    Training,
}

/// Curves to learn from.
#[derive(Debug, Clone)]
pub struct Curves {
    /// One for each schedule, base lr and length: the mean over its seeds.
    pub runs: Vec<Run>,
    /// The kind of their losses.
    pub kind: Losses,
    /// Their base lrs, in rising order.
    pub lrs: Vec<f64>,
    /// The length of the longest in steps.
    pub steps: u64,
    /// Their task, that of the longest run.
    pub task: Task,
    /// Schedules that were left out, with the reason.
    pub left_out: Vec<String>,
}

/// Evaluations of a run that are enough for a curve.
const ENOUGH: usize = 10;
/// The part of a run over which its last training losses are averaged, if the user does not say.
pub const LAST: f64 = 0.04;

/// Reads the curves of a sweep.
///
/// # Errors
/// The store can't be read, or has no such runs.
pub async fn curves(reader: &mut Reader, sweep: &str, wanted: &Wanted) -> Result<Curves, Error> {
    let rows = reader.results(sweep).await?;
    check_names(sweep, &rows, &wanted.schedules)?;
    let mut left_out = BTreeSet::new();
    let configs = configs(reader, &rows, &wanted.schedules, &mut left_out).await?;
    let family = families(configs, &wanted.lrs).into_iter().next().ok_or_else(|| {
        let at = if wanted.lrs.is_empty() { "" } else { " at these base lrs" };
        Error::usage(format_args!("the sweep `{sweep}` has no finished runs of open-loop schedules{at}"))
    })?;
    let found = of_family(reader, family, wanted, &mut left_out).await?;
    let found = found.ok_or_else(|| {
        Error::usage(format_args!(
            "no run of `{sweep}` has enough losses to learn from: {}; evaluate more often, as in `evaluate: {{every: \"2%\"}}`, or use --loss train",
            listed(left_out.iter().map(String::as_str))
        ))
    })?;
    Ok(Curves { left_out: left_out.into_iter().collect(), ..found })
}

/// Reads the curves of these runs: one entry for each task and base lr. Runs that can't be learned from are left out.
///
/// # Errors
/// The store can't be read.
pub async fn all_curves(reader: &mut Reader, rows: &[TrialRecord]) -> Result<Vec<Curves>, Error> {
    let mut left_out = BTreeSet::new();
    let configs = configs(reader, rows, &[], &mut left_out).await?;
    let wanted = Wanted { last: LAST, ..Wanted::default() };
    let mut all = Vec::new();
    for family in families(configs, &[]) {
        all.extend(of_family(reader, family, &wanted, &mut left_out).await?);
    }
    Ok(all)
}

/// The curves of one family. Runs with too few losses go to `left_out`; `None` if no other is left.
async fn of_family(
    reader: &mut Reader,
    family: Vec<Stored>,
    wanted: &Wanted,
    left_out: &mut BTreeSet<String>,
) -> Result<Option<Curves>, Error> {
    let mut means = Vec::with_capacity(family.len());
    for stored in family {
        let mean = Mean::read(reader, &stored).await?;
        means.push((stored, mean));
    }
    let enough = means.iter().all(|(_, mean)| mean.validation.len() >= ENOUGH);
    let kind = match wanted.loss {
        Some(LossKind::Validation) => Losses::Validation,
        None if enough => Losses::Validation,
        _ => Losses::Training { last: wanted.last },
    };
    let mut curves = Vec::new();
    for (stored, mean) in &means {
        match mean.run(stored, kind) {
            Some(run) => curves.push((&stored.config, run)),
            None => {
                left_out.insert(format!("{} (too few losses)", stored.config.schedule_name));
            }
        }
    }
    let longest = curves.iter().map(|(config, _)| *config).max_by_key(|config| config.task.steps);
    let Some(longest) = longest.cloned() else { return Ok(None) };
    let lrs: BTreeMap<u64, f64> =
        curves.iter().map(|(config, _)| (config.base_lr.to_bits(), config.base_lr)).collect();
    Ok(Some(Curves {
        runs: curves.into_iter().map(|(_, run)| run).collect(),
        kind,
        lrs: lrs.into_values().collect(),
        steps: longest.task.steps,
        task: longest.task.clone(),
        left_out: Vec::new(),
    }))
}

/// Checks that the sweep has these schedules.
fn check_names(sweep: &str, rows: &[TrialRecord], wanted: &[String]) -> Result<(), Error> {
    let known: BTreeSet<&str> = rows.iter().map(|row| row.schedule.as_str()).collect();
    let Some(unknown) = wanted.iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
    let hint = match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known: {}", listed(known.iter().copied())),
    };
    Err(Error::usage(format_args!("the sweep `{sweep}` has no schedule `{unknown}` ({hint})")))
}

/// A config and its finished trials.
#[derive(Debug)]
struct Stored {
    config: Arc<Config>,
    trials: Vec<String>,
}

/// The configs whose runs can be learned from. The others go to `left_out`.
async fn configs(
    reader: &mut Reader,
    rows: &[TrialRecord],
    names: &[String],
    left_out: &mut BTreeSet<String>,
) -> Result<Vec<Stored>, Error> {
    let mut trials: BTreeMap<&str, BTreeMap<&str, Status>> = BTreeMap::new();
    for row in rows.iter().filter(|row| names.is_empty() || names.contains(&row.schedule)) {
        trials.entry(&row.config_id).or_default().insert(&row.trial_id, row.status);
    }
    let mut stored = Vec::new();
    for trials in trials.values() {
        let done: Vec<&str> =
            trials.iter().filter(|(_, status)| **status == Status::Done).map(|(id, _)| *id).collect();
        let Some(first) = done.first() else { continue };
        let Some(row) = reader.trial(first).await? else { continue };
        let trial = row.trial().map_err(|problems| {
            Error::failed(format_args!("invalid stored configuration: {}", joined_messages(&problems)))
        })?;
        let config = trial.config;
        let diverged = trials.values().any(|status| *status == Status::Diverged);
        match unusable(&config.schedule).or(diverged.then_some("diverged")) {
            Some(why) => {
                left_out.insert(format!("{} ({why})", config.schedule_name));
            }
            None => stored.push(Stored { config, trials: done.into_iter().map(str::to_owned).collect() }),
        }
    }
    Ok(stored)
}

/// The task without the length of its runs.
pub fn same_task(a: &Task, b: &Task) -> bool {
    let without = |task: &Task| Task { steps: 0, evaluate_every: 0, diverge_above: 0.0, ..task.clone() };
    without(a) == without(b)
}

/// The configs by task and base lr, or by task only if some `lrs` are wanted: the most configs first, and of equal numbers the lowest base lr.
fn families(configs: Vec<Stored>, lrs: &[f64]) -> Vec<Vec<Stored>> {
    let mut families: Vec<Vec<Stored>> = Vec::new();
    for stored in configs.into_iter().filter(|stored| lrs.is_empty() || lrs.contains(&stored.config.base_lr))
    {
        let config = &stored.config;
        let belongs = |family: &&mut Vec<Stored>| {
            family.first().is_some_and(|first| {
                same_task(&first.config.task, &config.task)
                    && (!lrs.is_empty() || first.config.base_lr == config.base_lr)
            })
        };
        match families.iter_mut().find(belongs) {
            Some(family) => family.push(stored),
            None => families.push(vec![stored]),
        }
    }
    let lr = |family: &[Stored]| family.first().map_or(f64::INFINITY, |stored| stored.config.base_lr);
    families.sort_by(|a, b| b.len().cmp(&a.len()).then(lr(a).total_cmp(&lr(b))));
    families
}

/// The mean curves of a config over its seeds, by step: sum and number.
#[derive(Debug, Default)]
struct Mean {
    training: BTreeMap<u64, (f64, f64)>,
    validation: BTreeMap<u64, (f64, f64)>,
}

impl Mean {
    async fn read(reader: &mut Reader, stored: &Stored) -> Result<Self, Error> {
        let mut mean = Self::default();
        for trial in &stored.trials {
            for row in reader.steps(trial).await? {
                // A training loss is measured before the update of its step, a validation loss after it.
                if row.train_loss.is_finite() {
                    add(&mut mean.training, row.step, row.train_loss);
                }
                if let Some(loss) = row.valid_loss {
                    add(&mut mean.validation, row.step + 1, loss);
                }
            }
        }
        Ok(mean)
    }

    fn run(&self, stored: &Stored, kind: Losses) -> Option<Run> {
        let sums = match kind {
            Losses::Validation => &self.validation,
            Losses::Training { .. } => &self.training,
        };
        let losses: Vec<(f64, f64)> =
            sums.iter().map(|(step, (sum, count))| (*step as f64, sum / count)).collect();
        let Config { schedule, task, schedule_name, base_lr, .. } = stored.config.as_ref();
        let start = stored.config.start();
        let lrs: Vec<f64> = (0..task.steps).map(|t| schedule.lr(t, &start)).collect();
        let name = format!("{schedule_name} at lr {base_lr}, {}", counted(task.steps, "step"));
        Run::new(name, &lrs, &losses, kind)
    }
}

fn add(sums: &mut BTreeMap<u64, (f64, f64)>, step: u64, loss: f64) {
    let (sum, count) = sums.entry(step).or_default();
    *sum += loss;
    *count += 1.0;
}
