//! Trials that a program of the user's own trains: it is started once for each trial, told the lrs, and its reports become the
//! same events as those of our own trainer. `docs/reference/protocol.md` is the protocol. Knows no database and no threads but its
//! caller's; what a trial is and which are trained is decided elsewhere.

#[cfg(unix)]
mod hand_over;
#[cfg(unix)]
mod last_words;
mod place;
#[cfg(unix)]
mod report;
#[cfg(unix)]
mod resume;
#[cfg(unix)]
mod run;
mod source;
#[cfg_attr(not(unix), path = "unsupported.rs")]
mod train;

pub use place::Place;
pub use source::hash;
pub use train::train;

/// Name of the folder of a program's checkpoints within the folder of its trial.
pub const CHECKPOINTS: &str = "checkpoints";

/// File name of a program's output within the folder of its trial.
pub const LOG: &str = "output.log";
