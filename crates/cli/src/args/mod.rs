//! Arguments that several verbs share. Those of one verb are in its file under `verb/`.

mod device;
mod format;
mod global;
mod number;
mod paths;
mod rank_by;
mod training;
mod trial;

pub(crate) use device::DeviceArg;
pub(crate) use format::FormatArg;
pub(crate) use global::{GlobalArgs, WITH_VALUE};
pub(crate) use number::{share, whole};
pub(crate) use paths::{location, path};
pub(crate) use rank_by::RankArgs;
pub(crate) use training::TrainingArgs;
pub(crate) use trial::TrialArg;

/// What warnings are worth.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Warnings {
    /// Take warnings for mistakes: exit with 2 after any
    #[arg(long)]
    pub deny_warnings: bool,
}
