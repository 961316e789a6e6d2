//! The name of a stored trial.

use clap::Args;
use sweep::named_trial::TrialName;

/// A stored trial.
#[derive(Debug, Args)]
pub(crate) struct TrialArg {
    /// Start of the trial's id, or `best`
    pub trial: String,
    /// Sweep that `best` refers to [default: the most recent sweep]
    #[arg(long, value_name = "NAME")]
    pub sweep: Option<String>,
}

impl TrialArg {
    /// The trial's name as a plain value.
    pub(crate) fn named(&self) -> TrialName {
        TrialName { trial: self.trial.clone(), sweep: self.sweep.clone() }
    }
}
