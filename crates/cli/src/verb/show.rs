//! `sweep show`: prints one trial, or its steps.

use std::path::PathBuf;

use report::{Cell, Format, Rows};
use spec::record::{COLUMNS, Column, ENVIRONMENT_COLUMNS, Kind, Output, Source, TrialRecord};
use sweep::named_trial::trial;
use sweep::stored::open;
use sweep::{outputs, wait_for};

use crate::args::{FormatArg, TrialArg, path};
use crate::exit::{Failure, Outcome, print};
use crate::global::Global;
use crate::measured::Measured;
use dashboard::exported::cell;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub which: TrialArg,
    /// Print the steps (lr, losses, gradient norm, other metrics) instead
    #[arg(long)]
    pub metrics: bool,
    /// Folder of the checkpoints, as given to `run --checkpoints`; outputs are next to it
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = path())]
    pub checkpoints: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArg,
}

pub(crate) fn run(args: &Args, global: &Global) -> Outcome {
    let (row, steps, measured) = wait_for(async {
        let mut reader = open(&global.context).await?;
        let row = trial(&mut reader, &args.which.named(), &global.context).await?;
        let id = &row.trial_id;
        let steps = if args.metrics { reader.steps(id).await? } else { Vec::new() };
        let measured =
            if args.metrics { Measured::read(&mut reader, id).await? } else { Measured::default() };
        Ok::<_, Failure>((row, steps, measured))
    })?;
    let format = Format::from(&args.format);
    if args.metrics {
        let names = measured.names();
        let columns = ["step", "lr", "train_loss", "valid_loss", "grad_norm"];
        let mut rows = Rows::new(columns.into_iter().chain(names.iter().map(String::as_str)));
        for step in steps {
            let (train_loss, grad_norm) = step.reported(row.diverged_at);
            let losses = [
                step.step.into(),
                step.lr.into(),
                train_loss.into(),
                step.valid_loss.into(),
                grad_norm.into(),
            ];
            rows.rows.push(losses.into_iter().chain(measured.cells(step.step, &names)).collect());
        }
        return print(&rows.render(format));
    }
    let mut fields = fields(&row);
    let kept = outputs::folder(&row, args.checkpoints.as_deref(), &global.context).ok();
    fields.push(("outputs", kept.map(|folder| folder.display().to_string()).into()));
    let rows = match format {
        // One field per line, for readers.
        Format::Table => {
            let known = fields.into_iter().filter(|(_, value)| *value != Cell::Null);
            let rows =
                known.map(|(name, value)| vec![name.into(), Cell::Text(shown(name, &value))]).collect();
            Rows { columns: vec!["field".to_owned(), "value".to_owned()], rows, ..Rows::default() }
        }
        Format::Json | Format::Csv => {
            let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
            Rows {
                columns: names.into_iter().map(str::to_owned).collect(),
                rows: vec![values],
                ..Rows::default()
            }
        }
    };
    print(&rows.render(format))
}

/// The base lr is exact here, to be copied into a query or a sweep file.
fn shown(name: &str, value: &Cell) -> String {
    match value {
        Cell::Real(x) if name == "base_lr" => report::exact_lr(*x),
        other => other.plain(),
    }
}

fn fields(row: &TrialRecord) -> Vec<(&'static str, Cell)> {
    let shown =
        COLUMNS.iter().filter(|column| column.output != Output::Database && column.source != Source::Cell);
    // The configuration is long, so it is last.
    let (long, short): (Vec<_>, Vec<_>) = shown.partition(|column| column.kind == Kind::Json);
    let of_trial = |column: &Column<TrialRecord>| (column.name, cell(column, row));
    let environment = ENVIRONMENT_COLUMNS.iter().map(|column| {
        (column.name, row.environment.as_deref().map_or(Cell::Null, |environment| cell(column, environment)))
    });
    short.into_iter().map(of_trial).chain(environment).chain(long.into_iter().map(of_trial)).collect()
}
