//! The arguments of `sweep plot`.

use std::path::PathBuf;

use crate::args::{RankArgs, path, whole};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A sweep file or a schedule, as in '{kind: cosine}' (`-` reads standard input); with --figure, name or file of a stored
    /// sweep [default: the most recent sweep]
    #[arg(
        value_name = "FILE|SCHEDULE|SWEEP",
        allow_hyphen_values = true,
        required_unless_present = "figure"
    )]
    pub what: Option<String>,
    /// Draw a figure of a stored sweep's report instead of lr curves
    #[arg(long, value_enum, conflicts_with_all = ["scale", "log", "select", "lr", "total", "steps_per_epoch"])]
    pub figure: Option<Figure>,
    /// File to write, ending in .svg or .png [default: draw in the terminal]
    #[arg(long, short, value_name = "FILE", value_parser = path())]
    pub output: Option<PathBuf>,
    /// Scale of the lr axis
    #[arg(long, value_enum, default_value_t = AxisScale::Linear, overrides_with = "log")]
    pub scale: AxisScale,
    /// Short for --scale log
    #[arg(long, overrides_with = "scale")]
    pub log: bool,
    /// Width and height in pixels, as in 960x540 [default: fits the content]
    #[arg(long, value_name = "WxH", value_parser = size)]
    pub size: Option<report::plot::Size>,
    /// Draw only these schedules of the sweep file, as in cosine,wsd
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub select: Vec<String>,
    /// Base lr (`1x`) [default: the middle lr of the sweep file; for a single schedule its own `lr`, or 1]
    #[arg(long, value_name = "LR")]
    pub lr: Option<f64>,
    /// Length of the run in steps, for a single schedule
    #[arg(long, value_name = "T", value_parser = whole(1..=u64::MAX))]
    pub total: Option<u64>,
    /// Steps per epoch, for a single schedule
    #[arg(long, value_name = "M", value_parser = whole(1..=u64::MAX))]
    pub steps_per_epoch: Option<u64>,
    #[command(flatten)]
    pub how: RankArgs,
}

/// The figures of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Figure {
    /// Paired differences to the first schedule, with 95 % intervals
    Forest,
    /// Loss over steps (mean and band over seeds), with the lrs below
    Curves,
    /// Metric over the lr grid of each schedule
    Sensitivity,
    /// Metric over the budgets
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AxisScale {
    /// Linear, from 0
    Linear,
    /// Logarithmic; 0 is drawn below the axis
    Log,
}

/// Parses a size, as in `960x540`.
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
