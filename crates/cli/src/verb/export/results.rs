//! `sweep export results`: the runs of a sweep, or their steps, as tables or TensorBoard event files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use dashboard::exported::{self, Column, Kind};
use report::Cell;
use spec::record::TrialRecord;
use store::{MetricRow, Reader};
use sweep::lookup::sweep;
use sweep::stored::open;
use sweep::wait_for;

use super::pages::each_page;
use super::table::{Form, Table};
use super::tensorboard;
use crate::args::path;
use crate::exit::{Failure, Outcome};
use crate::global::Global;
use crate::input::unknown_schedule;
use crate::measured::Measured;

pub(super) const EXAMPLES: &str = "\
Examples:
  sweep export results --to csv > runs.csv                    one row per run
  sweep export results mnist --to parquet --metrics -o steps.parquet
  sweep export results mnist --schedule cosine --to csv --metrics
  sweep export results --to tensorboard -o logs && tensorboard --logdir logs";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or file of the sweep [default: the most recent sweep]
    pub sweep: Option<String>,
    /// Export only the runs of this schedule
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<String>,
    /// Format to write
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: ResultsTo,
    /// File to write [default: stdout]; for tensorboard, the folder to create
    #[arg(long, short, value_name = "PATH", value_parser = path())]
    pub output: Option<PathBuf>,
    /// Write one row per step instead of one per run
    #[arg(long)]
    pub metrics: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ResultsTo {
    /// CSV with a header line
    Csv,
    /// One JSON object per line; NaN and infinity are null
    Jsonl,
    /// Apache Parquet; needs a build with `--features parquet`
    Parquet,
    /// A folder of event files, with data for the HPARAMS tab
    Tensorboard,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let form = match args.to {
        ResultsTo::Csv => Form::Csv,
        ResultsTo::Jsonl => Form::Jsonl,
        ResultsTo::Parquet => Form::Parquet,
        ResultsTo::Tensorboard => return event_files(args, global),
    };
    wait_for(async {
        let (mut reader, name, runs) = read(args, global).await?;
        if args.metrics {
            let names = reader.metric_names(&name).await?;
            steps(&mut reader, (&runs, &names), form, args).await
        } else {
            results(&runs, form, args)
        }
    })
}

fn event_files(args: &Args, global: &Global) -> Outcome {
    let Some(dir) = &args.output else {
        return Err(Failure::usage("TensorBoard reads a folder: give one with -o DIR"));
    };
    if args.metrics {
        return Err(Failure::usage("--metrics is for tables: event files always contain every step"));
    }
    wait_for(async {
        let (mut reader, name, runs) = read(args, global).await?;
        tensorboard::write(&mut reader, &name, &runs, dir).await
    })
}

/// A snapshot of the database, and name and runs of the sweep: those of one schedule if the arguments name it.
async fn read(args: &Args, global: &Global) -> Result<(Reader, String, Vec<TrialRecord>), Failure> {
    let mut reader = open(&global.context).await?;
    reader.hold_snapshot().await?;
    let name = sweep(&mut reader, args.sweep.as_deref(), &global.context).await?;
    let mut runs = reader.runs(&name).await?;
    if let Some(schedule) = &args.schedule {
        if !runs.iter().any(|run| run.schedule == *schedule) {
            let names: BTreeSet<&str> = runs.iter().map(|run| run.schedule.as_str()).collect();
            return Err(unknown_schedule(schedule, &name, names));
        }
        runs.retain(|run| run.schedule == *schedule);
    }
    Ok((reader, name, runs))
}

fn results(runs: &[TrialRecord], form: Form, args: &Args) -> Outcome {
    let (columns, rows) = exported::table(runs);
    let mut table = Table::open(form, args.output.as_deref(), &columns)?;
    table.write(rows)?;
    table.finish()
}

/// The columns of a step.
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

/// One row per step. `names` are the metrics of the sweep other than losses.
async fn steps(
    reader: &mut Reader,
    (runs, names): (&[TrialRecord], &[String]),
    form: Form,
    args: &Args,
) -> Outcome {
    let own = names.iter().map(|name| (name.clone(), Kind::Real));
    let columns: Vec<Column> =
        STEP_COLUMNS.into_iter().map(|(name, kind)| (name.to_owned(), kind)).chain(own).collect();
    let mut table = Table::open(form, args.output.as_deref(), &columns)?;
    for run in runs {
        let measured = Measured::read(reader, &run.trial_id).await?;
        let cells = |step: &MetricRow| {
            let (train_loss, grad_norm) = step.reported(run.diverged_at);
            let known: [Cell; 10] = [
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
            ];
            known.into_iter().chain(measured.cells(step.step, names)).collect()
        };
        each_page(reader, &run.trial_id, |page| table.write(page.iter().map(cells).collect())).await?;
    }
    table.finish()
}
