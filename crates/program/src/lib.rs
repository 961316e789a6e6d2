//! Trains trials by running a custom program. The program is started once for each trial, at its first step or where it leaves a
//! trial with which it shares steps, receives the lrs, and its
//! reports become the same events as those of the built-in trainer. `docs/reference/protocol.md` describes the
//! protocol. This crate does not use the database and starts no threads; other crates decide which trials are
//! trained.

#[cfg(unix)]
mod failure_reason;
#[cfg(unix)]
mod groups;
#[cfg(unix)]
mod missing_package;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod resume;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod run_folder;
mod settings;
mod source;
#[cfg_attr(not(unix), path = "unsupported.rs")]
mod train;

pub use settings::RunSettings;
pub use source::hash;
pub use train::{Fork, train};

/// Name of the folder of a program's checkpoints, in the folder of its trial.
pub const CHECKPOINTS: &str = "checkpoints";

/// Name of the folder for what a program wants to keep, in the folder of its trial.
pub const OUTPUTS: &str = "outputs";

/// File name of a program's output, in the folder of its trial.
pub const LOG: &str = "output.log";
