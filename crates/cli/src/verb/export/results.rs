//! `sweep export results`: the runs of a sweep, or their steps, as tables and event files of other programs.

use report::Cell;
use store::{MetricRow, Reader, SweepRun};

use super::axes::{self, Axis};
use super::table::{Column, Form, Kind, Table};
use super::tensorboard;
use crate::args::{ExportResults, Global, ResultsTo};
use crate::exit::{Failure, Outcome};
use crate::stored::{open, sweep, utc, wait_for};

/// Steps that are in memory at a time.
const PAGE: u64 = 4096;

pub(crate) fn run(args: &ExportResults, global: &Global) -> Outcome {
    let form = match args.to {
        ResultsTo::Csv => Form::Csv,
        ResultsTo::Jsonl => Form::Jsonl,
        ResultsTo::Parquet => Form::Parquet,
        ResultsTo::Tensorboard => return event_files(args, global),
    };
    wait_for(async {
        let (mut reader, _, runs) = read(args, global).await?;
        if args.metrics { steps(&mut reader, &runs, form, args).await } else { results(&runs, form, args) }
    })
}

fn event_files(args: &ExportResults, global: &Global) -> Outcome {
    let Some(dir) = &args.output else {
        return Err(Failure::usage("TensorBoard reads a folder: name the one to make with -o DIR"));
    };
    if args.metrics {
        return Err(Failure::usage("--metrics is for tables: event files hold every step anyhow"));
    }
    wait_for(async {
        let (mut reader, name, runs) = read(args, global).await?;
        tensorboard::write(&mut reader, &name, &runs, dir).await
    })
}

/// The database as it is at this moment, name and runs of the sweep.
async fn read(args: &ExportResults, global: &Global) -> Result<(Reader, String, Vec<SweepRun>), Failure> {
    let mut reader = open(global).await?;
    reader.hold().await?;
    let name = sweep(&mut reader, args.sweep.as_deref(), global).await?;
    let runs = reader.runs(&name).await?;
    Ok((reader, name, runs))
}

fn results(runs: &[SweepRun], form: Form, args: &ExportResults) -> Outcome {
    let axes = axes::of(runs);
    let mut columns: Vec<Column> = COLUMNS.map(|(name, kind, _)| (name.to_owned(), kind)).to_vec();
    columns.extend(axes.iter().map(|axis| (format!("axis:{}", axis.path), axis.kind)));
    let mut table = Table::open(form, args.output.as_deref(), &columns)?;
    table.write(runs.iter().map(|run| row(run, &axes)).collect())?;
    table.finish()
}

fn row(run: &SweepRun, axes: &[Axis]) -> Vec<Cell> {
    COLUMNS.iter().map(|(_, _, cell)| cell(run)).chain(axes.iter().map(|axis| axis.cell(run))).collect()
}

type Get = fn(&SweepRun) -> Cell;

/// What is said of each run, before its axes.
const COLUMNS: [(&str, Kind, Get); 19] = [
    ("schedule", Kind::Text, |run| run.schedule.as_str().into()),
    ("config_id", Kind::Text, |run| run.config_id.as_str().into()),
    ("base_lr", Kind::Real, |run| run.base_lr.into()),
    ("seed", Kind::Integer, |run| run.seed.into()),
    ("purpose", Kind::Text, |run| run.purpose.as_str().into()),
    ("status", Kind::Text, |run| run.status.name().into()),
    ("steps", Kind::Integer, |run| run.steps.into()),
    ("steps_done", Kind::Integer, |run| run.steps_done.into()),
    ("final_train_loss", Kind::Real, |run| run.final_train_loss.into()),
    ("final_valid_loss", Kind::Real, |run| run.final_valid_loss.into()),
    ("valid_accuracy", Kind::Real, |run| run.valid_accuracy.into()),
    ("test_loss", Kind::Real, |run| run.test_loss.into()),
    ("test_accuracy", Kind::Real, |run| run.test_accuracy.into()),
    ("diverged_at", Kind::Integer, |run| run.diverged_at.into()),
    ("started_at", Kind::Text, |run| run.started_at.map(utc).into()),
    ("finished_at", Kind::Text, |run| run.finished_at.map(utc).into()),
    ("trial_id", Kind::Text, |run| run.trial_id.as_str().into()),
    ("digest", Kind::Text, |run| run.digest.as_deref().into()),
    ("weights_hash", Kind::Text, |run| run.weights_hash.as_deref().into()),
];

/// What is said of each step.
const STEP_COLUMNS: [(&str, Kind); 10] = [
    ("schedule", Kind::Text),
    ("config_id", Kind::Text),
    ("base_lr", Kind::Real),
    ("seed", Kind::Integer),
    ("trial_id", Kind::Text),
    ("step", Kind::Integer),
    ("lr", Kind::Real),
    ("train_loss", Kind::Real),
    ("valid_loss", Kind::Real),
    ("grad_norm", Kind::Real),
];

async fn steps(reader: &mut Reader, runs: &[SweepRun], form: Form, args: &ExportResults) -> Outcome {
    let columns: Vec<Column> = STEP_COLUMNS.map(|(name, kind)| (name.to_owned(), kind)).to_vec();
    let mut table = Table::open(form, args.output.as_deref(), &columns)?;
    for run in runs {
        let cells = |step: &MetricRow| {
            let (train_loss, grad_norm) = step.known(run.diverged_at.map(i64::unsigned_abs));
            vec![
                run.schedule.as_str().into(),
                run.config_id.as_str().into(),
                run.base_lr.into(),
                run.seed.into(),
                run.trial_id.as_str().into(),
                step.step.into(),
                step.lr.into(),
                train_loss.into(),
                step.valid_loss.into(),
                grad_norm.into(),
            ]
        };
        each_page(reader, &run.trial_id, |page| table.write(page.iter().map(cells).collect())).await?;
    }
    table.finish()
}

/// The steps of a trial, some at a time.
pub(crate) async fn each_page(
    reader: &mut Reader,
    trial_id: &str,
    mut each: impl FnMut(&[MetricRow]) -> Outcome,
) -> Outcome {
    let mut first = 0;
    loop {
        let page = reader.steps_within(trial_id, first..first + PAGE).await?;
        if page.is_empty() {
            return Ok(());
        }
        each(&page)?;
        first += PAGE;
    }
}
