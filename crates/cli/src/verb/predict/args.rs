//! The arguments of `sweep predict`.

use std::path::PathBuf;

use predict::Law;
use sweep::curves::LossKind;

use crate::args::{FormatArg, path, whole};

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Schedules to predict: sweep files, schedules as in '{kind: cosine}', or CSV files with the columns step and lr; before --curves
    /// [default: how well each run is predicted from the others]
    #[arg(value_name = "FILE|SCHEDULE")]
    pub what: Vec<String>,
    /// Learn from this stored sweep: its name or file [default: the most recent sweep]
    #[arg(long, value_name = "SWEEP", conflicts_with = "curves")]
    pub sweep: Option<String>,
    /// Learn from these CSV files with the columns step, lr and loss
    #[arg(long, value_name = "RUN.csv", num_args = 1.., value_parser = path())]
    pub curves: Vec<PathBuf>,
    /// Learn only from these schedules of the sweep, as in constant,cosine
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "curves")]
    pub fit: Vec<String>,
    /// Learn from the runs with these base lrs of the sweep [default: the lr with the most schedules]
    #[arg(long, value_name = "LRS", value_delimiter = ',', conflicts_with = "curves")]
    pub fit_lr: Vec<f64>,
    /// Loss to learn and predict [default: validation if each run has at least 10 evaluations, else training]
    #[arg(long, value_enum, conflicts_with = "curves")]
    pub loss: Option<LossArg>,
    /// Part of a run, at its end, over which training losses are averaged to the final loss
    #[arg(long, value_name = "PART", default_value_t = 0.04, value_parser = part)]
    pub last: f64,
    /// Law of loss curves
    #[arg(long, value_enum, default_value_t = LawArg::Best)]
    pub law: LawArg,
    /// Base lr (`1x`) of the predicted schedules [default: all of a sweep file; for a single schedule its own `lr`, or that of the runs]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Length of the run in steps, for a single schedule [default: as stated by the schedule, or that of the longest run]
    #[arg(long, value_name = "T", value_parser = whole(1..=MOST_STEPS))]
    pub total: Option<u64>,
    /// Steps per epoch, for a single schedule
    #[arg(long, value_name = "M", value_parser = whole(1..=u64::MAX))]
    pub steps_per_epoch: Option<u64>,
    /// Check the intervals: learn anew from all runs but one, for each run (takes as many times longer as there are runs)
    #[arg(long, conflicts_with_all = ["what", "by_step"])]
    pub check: bool,
    /// Print the predicted curves, one row per step shown
    #[arg(long)]
    pub by_step: bool,
    #[command(flatten)]
    pub format: FormatArg,
}

/// The longest run that is predicted.
pub(super) const MOST_STEPS: u64 = 100_000_000;

const EXAMPLES: &str = "\
Examples:
  sweep predict                                   how well each run of the last sweep is predicted from the others
  sweep predict more.yaml --sweep mnist           the schedules of a file, from the runs of a sweep
  sweep predict '{kind: cosine}' --total 72000 --curves constant.csv wsd.csv";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LossArg {
    /// Validation loss
    Valid,
    /// Training loss
    Train,
}

impl From<LossArg> for LossKind {
    fn from(loss: LossArg) -> Self {
        match loss {
            LossArg::Valid => Self::Validation,
            LossArg::Train => Self::Training,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LawArg {
    /// The law with the smaller error on runs that are left out
    Best,
    /// Tissue et al. 2024
    Tissue,
    /// The multi-power law, Luo et al. 2025
    MultiPower,
}

impl LawArg {
    pub(super) fn law(self) -> Option<Law> {
        match self {
            Self::Best => None,
            Self::Tissue => Some(Law::Tissue),
            Self::MultiPower => Some(Law::MultiPower),
        }
    }
}

/// Parses a part of a run.
fn part(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|part: &f64| *part > 0.0 && *part <= 0.5);
    number.ok_or_else(|| "expected a number above 0, at most 0.5".to_owned())
}
