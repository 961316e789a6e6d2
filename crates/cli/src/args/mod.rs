//! Arguments that several verbs share. The arguments of a single verb are in its file under `verb/`.

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
pub(crate) use number::{fraction, whole};
pub(crate) use paths::{location, path};
pub(crate) use rank_by::RankArgs;
pub(crate) use training::TrainingArgs;
pub(crate) use trial::TrialArg;

/// How warnings are treated.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Warnings {
    /// Treat warnings as errors (exit code 2)
    #[arg(long)]
    pub deny_warnings: bool,
}
