//! Runs a sweep from its file to its ranking, without a terminal. The command line and any other program can use this
//! library.
//!
//! [`plan`] reads a sweep file. [`train::run`] trains what the store lacks, round after round, and reports each
//! decision and each event of a trial to an observer. [`ranked::ranked`] ranks the stored results. All functions take
//! a plain [`Context`]. Nothing here prints, reads arguments or handles signals.

pub mod atomic_file;
pub mod code;
pub mod completeness;
mod context;
pub mod curves;
mod error;
mod event;
pub mod halving;
pub mod laws;
pub mod logs;
mod looks;
pub mod lookup;
pub mod named_trial;
pub mod notes;
pub mod origins;
pub mod outputs;
pub mod plan;
pub mod processes;
pub mod programs;
pub mod ranked;
pub mod replay;
pub mod results;
pub mod rounds;
pub mod screening;
pub mod search;
mod shard;
pub mod shell;
pub mod source;
pub mod stored;
pub mod train;
pub mod untried;
pub mod weights;
pub mod worker;
mod world;

pub use context::{Context, wait_for};
pub use error::Error;
pub use event::{Event, Observer, Round};
pub use orchestrator::{Options, Stop, Summary};
pub use shard::Shard;
pub use train::Training;
