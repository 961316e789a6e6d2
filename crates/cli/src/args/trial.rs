//! A stored trial.

use clap::Args;
use sweep::named::Which;

/// Names a stored trial.
#[derive(Debug, Args)]
pub(crate) struct TrialArg {
    /// The trial: the start of its id, or `best`
    pub trial: String,
    /// The sweep that `best` belongs to [default: the one that was run last]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
}

impl TrialArg {
    /// The same as a plain value.
    pub(crate) fn named(&self) -> Which {
        Which { trial: self.trial.clone(), sweep: self.sweep.clone() }
    }
}
