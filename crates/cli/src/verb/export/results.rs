//! `sweep export results`: the runs of a sweep, or their steps, as tables and event files of other programs.

use spec::record::{self, COLUMNS, Column, Output, TrialRecord};
use store::{MetricRow, Reader};

use super::axes;
use super::table::{self, Form, Kind, Table};
use super::tensorboard;
use crate::args::{ExportResults, Global, ResultsTo};
use crate::column::cell;
use crate::exit::{Failure, Outcome};
use crate::stored::{open, sweep, wait_for};

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
async fn read(args: &ExportResults, global: &Global) -> Result<(Reader, String, Vec<TrialRecord>), Failure> {
    let mut reader = open(global).await?;
    reader.hold().await?;
    let name = sweep(&mut reader, args.sweep.as_deref(), global).await?;
    let runs = reader.runs(&name).await?;
    Ok((reader, name, runs))
}

fn results(runs: &[TrialRecord], form: Form, args: &ExportResults) -> Outcome {
    let axes = axes::of(runs);
    let exported: Vec<_> = exported().collect();
    let mut columns: Vec<table::Column> =
        exported.iter().map(|column| (column.name.to_owned(), kind(column))).collect();
    columns.extend(axes.iter().map(|axis| (format!("axis:{}", axis.path), axis.kind)));
    let mut table = Table::open(form, args.output.as_deref(), &columns)?;
    let row = |run: &TrialRecord| {
        exported
            .iter()
            .map(|column| cell(column, run))
            .chain(axes.iter().map(|axis| axis.cell(run)))
            .collect()
    };
    table.write(runs.iter().map(row).collect())?;
    table.finish()
}

/// What is exported of each run, before its axes: fingerprints last.
pub(crate) fn exported() -> impl Iterator<Item = &'static Column<TrialRecord>> {
    let with = |output| COLUMNS.iter().filter(move |column| column.output == output);
    with(Output::Export).chain(with(Output::Fingerprint))
}

/// What an exported column holds.
fn kind(column: &Column<TrialRecord>) -> Kind {
    match column.kind {
        record::Kind::Integer => Kind::Integer,
        record::Kind::Real => Kind::Real,
        _ => Kind::Text,
    }
}

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

async fn steps(reader: &mut Reader, runs: &[TrialRecord], form: Form, args: &ExportResults) -> Outcome {
    let columns: Vec<table::Column> = STEP_COLUMNS.map(|(name, kind)| (name.to_owned(), kind)).to_vec();
    let mut table = Table::open(form, args.output.as_deref(), &columns)?;
    for run in runs {
        let cells = |step: &MetricRow| {
            let (train_loss, grad_norm) = step.known(run.diverged_at);
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
