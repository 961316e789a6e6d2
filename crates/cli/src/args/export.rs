//! The arguments of `sweep export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Device, Which};

#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    /// Print a program that gives the same learning rates, or the rates themselves
    #[command(after_help = SCHEDULE_EXAMPLES)]
    Schedule(ExportSchedule),
    /// Write the results of a sweep for pandas, DuckDB, a spreadsheet, or TensorBoard
    #[command(after_help = RESULTS_EXAMPLES)]
    Results(ExportResults),
    /// Train a stored trial again and write its final weights, as PyTorch names and shapes them
    Weights(ExportWeights),
}

const SCHEDULE_EXAMPLES: &str = "\
Examples:
  sweep export schedule best --to pytorch                     the schedule of the best trial
  sweep export schedule mnist.yaml:cosine --to keras --lr 0.1
  sweep export schedule '{kind: cosine}' --to optax --lr 0.1 --total 1000

Exit codes: 0 done, 1 the library has no counterpart, 2 a mistake in the input";

#[derive(Debug, Args)]
pub(crate) struct ExportSchedule {
    /// A trial (the start of its id, or `best`), FILE:NAME for a schedule of a sweep file, or a schedule as
    /// `sweep lr` takes it
    #[arg(value_name = "WHAT")]
    pub what: String,
    /// What to print
    #[arg(long, value_enum, value_name = "TARGET")]
    pub to: Target,
    /// Write it to this file instead of stdout
    #[arg(long, short, value_name = "FILE", value_parser = super::paths::path())]
    pub output: Option<PathBuf>,
    /// The sweep that `best` belongs to [default: the one that was run last]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// The base lr: which one of a sweep file's, or `1x` of a schedule [default there: 1]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Which variant, where a sweep file's schedule has several: the start of its config's id
    #[arg(long, value_name = "ID")]
    pub config: Option<String>,
    /// Length of the run in steps, for a schedule
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u64).range(1..))]
    pub total: Option<u64>,
    /// Steps in an epoch, for a schedule
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps_per_epoch: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    /// Columns step, lr and, where it is cycled, momentum
    Csv,
    /// {"lr": [...], "momentum": [...] or null}
    Json,
}

const RESULTS_EXAMPLES: &str = "\
Examples:
  sweep export results --to csv > runs.csv                    a row for each run
  sweep export results mnist --to parquet --metrics -o steps.parquet
  sweep export results --to tensorboard -o logs && tensorboard --logdir logs";

#[derive(Debug, Args)]
pub(crate) struct ExportResults {
    /// Name or file of the sweep [default: the one that was run last]
    pub sweep: Option<String>,
    /// What to write
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: ResultsTo,
    /// Write to this file instead of stdout; the folder to make, for tensorboard
    #[arg(long, short, value_name = "PATH", value_parser = super::paths::path())]
    pub output: Option<PathBuf>,
    /// A row for each step instead of one for each run
    #[arg(long)]
    pub metrics: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultsTo {
    /// With a header line
    Csv,
    /// A JSON object a line; what is no finite number is null
    Jsonl,
    /// Apache Parquet; needs a build with `--features parquet`
    Parquet,
    /// A folder of event files, with the data of its HPARAMS tab
    Tensorboard,
}

#[derive(Debug, Args)]
pub(crate) struct ExportWeights {
    #[command(flatten)]
    pub which: Which,
    /// The file to write
    #[arg(long, short, value_name = "FILE.safetensors", value_parser = super::paths::path())]
    pub output: PathBuf,
    /// Write the optimiser's state too, for `init_from: {file: FILE, optimizer: keep}`
    #[arg(long)]
    pub optimizer: bool,
    /// Where to train
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
}
