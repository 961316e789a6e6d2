//! What Slurm is asked for.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::args::{path, share};

/// See the module.
#[derive(Debug, clap::Args)]
pub(crate) struct Request {
    /// The sweep file
    #[arg(value_parser = path())]
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
    #[arg(long, value_name = "DIR", value_parser = path())]
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
