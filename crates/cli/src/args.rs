//! The command line. Types only; what a verb does is in its file under `verb/`.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use trainer::own::Tasks;

mod export;
mod paths;

pub(crate) use export::{Export, ExportResults, ExportSchedule, ExportWeights, ResultsTo, Target};

const EXAMPLES: &str = "\
Examples:
  sweep experiments/mnist.yaml          train what is missing, then rank
  sweep plan experiments/mnist.yaml     what would be trained
  sweep query \"select * from ranking\"   ask the database
  sweep reproduce best                  train the best run again, compare its bits
  sweep lr --lr 0.1 --total 100 '{kind: cosine}'

Exit codes: 0 done, 1 something failed, 2 a mistake in the input, 130 interrupted";

/// Finds out which learning-rate schedule trains a model best.
///
/// `sweep FILE` is short for `sweep run FILE`.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Where the results are: a folder on a local disk, with the database DIR/sweep.db, or a PostgreSQL server, as in
    /// postgres://user@host/database; passwords are read from PGPASSWORD or ~/.pgpass
    #[arg(
        long, global = true, value_name = "DIR|URL", default_value = "runs", env = "SWEEP_STORE",
        hide_env_values = true, value_parser = paths::path().map(|path| store::Location::parse(path.into_os_string()))
    )]
    pub store: store::Location,
    /// Folder in which data sets are looked for first
    #[arg(long, global = true, value_name = "DIR", env = "SWEEP_DATA_DIR", value_parser = paths::path())]
    pub data_dir: Option<PathBuf>,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// The tasks that this program brings along
    #[arg(skip)]
    pub tasks: Tasks,
}

impl Global {
    /// Where what is learnt from is looked for.
    pub(crate) fn places(&self) -> orchestrator::Places<'_> {
        orchestrator::Places { data_dir: self.data_dir.as_deref(), tasks: &self.tasks }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Train what a sweep file asks for and is not stored yet, then rank
    Run(Run),
    /// Join the sweeps of a store and train for them, from any machine that reaches it
    Worker(Worker),
    /// Put the results of other stores into this one
    Merge(Merge),
    /// Hand a sweep to a cluster
    #[command(subcommand)]
    Submit(Submit),
    /// Cancel the Slurm jobs of a sweep
    Cancel(Cancel),
    /// Say what would be trained, and train nothing
    Plan(Plan),
    /// Look for mistakes in a sweep file
    Check(Check),
    /// Rank the schedules of a sweep
    Rank(Rank),
    /// Compare two schedules of a sweep
    Compare(Compare),
    /// Say what early-stopping rules would have saved and lost
    Audit(Audit),
    /// Work out the losses that a task with a closed form is expected to have
    Expect(Expect),
    /// Write a sweep's report: verdict, ranking, curves, warnings, as one page
    Report(Report),
    /// Show one trial
    Show(Show),
    /// Say how far each sweep is, what runs where, and what is stuck
    Status(Status),
    /// Remove a sweep or the results of trials from the store
    Rm(Rm),
    /// Remove files that no run needs any more
    Gc(Gc),
    /// Check machine, data, store and settings, and say what to mend
    Doctor(Doctor),
    /// Ask the database in SQL
    Query(Query),
    /// Show what the program of a trial has printed
    Logs(Logs),
    /// Train a stored trial again and compare every bit
    Reproduce(Reproduce),
    /// Print the learning rates of one schedule
    Lr(Lr),
    /// List the schedules, or show one with its formula, parameters and a plot
    Schedules(Schedules),
    /// Draw the learning rates of a sweep file or of one schedule
    Plot(Plot),
    /// Hand a schedule, results or trained weights to other programs
    #[command(subcommand)]
    Export(Export),
    /// Print the JSON Schema of the sweep file
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The sweep file (`-` reads it from standard input)
    #[arg(value_parser = paths::path())]
    pub file: PathBuf,
    /// Threads that train; with 0 this process only coordinates, and `sweep worker` processes train [default: one for
    /// each core]
    #[arg(long, short, value_name = "N", value_parser = whole(0..=usize::MAX))]
    pub workers: Option<usize>,
    /// Train only part I of N equal parts of the sweep, from 1/N to N/N, in a store of its own; `sweep merge` puts the parts
    /// together
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<crate::training::Shard>,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub warnings: Warnings,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Train for this sweep only [default: whichever has something to train, the one that was run last first]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    /// Threads that train [default: one for each core]
    #[arg(long, short, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// With nothing to train, wait so long for a sweep before leaving, as in 90s, 10m or 2h
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub wait: humantime::Duration,
    #[command(flatten)]
    pub training: Training,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// The stores to take results from: folders with a sweep.db, or servers
    #[arg(required = true, value_name = "SHARD", value_parser = paths::path().map(|path| store::Location::parse(path.into_os_string())))]
    pub shards: Vec<store::Location>,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Submit {
    /// Write and submit a Slurm job array that trains a sweep
    Slurm(Slurm),
}

/// What Slurm is asked for.
#[derive(Debug, Args)]
pub(crate) struct Slurm {
    /// The sweep file
    #[arg(value_parser = paths::path())]
    pub file: PathBuf,
    /// Tasks of the job array
    #[arg(long, value_name = "N", default_value = "4")]
    pub array: NonZeroUsize,
    /// Partition
    #[arg(long, short, value_name = "NAME")]
    pub partition: Option<String>,
    /// Time limit of a task, in a form that Slurm knows, as in 02:00:00; shortly before it the task writes its checkpoints
    /// and is requeued
    #[arg(long, short, value_name = "TIME")]
    pub time: Option<String>,
    /// GPUs of a task; trains with `--device cuda`
    #[arg(long, short = 'G', value_name = "N")]
    pub gpus: Option<NonZeroUsize>,
    /// Cores of a task, each with a worker
    #[arg(long, short, value_name = "N", default_value = "1")]
    pub cpus_per_task: NonZeroUsize,
    /// Memory of a task, in a form that Slurm knows, as in 4G
    #[arg(long, value_name = "SIZE")]
    pub mem: Option<String>,
    /// Account that is charged
    #[arg(long, short = 'A', value_name = "NAME")]
    pub account: Option<String>,
    /// Any other option of sbatch, as in --sbatch=--constraint=zen4; may be given several times
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
    /// Folder that all nodes see, for scripts, logs and the copies of shards [default: `slurm` in the store's folder; with a
    /// server runs/slurm]
    #[arg(long, value_name = "DIR", value_parser = paths::path())]
    pub shared: Option<PathBuf>,
    /// Train this share of the trials, 0 to 1, on two nodes and compare every bit
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub verify_fraction: f64,
    /// Print the scripts and submit nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Submit nothing unless the store has more results than this: what the merge of an earlier round passes on
    #[arg(long, value_name = "N", hide = true)]
    pub after: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// Name or file of the sweep
    pub sweep: String,
}

/// How trials are trained. No result depends on it.
#[derive(Debug, Args)]
pub(crate) struct Training {
    /// Trials that a thread trains in lock-step, at most; no result depends on it
    #[arg(long, value_name = "N", default_value = "8")]
    pub lanes: NonZeroUsize,
    /// Train each trial from its first step: share no steps between trials whose lrs agree so far
    #[arg(long)]
    pub no_share: bool,
    /// Memory that training may take, as in 4GiB; what it does not hold waits on disk [default: half of
    /// what is free]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<bytesize::ByteSize>,
    /// Where to train
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
    /// Seconds between the checkpoints of a trial
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole(0..=u64::MAX))]
    pub checkpoint_every: u64,
    /// Folder of the checkpoints; on a file system that all workers see, one goes on where another stopped [default:
    /// beside the database; with a server runs/checkpoints-HASH]
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = paths::path())]
    pub checkpoints: Option<PathBuf>,
    /// Seconds without a sign of life after which other processes take this one for dead, and take its trials over
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = whole(2..=2_592_000_u64))]
    pub lease: u64,
    /// A trial that takes longer than this for its own training fails, as in 90s, 10m or 2h
    #[arg(long, value_name = "DURATION")]
    pub time_limit: Option<humantime::Duration>,
    /// How often a trial that failed (a crash, an I/O error; never a divergence) is tried again
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(0..=u32::MAX))]
    pub retries: u32,
    /// Train this share of the finished trials, 0 to 1, once more on another machine than the one that trained them, and
    /// compare every bit
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub verify_fraction: f64,
}

/// What warnings are worth.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Warnings {
    /// Take warnings for mistakes: exit with 2 after any
    #[arg(long)]
    pub deny_warnings: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Device {
    /// The processor: one thread for each trial
    Cpu,
    /// The first NVIDIA GPU; needs a build with `--features cuda`
    Cuda,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The sweep file (`-` reads it from standard input)
    #[arg(value_parser = paths::path())]
    pub file: PathBuf,
    /// Threads that the estimate of time is for [default: one for each core]
    #[arg(long, short, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Count every trial from its first step, as `run --no-share` trains it
    #[arg(long)]
    pub no_share: bool,
    /// Train no steps for an estimate of time
    #[arg(long)]
    pub no_probe: bool,
    #[command(flatten)]
    pub warnings: Warnings,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The sweep files (`-` reads from standard input)
    #[arg(required = true, value_parser = paths::path())]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub warnings: Warnings,
}

#[derive(Debug, Args)]
pub(crate) struct Rank {
    /// Name or file of the sweep [default: the one that was run last]
    pub sweep: Option<String>,
    /// What gets a row
    #[arg(long, value_enum, default_value_t = By::Schedule)]
    pub by: By,
    #[command(flatten)]
    pub how: RankBy,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// A schedule
    pub a: String,
    /// Another one
    pub b: String,
    /// Name or file of the sweep [default: the one that was run last]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
    #[command(flatten)]
    pub how: RankBy,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// Name or file of the sweep [default: the one that was run last]
    pub sweep: Option<String>,
    /// Where to write it: a name ending in .html or .md [default: stdout]
    #[arg(long, short, value_name = "FILE", value_parser = paths::path())]
    pub output: Option<PathBuf>,
    /// Form of the page [default: what the file's name says, else html]
    #[arg(long, value_enum)]
    pub format: Option<Page>,
    #[command(flatten)]
    pub how: RankBy,
}

/// The forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Page {
    /// One file that opens offline
    Html,
    /// GitHub-flavoured Markdown
    Md,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Name or file of a sweep [default: all]
    pub sweep: Option<String>,
    /// List the processes that train instead of the sweeps
    #[arg(long)]
    pub processes: bool,
    /// List the Slurm jobs instead, with Slurm's states
    #[arg(long, conflicts_with = "processes")]
    pub jobs: bool,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// Name or file of the sweep; it is removed with the runs that no other sweep asks for
    #[arg(required_unless_present = "trial", conflicts_with = "trial")]
    pub sweep: Option<String>,
    /// Remove the results of these trials instead; each is named by the start of its id. Sweeps that ask for them train
    /// them again
    #[arg(long, num_args = 1.., value_name = "TRIAL")]
    pub trial: Vec<String>,
    /// Remove; without it this only prints what would be removed
    #[arg(long, short)]
    pub yes: bool,
    /// Folder of the checkpoints, as `run --checkpoints` has it
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = paths::path())]
    pub checkpoints_in: Option<PathBuf>,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// The checkpoints of unfinished trials too: these start over
    #[arg(long)]
    pub checkpoints: bool,
    /// Folder of the checkpoints, as `run --checkpoints` has it
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = paths::path())]
    pub checkpoints_in: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// Name or file of the sweep [default: the one that was run last]
    pub sweep: Option<String>,
    /// The runs of this length in steps [default: the longest]
    #[arg(long, value_name = "STEPS")]
    pub budget: Option<i64>,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Expect {
    /// The sweep file; its task is quadratic or power-law-regression (`-` reads from standard input)
    #[arg(value_parser = paths::path())]
    pub file: PathBuf,
    #[command(flatten)]
    pub format: FormatArg,
}

/// What a row of the ranking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// A schedule at its best config
    Schedule,
    /// A config over its seeds
    Config,
    /// A run
    Trial,
}

/// What schedules are ranked by.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RankBy {
    /// final (validation loss after the last step), best (the lowest that was seen), tail:N (mean train loss of the last N
    /// steps), test_loss or accuracy (of test images: they judge, and the final loss still chooses)
    #[arg(long, default_value_t = Metric::Final, value_parser = metric)]
    pub metric: Metric,
    /// Rank the runs of this length in steps [default: the longest]
    #[arg(long, value_name = "STEPS")]
    pub budget: Option<i64>,
    /// Differences up to this count as none: schedules within it are called equivalent
    #[arg(long, value_name = "DIFFERENCE", value_parser = rope)]
    pub rope: Option<f64>,
}

impl RankBy {
    /// Whether anything of it was said.
    pub(crate) fn is_given(&self) -> bool {
        self.metric != Metric::Final || self.budget.is_some() || self.rope.is_some()
    }
}

/// What runs are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Final,
    Best,
    /// Over so many steps.
    Tail(u32),
    TestLoss,
    Accuracy,
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Metric::Final => write!(f, "final"),
            Metric::Best => write!(f, "best"),
            Metric::Tail(steps) => write!(f, "tail:{steps}"),
            Metric::TestLoss => write!(f, "test_loss"),
            Metric::Accuracy => write!(f, "accuracy"),
        }
    }
}

fn metric(text: &str) -> Result<Metric, String> {
    let tail = text.strip_prefix("tail:").and_then(|steps| whole(1..=u32::MAX)(steps).ok());
    match (text, tail) {
        ("final", _) => Ok(Metric::Final),
        ("best", _) => Ok(Metric::Best),
        ("test_loss", _) => Ok(Metric::TestLoss),
        ("accuracy", _) => Ok(Metric::Accuracy),
        (_, Some(steps)) => Ok(Metric::Tail(steps)),
        _ => Err("expected final, best, tail:N (as in tail:50), test_loss or accuracy".to_owned()),
    }
}

fn shard(text: &str) -> Result<crate::training::Shard, String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    let shard = parts.filter(|(number, of)| (1..=*of).contains(number) && *of <= 1_000_000);
    let shard = shard.map(|(number, of)| crate::training::Shard { number, of });
    shard.ok_or_else(|| "expected I/N with I from 1 to N, as in 2/4".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
    number.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn rope(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|rope: &f64| rope.is_finite() && *rope > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    pub which: Which,
    /// Print its steps (lr, losses, gradient norm) instead
    #[arg(long)]
    pub metrics: bool,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Query {
    /// One SELECT statement, as in "select * from ranking"
    pub sql: String,
    #[command(flatten)]
    pub format: FormatArg,
}

/// Names a stored trial.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// The trial: the start of its id, or `best`
    pub trial: String,
    /// The sweep that `best` belongs to [default: the one that was run last]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Reproduce {
    #[command(flatten)]
    pub which: Which,
    /// Where to train
    #[arg(long, value_enum, default_value_t = Device::Cpu)]
    pub device: Device,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub which: Which,
    /// Only the last lines
    #[arg(long, short = 'n', value_name = "N", value_parser = whole(0..=usize::MAX))]
    pub tail: Option<usize>,
    /// Go on with what is added, until the trial has ended
    #[arg(long, short)]
    pub follow: bool,
    /// Folder of the checkpoints, as `run --checkpoints` has it: logs are kept beside
    #[arg(long, value_name = "DIR", env = "SWEEP_CHECKPOINTS", value_parser = paths::path())]
    pub checkpoints: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Lr {
    /// A schedule, or {lr: ..., schedule: ...}, as in '{kind: cosine}', or a call pasted from a Python program, as in
    /// 'torch.OneCycleLR(max_lr=0.1, total_steps=100)' (`-` reads standard input)
    #[arg(allow_hyphen_values = true)]
    pub schedule: String,
    /// The base lr, `1x`; goes before the document's own `lr`, or that of a pasted optimizer [default: 1]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Length of the run in steps [default: what the schedule states, as by total_steps or T_max]
    #[arg(long, value_name = "T", value_parser = whole(1..=u64::MAX))]
    pub total: Option<u64>,
    /// How many values to print, from step 0; may go beyond the run [default: T]
    #[arg(long, value_name = "N", value_parser = whole(0..=u64::MAX))]
    pub steps: Option<u64>,
    /// Steps in an epoch
    #[arg(long, value_name = "M", value_parser = whole(1..=u64::MAX))]
    pub steps_per_epoch: Option<u64>,
    /// JSON array: the metric seen after each step, for schedules that watch the loss
    #[arg(long, value_name = "FILE.json", value_parser = paths::path())]
    pub metrics: Option<PathBuf>,
    /// JSON object with `grads`, `params` (one array a step), `losses` or `noise` (one number a step), for
    /// schedules that watch gradients and for `noise`
    #[arg(long, value_name = "FILE.json", value_parser = paths::path())]
    pub inputs: Option<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = LrFormat::Csv)]
    pub format: LrFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LrFormat {
    /// Columns step, lr and, where it is cycled, momentum
    Csv,
    /// {"lr": [...], "momentum": [...] or null}
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Schedules {
    /// A kind, combinator or preset, also by the name that another library has for it
    pub name: Option<String>,
    #[command(flatten)]
    pub format: FormatArg,
}

#[derive(Debug, Args)]
pub(crate) struct Plot {
    /// A sweep file, or a schedule as in '{kind: cosine}' (`-` reads standard input); with --figure name or file
    /// of a stored sweep [default: the one that was run last]
    #[arg(
        value_name = "FILE|SCHEDULE|SWEEP",
        allow_hyphen_values = true,
        required_unless_present = "figure"
    )]
    pub what: Option<String>,
    /// Draw this figure of a stored sweep's report instead of lr curves
    #[arg(long, value_enum, conflicts_with_all = ["scale", "log", "select", "lr", "total", "steps_per_epoch"])]
    pub figure: Option<Figure>,
    /// Where to write the picture: a name ending in .svg or .png [default: draw it on the terminal]
    #[arg(long, short, value_name = "FILE", value_parser = paths::path())]
    pub output: Option<PathBuf>,
    /// Scale of the lr axis
    #[arg(long, value_enum, default_value_t = AxisScale::Linear, overrides_with = "log")]
    pub scale: AxisScale,
    /// Short for --scale log
    #[arg(long, overrides_with = "scale")]
    pub log: bool,
    /// Width and height of the picture in pixels, as in 960x540 [default: as large as it needs]
    #[arg(long, value_name = "WxH", value_parser = size)]
    pub size: Option<report::plot::Size>,
    /// Only these schedules of the sweep file, as in cosine,wsd
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub select: Vec<String>,
    /// The base lr, `1x` [default: the middle one of the sweep file; for a schedule its document's `lr`, or 1]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Length of the run in steps; needed for a schedule, a sweep file has its own
    #[arg(long, value_name = "T", value_parser = whole(1..=u64::MAX))]
    pub total: Option<u64>,
    /// Steps in an epoch; a sweep file has its own
    #[arg(long, value_name = "M", value_parser = whole(1..=u64::MAX))]
    pub steps_per_epoch: Option<u64>,
    #[command(flatten)]
    pub how: RankBy,
}

/// The figures of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Figure {
    /// Paired differences to the first schedule, with their 95 % intervals
    Forest,
    /// Loss over the run, mean and band over seeds, with the lrs below
    Curves,
    /// The metric over each schedule's lr grid
    Sensitivity,
    /// The metric over the lengths of the run
    Budgets,
}

impl From<Figure> for report::figure::Figure {
    fn from(figure: Figure) -> Self {
        match figure {
            Figure::Forest => Self::Forest,
            Figure::Curves => Self::Curves,
            Figure::Sensitivity => Self::Sensitivity,
            Figure::Budgets => Self::Budgets,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AxisScale {
    /// From 0
    Linear,
    /// Powers of ten; what is 0 lies below it
    Log,
}

/// A whole number in a range, as in 1000 or 1e3.
fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: Copy + PartialOrd + std::fmt::Display + std::str::FromStr + TryFrom<u64>,
{
    move |text| {
        let number = text.parse().ok().or_else(|| {
            // Up to here every whole number is a float.
            let exact = |x: &f64| x.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(x);
            text.parse::<f64>().ok().filter(exact).and_then(|x| T::try_from(x as u64).ok())
        });
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            format!("expected a whole number from {} to {}, as in 1000 or 1e3", range.start(), range.end())
        })
    }
}

/// A size as in `960x540`.
fn size(text: &str) -> Result<report::plot::Size, String> {
    let sizes = report::plot::SIZES;
    let side = |text: &str| text.parse::<u32>().ok().filter(|side| sizes.contains(side));
    let both = text.split_once(['x', 'X']).and_then(|(width, height)| Some((side(width)?, side(height)?)));
    both.map(|(width, height)| report::plot::Size { width, height }).ok_or_else(|| {
        format!(
            "expected width x height in pixels, each from {} to {}, as in 960x540",
            sizes.start(),
            sizes.end()
        )
    })
}

#[derive(Debug, Args)]
pub(crate) struct FormatArg {
    /// Form of the rows on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// An array of objects
    Json,
    /// With a header line
    Csv,
}

impl From<&FormatArg> for report::Format {
    fn from(arg: &FormatArg) -> Self {
        match arg.format {
            Format::Table => report::Format::Table,
            Format::Json => report::Format::Json,
            Format::Csv => report::Format::Csv,
        }
    }
}

/// Names of all verbs.
pub(crate) fn verbs() -> Vec<String> {
    let names = |verb: &clap::Command| verb.get_name().to_owned();
    Cli::command().get_subcommands().map(names).chain(["help".to_owned()]).collect()
}

/// Reads the command line; prints help, version or what is wrong with it, and exits, where that is due.
pub(crate) fn parse() -> Cli {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if is_short_for_run(&words) {
        words.insert(1, OsString::from("run"));
    }
    Cli::parse_from(words)
}

/// Options of every verb that take a value in the next word.
const WITH_VALUE: [&str; 2] = ["--store", "--data-dir"];

/// `sweep FILE` leaves out the verb: the first word that is no option is not the name of one.
fn is_short_for_run(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1).map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word {
            Some(option) if WITH_VALUE.contains(&option) => {
                words.next();
            }
            Some(option) if option.starts_with('-') && option != "-" => {}
            Some(word) => return !verbs().iter().any(|verb| verb == word),
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_may_be_left_out() {
        let short = |line: &str| is_short_for_run(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "sweep a.yaml",
            "sweep --store run a.yaml",
            "sweep -q a.yaml --workers 2",
            "sweep -",
            "sweep rnak",
        ] {
            assert!(short(line), "{line}");
        }
        for line in [
            "sweep run a.yaml",
            "sweep",
            "sweep --help",
            "sweep -V",
            "sweep --store x rank",
            "sweep help run",
        ] {
            assert!(!short(line), "{line}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
