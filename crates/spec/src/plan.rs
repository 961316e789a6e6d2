//! Spec -> Plan: the runs of a sweep, and which of them are the same run. Pure functions.

use std::collections::HashMap;
use std::sync::Arc;

use schedule::Schedule;
use schedule::lint::{IDLE_AXIS, MIXED_LOSSES};
use schedule::problem::{Problem, listed, sort_problems};
use schedule::tree::{Place, Tree};

use crate::allow;
use crate::config::fit;
use crate::duplicates::{Duplicates, Fitted};
use crate::protocol::{Decisions, Purpose, Seeds};
use crate::screen::{Candidate, Screening};
use crate::searched::{self, Runs};
use crate::share;
use crate::sweep_file::{NamedSchedule, NamedVariant, Point, Spec};
use crate::trial::{Config, Model, Trial};
use crate::{group_lrs, id};

/// The runs of a sweep.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The sweep's name.
    pub name: String,
    /// The sweep file's text.
    pub text: String,
    /// Every (schedule, config, seed) of the file, in the order of training: seed by seed, so that an
    /// interrupted sweep has results of all schedules for the first seeds.
    pub cells: Vec<Cell>,
    /// The distinct runs among them, in the same order.
    pub trials: Vec<Trial>,
    /// Warnings for the user before spending compute.
    pub warnings: Vec<Problem>,
    /// The decisions of earlier rounds; `cells` includes the runs that follow from them.
    pub decisions: Decisions,
    /// How the schedules are divided by `screen`. `None` if all are trained.
    pub screening: Option<Screening>,
}

/// One run of the file.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The schedule's name in this sweep.
    pub schedule: String,
    /// Index into [`Plan::trials`].
    pub trial: usize,
    /// The purpose of the run.
    pub purpose: Purpose,
}

impl Plan {
    /// Number of cells whose run is the same as that of an earlier cell.
    pub fn merged(&self) -> usize {
        self.cells.len() - self.trials.len()
    }

    /// Steps of all cells.
    pub fn steps_requested(&self) -> u64 {
        self.cells.iter().filter_map(|cell| self.trials.get(cell.trial)).map(steps).sum()
    }

    /// Steps of all trials, if each were trained separately.
    pub fn steps_of_trials(&self) -> u64 {
        self.trials.iter().map(steps).sum()
    }

    /// Steps that are trained if nothing is stored yet. Steps that trials share count once. Closed-loop trials
    /// count in full, though they may share steps too.
    pub fn steps_trained(&self) -> u64 {
        share::trained_steps(&self.trials.iter().collect::<Vec<_>>())
    }
}

fn steps(trial: &Trial) -> u64 {
    trial.config.task.steps
}

/// The plan of the first round.
///
/// # Errors
/// Every schedule that does not fit its runs.
pub fn plan(spec: &Spec) -> Result<Plan, Vec<Problem>> {
    plan_on(spec, Decisions::default())
}

/// The plan of all schedules, without `screen`: for questions about the file, not for training.
///
/// # Errors
/// Every schedule that does not fit its runs.
pub fn plan_all(spec: &Spec) -> Result<Plan, Vec<Problem>> {
    match spec.screen {
        None => plan(spec),
        Some(_) => plan(&Spec { screen: None, ..spec.clone() }),
    }
}

/// The plan of all rounds so far, given what they decided: the first round, and the runs that follow from the decisions.
///
/// # Errors
/// Every schedule that does not fit its runs.
pub fn plan_on(spec: &Spec, decisions: Decisions) -> Result<Plan, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    let mut configs = Vec::new();
    let mut duplicates = Duplicates::default();
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
            // With separate seeds for each schedule, equal schedules are different runs.
            if !matches!(spec.seeds, Seeds::Each { .. }) {
                warnings.extend(duplicates.check(&schedule.key, &fitted));
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
    let screening = screening(spec, &configs);
    if let Some(screening) = &screening {
        configs.retain(|(config, _)| screening.trains(&config.schedule_name, decisions.screened.as_ref()));
    }
    let searched = searched::runs(spec, &decisions, first_round(spec))?;
    let (cells, trials) = grid(spec, &configs, &searched, &decisions);
    let (name, text) = (spec.name.clone(), spec.text.clone());
    Ok(Plan { name, text, cells, trials, warnings, decisions, screening })
}

/// How `screen` divides the schedules. `None` without `screen`, or if it keeps all.
fn screening(spec: &Spec, configs: &[Hashed]) -> Option<Screening> {
    let screen = spec.screen.as_ref()?;
    let longest = configs.iter().map(|(config, _)| config.task.steps).max()?;
    let of = |schedule: &NamedSchedule| {
        let own = configs.iter().map(|(config, _)| config);
        let own =
            own.filter(|config| config.schedule_name == schedule.key.name && config.task.steps == longest);
        Candidate { schedule: schedule.key.name.clone(), configs: own.cloned().collect() }
    };
    let all = spec.schedules.iter().map(of).filter(|candidate| !candidate.configs.is_empty());
    Some(Screening::of(all.collect(), screen)).filter(Screening::is_needed)
}

/// The schedules that do not fit their runs. Used for files with other mistakes, to report all of them together.
pub(crate) fn fit_problems(spec: &Spec) -> Vec<Problem> {
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

/// Warns of axes over data or models: their losses can't be compared.
fn mixed(points: &[Point]) -> impl Iterator<Item = Problem> {
    // The meaning of a custom task's parameters is not known here.
    let own = points.first().is_some_and(|point| {
        point.task.network().is_some_and(|network| matches!(network.model, Model::Custom(_)))
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
            "the values of this axis have losses that can't be compared, and the ranking takes the lowest"
                .to_owned();
        let problem = Problem::new(value.place, path.clone(), message).with_lint(MIXED_LOSSES);
        problem.with_hint("write a separate sweep file for each value")
    })
}

/// Warns of a base lr that no schedule uses.
fn idle_lr(place: Place) -> Problem {
    let message = "not used: every schedule has its own `lr`";
    Problem::new(place, "lr", message).with_lint(IDLE_AXIS).with_hint("remove it")
}

/// The lrs that were added to the grid of a schedule, each with its points.
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
        Ok((config, _)) if point.task.program().is_none() && !config.schedule.own_metrics().is_empty() => {
            problems.extend(placed(schedule, vec![no_own_metrics(&config.schedule)]));
            None
        }
        Ok((mut config, hash)) => {
            // An axis of complete schedules has an empty path within its schedule.
            let within = |path: &String| if path.is_empty() { path.clone() } else { format!(".{path}") };
            let chosen = variant.variant.chosen.iter();
            let of_schedule = |path: &String| match path.starts_with(group_lrs::AXIS) {
                true => path.clone(),
                false => format!("schedule{}", within(path)),
            };
            let chosen = chosen.map(|(path, value)| (of_schedule(path), value));
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

/// A schedule watches the accuracy of a model that has none.
fn no_accuracy() -> Problem {
    let message = "this schedule watches the validation accuracy, but this model has no accuracy";
    Problem::new(Place::default(), "", message).with_hint("use `watch: valid_loss`")
}

/// A schedule watches a metric that only a program could report.
fn no_own_metrics(schedule: &Schedule) -> Problem {
    let names = schedule.own_metrics();
    let names = listed(names.iter().map(|(name, _)| name.as_ref()));
    let message = format!("this schedule watches {names}, but only a `trainer` program reports such metrics");
    Problem::new(Place::default(), "", message)
        .with_hint("watch `valid_loss`, `train_loss` or `valid_accuracy`")
}

/// Problems of a schedule as problems of the file: a problem without a path or place gets the schedule's.
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

/// Number of rounds of the tuning seeds.
fn first_round(spec: &Spec) -> usize {
    if let Seeds::Split { tune, .. } = &spec.seeds { tune.len() } else { 0 }
}

/// All cells and trials, with seeds outermost: every schedule is trained on the first seed before any is on the second. The
/// runs of a search follow, and the deciding runs come last.
fn grid(
    spec: &Spec,
    configs: &[Hashed],
    searched: &[Runs],
    decisions: &Decisions,
) -> (Vec<Cell>, Vec<Trial>) {
    let position: HashMap<&str, usize> =
        spec.schedules.iter().enumerate().map(|(i, schedule)| (schedule.key.name.as_str(), i)).collect();
    let mut wanted: Vec<(usize, &Hashed, u64, Purpose)> = Vec::new();
    for config in configs {
        let at = position.get(config.0.schedule_name.as_str()).copied().unwrap_or(0);
        let (mut seeds, purpose) = spec.seeds.of_grid(at);
        if matches!(spec.seeds, Seeds::Each { looks: Some(_), .. }) {
            let steps = config.0.task.steps;
            let count = decisions.judging(&config.0.schedule_name, steps, &spec.seeds);
            seeds.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        }
        let tuned = decisions.tuned(&config.0, &spec.seeds);
        seeds.truncate(tuned.seeds);
        let purpose = if tuned.is_dropped { Purpose::Dropped } else { purpose };
        wanted.extend(seeds.into_iter().enumerate().map(|(round, seed)| (round, config, seed, purpose)));
    }
    for Runs { config, seeds, round } in searched {
        wanted.extend((*round..).zip(seeds).map(|(round, seed)| (round, config, *seed, Purpose::Tune)));
    }
    if let Seeds::Split { decide, .. } = &spec.seeds {
        let first = searched.iter().map(|runs| runs.round + runs.seeds.len()).max();
        let first = first.unwrap_or(first_round(spec));
        for chosen in &decisions.chosen {
            let is_chosen = |(config, _): &&Hashed| {
                config.id == chosen.config_id && config.schedule_name == chosen.schedule
            };
            let mut all = configs.iter().chain(searched.iter().map(|runs| &runs.config));
            if let Some(config) = all.find(is_chosen) {
                let count = usize::try_from(decisions.judging(&chosen.schedule, chosen.steps, &spec.seeds))
                    .unwrap_or(usize::MAX);
                let rounds = (first..).zip(decide.iter().take(count));
                wanted.extend(rounds.map(|(round, seed)| (round, config, *seed, Purpose::Decide)));
            }
        }
    }
    // The sort is stable: a round keeps the order of the file.
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
