//! The targets of a prediction: the schedules of a sweep file, one schedule, or the recorded lrs of a run.

use std::path::Path;
use std::sync::Arc;

use predict::{Losses, Model, Prediction, Run};
use schedule::Schedule;
use spec::screen::unusable;
use spec::trial::{Config, Task};
use sweep::curves::same_task;
use sweep::laws::closed;
use sweep::plan::{Aim, whole};
use sweep::source::{Source, read};

use super::args::{Args, MOST_STEPS};
use super::recorded::Recorded;
use crate::args::Warnings;
use crate::exit::Failure;
use crate::global::Global;
use crate::input::{self, is_schedule, is_sweep};
use crate::verb::lr::{Unstated, fit_or};

/// A run to predict.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) base_lr: Option<f64>,
    pub(super) steps: u64,
    lrs: Sequence,
}

/// The lrs of a target.
#[derive(Debug)]
enum Sequence {
    Of(Arc<Config>),
    Single(Box<Schedule>),
    Recorded(Recorded),
}

/// The values of the runs that were learned from, for a target that does not state its own.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) lr: f64,
    pub(super) steps: u64,
    /// `None` if the runs are from files.
    pub(super) task: Option<&'a Task>,
}

impl Target {
    /// Its final loss, if it was recorded.
    pub(super) fn observed(&self, kind: Losses) -> Option<f64> {
        Some(self.recorded(kind)?.last())
    }

    fn recorded(&self, kind: Losses) -> Option<Run> {
        match &self.lrs {
            Sequence::Recorded(recorded) => recorded.run(kind),
            _ => None,
        }
    }

    /// Its prediction, or why there is none.
    pub(super) fn predict(&self, model: &Model) -> Result<Prediction, String> {
        let schedule = match &self.lrs {
            Sequence::Of(config) => &config.schedule,
            Sequence::Single(schedule) => schedule,
            Sequence::Recorded(recorded) => {
                let lrs = recorded.lrs.iter().copied();
                return model.predict(lrs, self.steps).map_err(|refusal| refusal.to_string());
            }
        };
        if let Some(why) = unusable(schedule) {
            return Err(closed(why));
        }
        let start = schedule.start();
        let predicted = model.predict((0..self.steps).map(|t| schedule.lr(t, &start)), self.steps);
        predicted.map_err(|refusal| refusal.to_string())
    }
}

/// Reads what the user named.
///
/// # Errors
/// It can't be read, has mistakes, or is about another task.
pub(super) fn targets(args: &Args, known: &Known<'_>, global: &Global) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for what in &args.what {
        let path = Path::new(what);
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
            let recorded = Recorded::read(path)?;
            let (name, steps) = (recorded.name.clone(), recorded.lrs.len() as u64);
            targets.push(Target { name, base_lr: None, steps, lrs: Sequence::Recorded(recorded) });
        } else if path.is_file() {
            let source = read(path, "sweep file", spec::yaml::MAX_BYTES)?;
            match is_sweep(&source) {
                true => targets.extend(of_file(path, &source, args, known, global)?),
                false => targets.push(single(&source, args, known)?),
            }
        } else if is_schedule(what) {
            targets.push(single(&Source { name: "<schedule>".to_owned(), text: what.clone() }, args, known)?);
        } else {
            // A missing file, with the usual message.
            read(path, "sweep file, CSV file or schedule such as '{kind: cosine}'", spec::yaml::MAX_BYTES)?;
        }
    }
    Ok(targets)
}

fn single(source: &Source, args: &Args, known: &Known<'_>) -> Result<Target, Failure> {
    let unstated = Unstated { lr: known.lr, total: Some(known.steps) };
    let fitted = fit_or(source, args.lr, args.total, args.steps_per_epoch, unstated)?;
    if fitted.total > MOST_STEPS {
        return Err(Failure::usage(format_args!(
            "a run of {} steps is above the limit of {MOST_STEPS}",
            fitted.total
        )));
    }
    let name = if source.name == "<schedule>" { &source.text } else { &source.name };
    Ok(Target {
        name: name.split_whitespace().collect::<Vec<_>>().join(" "),
        base_lr: Some(fitted.base_lr),
        steps: fitted.total,
        lrs: Sequence::Single(Box::new(fitted.schedule)),
    })
}

/// The configs of a sweep file.
fn of_file(
    path: &Path,
    source: &Source,
    args: &Args,
    known: &Known<'_>,
    global: &Global,
) -> Result<Vec<Target>, Failure> {
    let (spec, _) = input::sweep_text(path, source, Aim::LookUp, Warnings::default(), global)?;
    let plan = whole(&spec)?;
    let mut targets: Vec<Target> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for trial in &plan.trials {
        let config = &trial.config;
        if args.lr.is_some_and(|lr| lr != config.base_lr) || !seen.insert((&config.schedule_name, &config.id))
        {
            continue;
        }
        if known.task.is_some_and(|task| !same_task(task, &config.task)) {
            return Err(Failure::usage(format_args!(
                "{}: `{}` has another model, data or optimizer than the runs to learn from; a law holds for one task only",
                source.name, config.schedule_name
            )));
        }
        targets.push(Target {
            name: name(config),
            base_lr: Some(config.base_lr),
            steps: config.task.steps,
            lrs: Sequence::Of(Arc::clone(config)),
        });
    }
    match (targets.is_empty(), args.lr) {
        (true, Some(lr)) => {
            Err(Failure::usage(format_args!("{}: no schedule has the base lr {lr}", source.name)))
        }
        _ => Ok(targets),
    }
}

/// A schedule's name, with the values of its axes.
fn name(config: &Config) -> String {
    let axes: Vec<String> = config.axes.iter().map(|(path, value)| format!("{path}: {value}")).collect();
    match axes.as_slice() {
        [] => config.schedule_name.clone(),
        axes => format!("{} ({})", config.schedule_name, axes.join(", ")),
    }
}
