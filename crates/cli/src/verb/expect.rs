//! `sweep expect`: the expected losses of a task with a closed form, beside what was trained.

use std::collections::HashMap;
use std::path::Path;

use report::{Cell, Format, Rows};
use spec::trial::Trial;
use store::{Reader, StoreError};

use crate::args::{Expect, Global, Warnings};
use crate::exit::{Failure, Outcome, print};
use crate::input::sweep_file;
use crate::stored::{open, wait_for};

/// A config, and the trials of it.
struct Config<'a> {
    first: &'a Trial,
    trials: Vec<&'a str>,
}

pub(crate) fn run(args: &Expect, global: &Global) -> Outcome {
    let (_, plan) = sweep_file(Path::new(&args.file), Warnings::default(), true, global)?;
    let mut configs: Vec<Config<'_>> = Vec::new();
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    for cell in &plan.cells {
        let Some(trial) = plan.trials.get(cell.trial) else { continue };
        // A run that two schedules ask for is told of under both names.
        let at = *known.entry((cell.schedule.as_str(), trial.config.id.as_str())).or_insert_with(|| {
            configs.push(Config { first: trial, trials: Vec::new() });
            configs.len() - 1
        });
        if let Some(config) = configs.get_mut(at) {
            config.trials.push(&trial.id);
        }
    }
    let names: HashMap<usize, &str> = known.iter().map(|((name, _), at)| (*at, *name)).collect();
    let trained = wait_for(trained(&plan.name, global))?;
    let mut rows = Vec::new();
    for (at, config) in configs.iter().enumerate() {
        let name = names.get(&at).copied().unwrap_or_default();
        let expected = trainer::expected::losses(config.first)
            .map_err(|error| Failure::usage(format_args!("{}: {name}: {error}", args.file.display())))?;
        let expected = expected.last().map_or(f64::NAN, |(_, loss)| *loss);
        let losses: Vec<f64> = config.trials.iter().filter_map(|id| trained.get(*id).copied()).collect();
        rows.push((expected, row(name, config.first, expected, &losses)));
    }
    rows.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut table = Rows::new([
        "schedule",
        "base_lr",
        "steps",
        "axes",
        "expected",
        "runs",
        "mean",
        "standard_error",
        "z",
    ]);
    table.rows = rows.into_iter().map(|(_, row)| row).collect();
    print(&table.render(Format::from(&args.format)))
}

/// The final losses in the store; none where there is no store yet.
async fn trained(sweep: &str, global: &Global) -> Result<HashMap<String, f64>, Failure> {
    match Reader::open(&global.store).await {
        Err(StoreError::Missing { .. }) => return Ok(HashMap::new()),
        Err(error) => return Err(error.into()),
        Ok(_) => {}
    }
    let rows = open(global).await?.results(sweep).await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.trial_id, row.final_valid_loss?))).collect())
}

fn row(name: &str, trial: &Trial, expected: f64, losses: &[f64]) -> Vec<Cell> {
    let n = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / n;
    let squares: f64 = losses.iter().map(|loss| (loss - mean) * (loss - mean)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    let shown = |x: f64| if x.is_finite() { Cell::Real(x) } else { Cell::Null };
    let axes: Vec<String> = trial.config.axes.iter().map(|(path, value)| format!("{path} {value}")).collect();
    vec![
        Cell::Text(name.to_owned()),
        Cell::Real(trial.config.base_lr),
        Cell::Integer(i64::try_from(trial.config.task.steps).unwrap_or(i64::MAX)),
        Cell::Text(axes.join(", ")),
        shown(expected),
        Cell::Integer(i64::try_from(losses.len()).unwrap_or(i64::MAX)),
        shown(mean),
        shown(error),
        shown((mean - expected) / error),
    ]
}
