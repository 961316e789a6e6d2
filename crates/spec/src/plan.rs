//! Spec -> Plan: which runs a sweep asks for, and which of them are the same run. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use schedule::lint::{IDLE_AXIS, MIXED_LOSSES};
use schedule::problem::{Problem, sort_problems};
use schedule::tree::{Place, Tree};

use crate::allow;
use crate::config::fit;
use crate::id;
use crate::protocol::{Decisions, Purpose, Seeds};
use crate::same::{Fitted, Same};
use crate::share;
use crate::sweep_file::{NamedSchedule, NamedVariant, Point, Spec};
use crate::trial::{Config, Model, Trial};

/// What a sweep trains.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The sweep's name.
    pub name: String,
    /// The sweep file's text.
    pub text: String,
    /// Every (schedule, config, seed) that the file asks for, in the order of training: seed by seed,
    /// so that an interrupted sweep holds whole comparisons.
    pub cells: Vec<Cell>,
    /// The different runs among them, in the same order.
    pub trials: Vec<Trial>,
    /// What a person should know before spending compute.
    pub warnings: Vec<Problem>,
    /// What was decided before: all cells of it are here.
    pub decisions: Decisions,
}

/// One run that the file asks for.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The schedule's name in this sweep.
    pub schedule: String,
    /// Index into [`Plan::trials`].
    pub trial: usize,
    /// What it is for.
    pub purpose: Purpose,
}

impl Plan {
    /// How many runs are asked for but are the same as an earlier one.
    pub fn merged(&self) -> usize {
        self.cells.len() - self.trials.len()
    }

    /// Steps of all runs that the file asks for.
    pub fn steps_asked(&self) -> u64 {
        self.cells.iter().filter_map(|cell| self.trials.get(cell.trial)).map(steps).sum()
    }

    /// Steps of all different runs.
    pub fn steps_of_trials(&self) -> u64 {
        self.trials.iter().map(steps).sum()
    }

    /// Steps that are trained when nothing is stored yet, those that trials share counted once: the least
    /// there is. Closed-loop trials count in full, though they may turn out to share steps too.
    pub fn steps_trained(&self) -> u64 {
        share::steps(&self.trials.iter().collect::<Vec<_>>())
    }
}

fn steps(trial: &Trial) -> u64 {
    trial.config.task.steps
}

/// Works out what to train first.
///
/// # Errors
/// Every schedule that does not fit its runs.
pub fn plan(spec: &Spec) -> Result<Plan, Vec<Problem>> {
    plan_on(spec, Decisions::default())
}

/// Works out what to train, given what was decided: what came before, and what follows from that.
///
/// # Errors
/// Every schedule that does not fit its runs.
pub fn plan_on(spec: &Spec, decisions: Decisions) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut configs = Vec::new();
    let mut same = Same::default();
    for schedule in &spec.schedules {
        let added = added(spec, &schedule.key.name, &decisions);
        for variant in &schedule.variants {
            let grid = spec.grid(variant);
            let mut fitted = Fitted::with_capacity(grid.len());
            let written = Arc::new(variant.variant.tree.clone());
            for point in grid.into_iter().chain(added.iter().copied()) {
                let Some((config, hash)) = config(schedule, variant, &written, point, &mut problems) else {
                    continue;
                };
                let found = config.schedule.warnings(Some(config.task.evaluate_every));
                warnings.extend(placed(schedule, found));
                fitted.push((config, hash));
            }
            // With seeds of their own the same schedules are other runs.
            if !matches!(spec.seeds, Seeds::Each(_)) {
                warnings.extend(same.see(&schedule.key, &fitted));
            }
            configs.append(&mut fitted);
        }
    }
    sort_problems(&mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    warnings.extend(mixed(&spec.points));
    warnings.extend(spec.idle_lr.map(idle_lr));
    warnings.extend(spec.warnings.iter().cloned());
    sort_problems(&mut warnings);
    let mut warnings = allow::apply(&spec.allows, warnings);
    sort_problems(&mut warnings);
    let (cells, trials) = grid(spec, &configs, &decisions);
    Ok(Plan { name: spec.name.clone(), text: spec.text.clone(), cells, trials, warnings, decisions })
}

/// The schedules that do not fit their runs, for a file with other mistakes.
pub(crate) fn misfits(spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for schedule in &spec.schedules {
        for variant in &schedule.variants {
            let written = Arc::new(variant.variant.tree.clone());
            for point in spec.grid(variant) {
                config(schedule, variant, &written, point, &mut problems);
            }
        }
    }
    problems
}

/// Axes over what losses are of.
fn mixed(points: &[Point]) -> impl Iterator<Item = Problem> {
    // What the axes of a user's own task mean nobody knows here.
    let own = points.first().is_some_and(|point| {
        point.task.network().is_some_and(|network| matches!(network.model, Model::Own(_)))
    });
    let mixes = move |path: &str| {
        let within =
            |key: &str| path == key || path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
        within("data.dataset")
            || (within("task") && !own)
            || ["data", "data.limit", "model", "model.kind", "task", "task.kind"].contains(&path)
    };
    let chosen = points.first().into_iter().flat_map(|point| &point.chosen);
    chosen.filter(move |(path, _)| mixes(path)).map(|(path, value)| {
        let message =
            "the losses of this axis's values are of different things, and the ranking takes the lowest"
                .to_owned();
        let problem = Problem::new(value.place, path.clone(), message).with_lint(MIXED_LOSSES);
        problem.with_hint("write a sweep of its own for each value")
    })
}

/// A base lr that nothing uses.
fn idle_lr(place: Place) -> Problem {
    let message = "no schedule uses this: each has an `lr` of its own";
    Problem::new(place, "lr", message).with_lint(IDLE_AXIS).with_hint("leave it out")
}

/// The lrs that were added to the grid of a schedule, each with the points that it is for.
fn added<'a>(spec: &'a Spec, schedule: &str, decisions: &Decisions) -> Vec<(f64, &'a Point)> {
    let mut points: Vec<(f64, &Point)> = Vec::new();
    let runs = spec.runs();
    for added in decisions.added.iter().filter(|added| added.schedule == schedule) {
        for point in runs.iter().filter(|point| point.task.steps == added.steps) {
            if !points.iter().any(|(lr, old)| *lr == added.base_lr && std::ptr::eq(*old, *point)) {
                points.push((added.base_lr, point));
            }
        }
    }
    points
}

/// Fits one variant of a schedule to one point of the grid, at a base lr.
fn config(
    schedule: &NamedSchedule,
    variant: &NamedVariant,
    written: &Arc<Tree>,
    (base_lr, point): (f64, &Point),
    problems: &mut Vec<Problem>,
) -> Option<(Arc<Config>, blake3::Hash)> {
    let config = fit(&schedule.key.name, &variant.node, written, base_lr, &point.task);
    match config {
        Ok((config, _)) if config.schedule.needs().accuracy && !point.has_accuracy => {
            problems.extend(placed(schedule, vec![no_accuracy()]));
            None
        }
        Ok((mut config, hash)) => {
            // An axis of whole schedules has no path within its schedule.
            let within = |path: &String| if path.is_empty() { path.clone() } else { format!(".{path}") };
            let chosen = variant.variant.chosen.iter();
            let chosen = chosen.map(|(path, value)| (format!("schedule{}", within(path)), value));
            let chosen = point.chosen.iter().map(|(path, value)| (path.clone(), value)).chain(chosen);
            config.axes = chosen.map(|(path, value)| (path, value.to_string())).collect();
            Some((Arc::new(config), hash))
        }
        Err(found) => {
            problems.extend(placed(schedule, found));
            None
        }
    }
}

/// A schedule that watches what its model does not have.
fn no_accuracy() -> Problem {
    let message = "this schedule watches the validation accuracy, and this model has none";
    Problem::new(Place::default(), "", message).with_hint("write `watch: valid_loss`")
}

/// Problems of a schedule as problems of the file: those without a place get the schedule's.
fn placed(schedule: &NamedSchedule, found: Vec<Problem>) -> impl Iterator<Item = Problem> {
    found.into_iter().map(|mut problem| {
        if problem.path.is_empty() {
            problem.path = format!("schedules.{}", schedule.key.name);
        }
        if problem.place.line == 0 {
            problem.place = schedule.key.place;
        }
        problem
    })
}

/// A config, and the hash that identifies it.
type Hashed = (Arc<Config>, blake3::Hash);

/// Seeds outermost: after the first part of a sweep every schedule has been seen. The deciding runs come last.
fn grid(spec: &Spec, configs: &[Hashed], decisions: &Decisions) -> (Vec<Cell>, Vec<Trial>) {
    let place: HashMap<&str, usize> =
        spec.schedules.iter().enumerate().map(|(i, schedule)| (schedule.key.name.as_str(), i)).collect();
    let mut wanted: Vec<(usize, &Hashed, u64, Purpose)> = Vec::new();
    for config in configs {
        let at = place.get(config.0.schedule_name.as_str()).copied().unwrap_or(0);
        let (seeds, purpose) = spec.seeds.of_grid(at);
        wanted.extend(seeds.into_iter().enumerate().map(|(round, seed)| (round, config, seed, purpose)));
    }
    if let Seeds::Split { tune, decide } = &spec.seeds {
        for chosen in &decisions.chosen {
            let is_chosen = |(config, _): &&Hashed| {
                config.id == chosen.config_id && config.schedule_name == chosen.schedule
            };
            if let Some(config) = configs.iter().find(is_chosen) {
                let rounds = tune.len()..;
                wanted
                    .extend(rounds.zip(decide).map(|(round, seed)| (round, config, *seed, Purpose::Decide)));
            }
        }
    }
    // Stable: within a round in the order of the file.
    wanted.sort_by_key(|(round, ..)| *round);
    let mut cells = Vec::with_capacity(wanted.len());
    let mut trials = Vec::new();
    let mut known: HashMap<(blake3::Hash, u64), usize> = HashMap::new();
    for (_, (config, hash), seed, purpose) in wanted {
        let trial = *known.entry((*hash, seed)).or_insert_with(|| {
            trials.push(Trial { id: id::trial(hash, seed), config: Arc::clone(config), seed });
            trials.len() - 1
        });
        cells.push(Cell { schedule: config.schedule_name.clone(), trial, purpose });
    }
    (cells, trials)
}
