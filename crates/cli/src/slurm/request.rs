//! The arguments of `sweep submit slurm`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{fraction, path};

/// See the module.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// Sweep file
    #[arg(value_parser = path())]
    pub file: PathBuf,
    /// Number of tasks in the job array
    #[arg(long, value_name = "N", default_value = "4")]
    pub array: NonZeroUsize,
    /// Partition
    #[arg(long, short, value_name = "NAME")]
    pub partition: Option<String>,
    /// Time limit of a task in a format of Slurm, as in 02:00:00; shortly before the limit the task writes its checkpoints and
    /// is requeued
    #[arg(long, short, value_name = "TIME")]
    pub time: Option<String>,
    /// GPUs per task; trains with `--device cuda`
    #[arg(long, short = 'G', value_name = "N")]
    pub gpus: Option<NonZeroUsize>,
    /// Cores per task, each with one worker
    #[arg(long, short, value_name = "N", default_value = "1")]
    pub cpus_per_task: NonZeroUsize,
    /// Memory per task in a format of Slurm, as in 4G
    #[arg(long, value_name = "SIZE")]
    pub mem: Option<String>,
    /// Account to charge
    #[arg(long, short = 'A', value_name = "NAME")]
    pub account: Option<String>,
    /// Another option of sbatch, as in --sbatch=--constraint=zen4; may be repeated
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
    /// Shared folder for scripts, logs and copies of the shards [default: `slurm` in the store's folder; with a server
    /// runs/slurm]
    #[arg(long, value_name = "DIR", value_parser = path())]
    pub shared: Option<PathBuf>,
    /// Fraction (0 to 1) of the trials to train on two nodes, to compare every bit
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, value_parser = fraction)]
    pub verify_fraction: f64,
    /// Print the scripts without submitting them
    #[arg(long)]
    pub dry_run: bool,
    /// Submit only if the store has more results than this. Passed on by the merge job of the previous round
    #[arg(long, value_name = "N", hide = true)]
    pub after: Option<usize>,
}
