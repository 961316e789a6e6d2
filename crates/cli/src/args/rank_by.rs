//! The metric that schedules are ranked by.

use std::str::FromStr;

use clap::Args;
use spec::metric::Requested;
use sweep::ranked::RankBy;

/// The metric that schedules are ranked by.
#[derive(Debug, Clone, Args)]
pub(crate) struct RankArgs {
    /// Metric to rank by: final (validation loss after the last step), best (lowest validation loss), tail:N (mean training
    /// loss of the last N steps), valid_accuracy, test_loss or accuracy (on the test data), NAME:max or NAME:min (the last value
    /// that the program reported), steps_to:valid_loss:VALUE (steps until an evaluation reaches VALUE) [default: the metric of
    /// the sweep file, else final]
    #[arg(long, value_parser = <Requested as FromStr>::from_str)]
    pub metric: Option<Requested>,
    /// Rank the runs with this many steps [default: the longest runs]
    #[arg(long, value_name = "STEPS")]
    pub budget: Option<i64>,
    /// Region of practical equivalence: schedules that differ by at most this are called equivalent
    #[arg(long, value_name = "DIFFERENCE", value_parser = rope)]
    pub rope: Option<f64>,
}

impl RankArgs {
    /// Whether any of these was given.
    pub(crate) fn is_given(&self) -> bool {
        RankBy::from(self) != RankBy::default()
    }
}

impl From<&RankArgs> for RankBy {
    fn from(args: &RankArgs) -> Self {
        let RankArgs { metric, budget, rope } = args.clone();
        Self { metric, budget, rope }
    }
}

fn rope(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|rope: &f64| rope.is_finite() && *rope > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}
