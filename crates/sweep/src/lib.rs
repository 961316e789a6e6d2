//! One sweep from its file to its verdict, without a terminal: what the command line calls, and what any other program may.
//!
//! [`plan`] reads a sweep file, [`train::run`] trains what its store lacks round after round and reports each decision and each
//! event of a trial to an observer, [`ranked::ranked`] ranks what is stored. Everything takes a plain [`Context`]; nothing here
//! prints, reads arguments or listens to signals.

mod context;
mod error;
mod event;
pub mod named;
pub mod origins;
pub mod plan;
pub mod programs;
pub mod ranked;
pub mod results;
pub mod rounds;
mod shard;
pub mod source;
pub mod stored;
pub mod train;
pub mod weights;
pub mod whole_file;
pub mod worker;
mod world;

pub use context::{Context, wait_for};
pub use error::Error;
pub use event::{Event, Observer, Round};
pub use orchestrator::{Options, Stop, Summary};
pub use shard::Shard;
pub use train::Training;
