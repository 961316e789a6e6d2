//! `sweep export schedule`: a schedule as code of another library, or as its lrs.

use std::path::Path;

use interop::{Library, Subject, code};
use schedule::problem::{listed, nearest};
use schedule::{Feedback, Schedule};
use serde_json::json;
use spec::trial::Config;

use crate::args::{ExportSchedule, Global, Target, Which};
use crate::exit::{Failure, Outcome, print};
use crate::input;
use crate::output::Output;
use crate::stored::{open, retrained, trial, wait_for};
use crate::verb::lr;

/// The most lrs that are written out.
const MOST_STEPS: u64 = 100_000_000;

/// What is exported.
struct Found {
    /// What it is, in a few words.
    title: String,
    schedule: Schedule,
    /// The lrs that training used, where a trial has them.
    used: Option<Vec<f64>>,
}

pub(crate) fn run(args: &ExportSchedule, global: &Global) -> Outcome {
    let found = find(args, global)?;
    let text = match args.to {
        Target::Pytorch => program(&found, Library::Pytorch),
        Target::Optax => program(&found, Library::Optax),
        Target::Keras => program(&found, Library::Keras),
        Target::Transformers => program(&found, Library::Transformers),
        Target::Timm => program(&found, Library::Timm),
        Target::Csv | Target::Json => table(&found, args.to),
    }?;
    match &args.output {
        None => print(&text),
        Some(path) => Output::file(path)?.write_whole(text.as_bytes()),
    }
}

fn program(found: &Found, library: Library) -> Result<String, Failure> {
    let subject = Subject { title: &found.title, schedule: &found.schedule };
    code(library, &subject).map_err(Failure::failed)
}

fn table(found: &Found, to: Target) -> Result<String, Failure> {
    let schedule = &found.schedule;
    let total = schedule.horizon().total;
    let lrs = match &found.used {
        Some(used) => used.clone(),
        None if schedule.feedback() == Feedback::ClosedLoop => {
            return Err(Failure::failed(
                "this schedule watches training, so its lrs are not known before: train it, then export the trial \
                 (sweep export schedule TRIAL), or give what it sees to sweep lr",
            ));
        }
        None if total > MOST_STEPS => {
            return Err(Failure::usage(format_args!(
                "{total} lrs are more than are written out ({MOST_STEPS})"
            )));
        }
        None => {
            let state = schedule.start();
            (0..total).map(|t| schedule.lr(t, &state)).collect()
        }
    };
    let momenta: Option<Vec<f64>> = (0..lrs.len() as u64).map(|t| schedule.momentum(t)).collect();
    Ok(match to {
        Target::Json => format!("{}\n", json!({ "lr": lrs, "momentum": momenta })),
        _ => lr::csv(&lrs, momenta.as_deref()),
    })
}

fn find(args: &ExportSchedule, global: &Global) -> Result<Found, Failure> {
    let what = args.what.trim();
    // A length is given for a schedule only, which may then be as short as `1x`.
    if args.total.is_some() || what == "-" || what.starts_with(['{', '"', '\'']) || what.contains('(') {
        return node(args);
    }
    let (file, name) = match what.rsplit_once(':') {
        Some((file, name)) => (Path::new(file), Some(name)),
        None => (Path::new(what), None),
    };
    let is_path = what.contains(['/', '\\']) || file.extension().is_some();
    if name.is_some() || is_path || file.is_file() {
        return in_file(args, file, name, global);
    }
    stored(args, global)
}

/// A schedule as written on the command line.
fn node(args: &ExportSchedule) -> Result<Found, Failure> {
    if args.sweep.is_some() || args.config.is_some() {
        return Err(Failure::usage(
            "--total is for a schedule by itself, --config and --sweep are for others",
        ));
    }
    let source = match args.what.as_str() {
        "-" => input::read(Path::new("-"), "a schedule", spec::yaml::MOST_BYTES)?,
        text => input::Source { name: "<schedule>".to_owned(), text: text.to_owned() },
    };
    let schedule = lr::fit(&source, args.lr, args.total, args.steps_per_epoch)?.schedule;
    let written = source.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = format!("{written}, base lr {}", schedule.horizon().base_lr);
    Ok(Found { title, schedule, used: None })
}

/// A schedule of a sweep file.
fn in_file(
    args: &ExportSchedule,
    file: &Path,
    name: Option<&str>,
    global: &Global,
) -> Result<Found, Failure> {
    if args.steps_per_epoch.is_some() {
        return Err(Failure::usage(
            "a sweep file knows its epochs: --steps-per-epoch is for a schedule by itself",
        ));
    }
    // Its lints are for `check`, `plan` and `run`.
    let (spec, plan) = input::known_sweep_file(file, global)?;
    let names = || spec.schedules.iter().map(|schedule| schedule.key.name.as_str());
    let shown = file.display();
    let name = match name {
        Some(name) if names().any(|known| known == name) => name,
        Some(name) => {
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", listed(names())),
            };
            return Err(Failure::usage(format_args!("{shown} has no schedule `{name}` ({hint})")));
        }
        None => match spec.schedules.as_slice() {
            [only] => only.key.name.as_str(),
            _ => {
                return Err(Failure::usage(format_args!(
                    "which schedule of {shown}? Name one, as in {shown}:{}; it has {}",
                    names().next().unwrap_or_default(),
                    listed(names())
                )));
            }
        },
    };
    let mut configs: Vec<&Config> = Vec::new();
    for cell in plan.cells.iter().filter(|cell| cell.schedule == name) {
        let Some(trial) = plan.trials.get(cell.trial) else { continue };
        if configs.iter().all(|config| config.id != trial.config.id) {
            configs.push(&trial.config);
        }
    }
    // Runs that are the same at several base lrs are one config, which has the first of them.
    let lrs =
        spec.schedules.iter().find(|schedule| schedule.key.name == name).map(|schedule| schedule.lrs(&spec));
    let merged = |lr| configs.len() == 1 && lrs.iter().flatten().any(|known| same_lr(*known, lr));
    let lr = args.lr.filter(|lr| !merged(*lr));
    let config = chosen(lr, args.config.as_deref(), &configs, name, &shown.to_string())?;
    let title = format!("Schedule `{name}` of {shown} at base lr {}{}", config.base_lr, axes(config));
    Ok(Found { title, schedule: config.schedule.clone(), used: None })
}

/// Whether two base lrs are one to an update, which uses single precision.
fn same_lr(a: f64, b: f64) -> bool {
    a as f32 == b as f32
}

/// The one config that is meant.
fn chosen<'a>(
    lr: Option<f64>,
    id: Option<&str>,
    configs: &[&'a Config],
    name: &str,
    file: &str,
) -> Result<&'a Config, Failure> {
    let meant: Vec<&Config> = configs
        .iter()
        .copied()
        .filter(|config| lr.is_none_or(|lr| same_lr(lr, config.base_lr)))
        .filter(|config| id.is_none_or(|id| config.id.starts_with(&id.to_lowercase())))
        .collect();
    // What differs in more than the lrs makes no difference here: a batch size with the same length, say.
    let lrs =
        |config: &Config| (config.base_lr.to_bits(), config.schedule.formula(), config.schedule.known());
    let horizon = |config: &Config| config.schedule.horizon();
    match meant.as_slice() {
        [first, rest @ ..]
            if rest.iter().all(|config| {
                horizon(config) == horizon(first) && lrs(config) == lrs(first) && lrs(first).1.is_some()
            }) =>
        {
            Ok(first)
        }
        [only] => Ok(only),
        several => {
            let why = if several.is_empty() { "no config" } else { "several configs" };
            let shown = if several.is_empty() { configs } else { several };
            let mut text = format!("{why} of `{name}` in {file} match: choose by --lr or --config ID\n");
            for config in shown.iter().take(40) {
                text.push_str(&format!("\n  {}  lr {}{}", config.id, config.base_lr, axes(config)));
            }
            if shown.len() > 40 {
                text.push_str(&format!("\n  and {} more", shown.len() - 40));
            }
            Err(Failure::Usage(text))
        }
    }
}

fn axes(config: &Config) -> String {
    config.axes.iter().map(|(path, value)| format!(", {path} {value}")).collect()
}

/// The schedule of a stored trial.
fn stored(args: &ExportSchedule, global: &Global) -> Result<Found, Failure> {
    if args.lr.is_some() || args.config.is_some() {
        return Err(Failure::usage(
            "a trial has its lr and its config: --lr and --config are for sweep files",
        ));
    }
    let which = Which { trial: args.what.clone(), sweep: args.sweep.clone() };
    let (row, steps) = wait_for(async {
        let mut reader = open(global).await?;
        let row = trial(&mut reader, &which, global).await?;
        let steps = reader.steps(&row.trial_id).await?;
        Ok((row, steps))
    })?;
    let trial = retrained(&row, global)?;
    let schedule = trial.config.schedule.clone();
    let used = (schedule.feedback() == Feedback::ClosedLoop && !steps.is_empty())
        .then(|| steps.iter().map(|step| step.lr).collect());
    let title = format!("Schedule `{}` of trial {} at base lr {}", row.schedule, row.trial_id, row.base_lr);
    Ok(Found { title, schedule, used })
}
