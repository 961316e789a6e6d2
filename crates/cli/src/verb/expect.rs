//! `sweep expect`: the expected losses of a task with a closed form, next to the trained losses.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use report::{Cell, Format, Rows};
use spec::Plan;
use spec::trial::Trial;
use store::{Status, TrialRecord};
use sweep::plan::{self, Aim};
use sweep::stored::results_so_far;
use sweep::{rounds, wait_for};

use crate::args::{FormatArg, path};
use crate::exit::{Failure, Outcome, print, say};
use crate::global::Global;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Sweep file with the task quadratic or power-law-regression (`-` reads standard input)
    #[arg(value_parser = path())]
    pub file: PathBuf,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (mut spec, _) = plan::of_file(&args.file, Aim::LookUp, &global.context)?;
    // A schedule that predictions leave out has an expected loss too.
    spec.screen = None;
    let plan = plan::whole(&spec)?;
    let (rows, values) = wait_for(results_so_far(&plan.name, &spec.metric, &global.context))?;
    // Runs of later rounds belong to the sweep too.
    let plan = rounds::decided(&spec, &plan, &rows, &values)?;
    let stored: HashMap<&str, &TrialRecord> = rows.iter().map(|row| (row.trial_id.as_str(), row)).collect();
    // The shapes that a search has tried are listed by `sweep search --history`.
    let tried = spec.search.as_ref().map(spec::search::Search::tried);
    let mut configs = configs(&plan);
    configs.retain(|config| tried.as_deref() != Some(config.name));
    let expected: Vec<_> = configs.iter().map(|config| trainer::expected::losses(config.first)).collect();
    if let Some(Err(error)) = expected.first().filter(|_| expected.iter().all(Result::is_err)) {
        return Err(Failure::usage(format_args!("{}: no closed form: {error}", args.file.display())));
    }
    let mut reported = BTreeSet::new();
    let mut rows = Vec::new();
    for (config, expected) in configs.iter().zip(expected) {
        match expected {
            Ok(losses) => {
                let expected = losses.last().map_or(f64::NAN, |(_, loss)| *loss);
                rows.push((expected, row(config, expected, &stored)));
            }
            Err(error) if reported.insert(config.name) => {
                say(format_args!("{}: no closed form: {error}", config.name));
            }
            Err(_) => {}
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut table = Rows::new([
        "schedule",
        "base_lr",
        "steps",
        "axes",
        "expected",
        "runs",
        "diverged",
        "mean",
        "standard_error",
        "z",
    ]);
    table.rows = rows.into_iter().map(|(_, row)| row).collect();
    print(&table.render(Format::from(&args.format)))
}

/// A config of a schedule, and its trials.
struct Config<'a> {
    name: &'a str,
    first: &'a Trial,
    trials: Vec<&'a str>,
}

/// The configs in the order of the plan. A run of two schedules is listed under both.
fn configs(plan: &Plan) -> Vec<Config<'_>> {
    let mut configs: Vec<Config<'_>> = Vec::new();
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    for cell in &plan.cells {
        let Some(trial) = plan.trials.get(cell.trial) else { continue };
        let name = cell.schedule.as_str();
        let at = *known.entry((name, trial.config.id.as_str())).or_insert_with(|| {
            configs.push(Config { name, first: trial, trials: Vec::new() });
            configs.len() - 1
        });
        if let Some(config) = configs.get_mut(at) {
            config.trials.push(&trial.id);
        }
    }
    configs
}

fn row(config: &Config<'_>, expected: f64, stored: &HashMap<&str, &TrialRecord>) -> Vec<Cell> {
    let ended = || config.trials.iter().filter_map(|id| stored.get(id));
    let losses: Vec<f64> =
        ended().filter_map(|row| row.final_valid_loss).filter(|loss| loss.is_finite()).collect();
    let diverged = ended().filter(|row| row.status == Status::Diverged).count();
    let n = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / n;
    let squares: f64 = losses.iter().map(|loss| (loss - mean) * (loss - mean)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    let shown = |x: f64| if x.is_finite() { Cell::Real(x) } else { Cell::Null };
    let count = |n: usize| Cell::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    let task = &config.first.config;
    let axes: Vec<String> = task.axes.iter().map(|(path, value)| format!("{path} {value}")).collect();
    vec![
        Cell::Text(config.name.to_owned()),
        Cell::Real(task.base_lr),
        Cell::Integer(i64::try_from(task.task.steps).unwrap_or(i64::MAX)),
        Cell::Text(axes.join(", ")),
        shown(expected),
        count(losses.len()),
        count(diverged),
        shown(mean),
        shown(error),
        // The mean leaves out diverged runs, so the rest is a biased sample.
        if diverged == 0 { shown((mean - expected) / error) } else { Cell::Null },
    ]
}
