//! `sweep export schedule`: a schedule as code for another library, or as its lrs.

use std::path::{Path, PathBuf};

use interop::{ExportInput, Library, code};
use schedule::problem::{listed, nearest};
use schedule::{Feedback, Schedule};
use spec::trial::Config;
use sweep::named_trial::{TrialName, trial};
use sweep::plan::{self, Aim};
use sweep::source::{Source, read};
use sweep::stored::{open, retrained};
use sweep::wait_for;

use crate::args::path;
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;
use crate::output::Output;
use crate::verb::lr;

pub(super) const EXAMPLES: &str = "\
Examples:
  sweep export schedule best --to pytorch                     the schedule of the best trial
  sweep export schedule mnist.yaml:cosine --to keras --lr 0.1
  sweep export schedule '{kind: cosine}' --to optax --lr 0.1 --total 1000

Exit codes: 0 success, 1 the library has no equivalent, 2 wrong input";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A trial (start of its id, or `best`), FILE:NAME for a schedule of a sweep file, or a schedule as in `sweep lr`
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// Library or format
    #[arg(long, value_enum, value_name = "TARGET")]
    pub to: Target,
    /// File to write [default: stdout]
    #[arg(long, short, value_name = "FILE", value_parser = path())]
    pub output: Option<PathBuf>,
    /// Sweep that `best` refers to [default: the most recent sweep]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// Base lr (`1x`): one of the sweep file's, or any for a single schedule [default there: 1]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Start of a config's id, for a schedule with several variants in the sweep file
    #[arg(long, value_name = "ID")]
    pub config: Option<String>,
    /// Length of the run in steps, for a single schedule
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..))]
    pub total: Option<u64>,
    /// Steps per epoch, for a single schedule
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps_per_epoch: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// torch.optim.lr_scheduler
    Pytorch,
    /// optax schedules
    Optax,
    /// keras.optimizers.schedules
    Keras,
    /// get_scheduler and Trainer
    Transformers,
    /// timm.scheduler
    Timm,
    /// Columns step, lr and (if the schedule cycles it) momentum
    Csv,
    /// {"lr": [...], "momentum": [...] or null, "groups": the same for each parameter group, or null}
    Json,
}

/// Most lrs to write.
const MOST_STEPS: u64 = 100_000_000;

/// The schedule to export.
struct Found {
    /// A short description.
    title: String,
    schedule: Schedule,
    /// The lrs used in training, for a trial of a closed-loop schedule.
    used: Option<Vec<f64>>,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
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
    let subject = ExportInput { title: &found.title, schedule: &found.schedule };
    code(library, &subject).map_err(Failure::failed)
}

fn table(found: &Found, to: Target) -> Result<String, Failure> {
    let schedule = &found.schedule;
    let total = schedule.horizon().total;
    let lrs = match &found.used {
        Some(_) if schedule.is_grouped() => {
            return Err(Failure::failed(
                "this schedule has parameter groups and depends on training: only the lrs of the first group are \
                 stored, in the table `metrics`",
            ));
        }
        Some(used) => used.clone(),
        None if schedule.feedback() == Feedback::ClosedLoop => {
            return Err(Failure::failed(
                "this schedule depends on losses or gradients, so its lrs are not known before training: train it and export the trial \
                 (`sweep export schedule TRIAL`), or pass losses to `sweep lr --metrics`",
            ));
        }
        None if total > MOST_STEPS => {
            return Err(Failure::usage(format_args!("can't write {total} lrs: the limit is {MOST_STEPS}")));
        }
        None => open_loop_lrs(schedule, total),
    };
    let momenta = |schedule: &Schedule, steps: u64| (0..steps).map(|t| schedule.momentum(t)).collect();
    let of = |schedule: &Schedule| (open_loop_lrs(schedule, total), momenta(schedule, total));
    let momenta: Option<Vec<f64>> = momenta(schedule, lrs.len() as u64);
    match to {
        Target::Json => Ok(format!("{}\n", lr::by_group_json((lrs, momenta), schedule, of))),
        _ if schedule.is_grouped() => Err(Failure::usage(
            "a table of csv has one lr for each step, but this schedule has parameter groups: use `--to json`, or `sweep lr --group`",
        )),
        _ => Ok(lr::csv(&lrs, momenta.as_deref())),
    }
}

/// The lr of each step.
fn open_loop_lrs(schedule: &Schedule, steps: u64) -> Vec<f64> {
    let state = schedule.start();
    (0..steps).map(|t| schedule.lr(t, &state)).collect()
}

fn find(args: &Args, global: &Global) -> Result<Found, Failure> {
    let what = args.what.trim();
    // --total marks a single schedule, whose text may be as short as `1x`.
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
fn node(args: &Args) -> Result<Found, Failure> {
    if args.sweep.is_some() || args.config.is_some() {
        return Err(Failure::usage(
            "--total is for a single schedule; --config and --sweep are for sweep files and trials",
        ));
    }
    let source = match args.what.as_str() {
        "-" => read(Path::new("-"), "schedule", spec::yaml::MAX_BYTES)?,
        text => Source { name: "<schedule>".to_owned(), text: text.to_owned() },
    };
    let schedule = lr::fit(&source, args.lr, args.total, args.steps_per_epoch)?.schedule;
    let written = source.text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = format!("{written}, base lr {}", schedule.horizon().base_lr);
    Ok(Found { title, schedule, used: None })
}

/// A schedule of a sweep file.
fn in_file(args: &Args, file: &Path, name: Option<&str>, global: &Global) -> Result<Found, Failure> {
    if args.steps_per_epoch.is_some() {
        return Err(Failure::usage(
            "--steps-per-epoch is for a single schedule: a sweep file defines its own",
        ));
    }
    // Lints are reported by `check`, `plan` and `run`.
    let (spec, _) = plan::of_file(file, Aim::LookUp, &global.context)?;
    let plan = plan::whole(&spec)?;
    let names = || spec.schedules.iter().map(|schedule| schedule.key.name.as_str());
    let shown = file.display();
    let name = match name {
        Some(name) if names().any(|known| known == name) => name,
        Some(name) => {
            let hint = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its schedules: {}", listed(names())),
            };
            return Err(Failure::usage(format_args!("{shown} has no schedule `{name}` ({hint})")));
        }
        None => match spec.schedules.as_slice() {
            [only] => only.key.name.as_str(),
            _ => {
                return Err(Failure::usage(format_args!(
                    "{shown} has several schedules: name one, as in {shown}:{} (schedules: {})",
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
    // Runs that are the same at several base lrs are one config, stored with the first lr.
    let own = spec.schedules.iter().find(|schedule| schedule.key.name == name);
    let lrs = own.map(|schedule| schedule.lrs(&spec)).unwrap_or_default();
    let merged = |lr| configs.len() == 1 && lrs.iter().any(|known| same_lr(*known, lr));
    let lr = args.lr.map(|lr| in_full(lr, &lrs)).filter(|lr| !merged(*lr));
    let config = chosen(lr, args.config.as_deref(), &configs, name, &shown.to_string())?;
    let title = format!("Schedule `{name}` of {shown} at base lr {}{}", config.base_lr, axes(config));
    Ok(Found { title, schedule: config.schedule.clone(), used: None })
}

/// Whether two base lrs are equal in single precision, which updates use.
fn same_lr(a: f64, b: f64) -> bool {
    a as f32 == b as f32
}

/// The base lr that `lr` means: one of `known`, also if it is rounded as in tables.
fn in_full(lr: f64, known: &[f64]) -> f64 {
    if known.iter().any(|known| same_lr(*known, lr)) {
        return lr;
    }
    let rounded = |known: &f64| report::short(*known).parse() == Ok(lr);
    match known.iter().copied().filter(rounded).collect::<Vec<_>>().as_slice() {
        [only] => *only,
        _ => lr,
    }
}

/// The config that --lr and --config select.
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
    // Configs with the same lrs are interchangeable here, even if they differ in, say, batch size.
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
            let which = if several.is_empty() { "no configs" } else { "several configs" };
            let shown = if several.is_empty() { configs } else { several };
            let mut text =
                format!("{which} of `{name}` in {file} match: select one with --lr or --config ID\n");
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
fn stored(args: &Args, global: &Global) -> Result<Found, Failure> {
    if args.lr.is_some() || args.config.is_some() {
        return Err(Failure::usage(
            "--lr and --config are for sweep files: a trial has its own lr and config",
        ));
    }
    let which = TrialName { trial: args.what.clone(), sweep: args.sweep.clone() };
    let (row, steps) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let row = trial(&mut reader, &which, &global.context).await?;
        let steps = reader.steps(&row.trial_id).await?;
        Ok::<_, Failure>((row, steps))
    })?;
    let trial = retrained(&row, &global.context)?;
    let schedule = trial.config.schedule.clone();
    let used = (schedule.feedback() == Feedback::ClosedLoop && !steps.is_empty())
        .then(|| steps.iter().map(|step| step.lr).collect());
    Ok(Found { title: sweep::code::title(&row), schedule, used })
}
