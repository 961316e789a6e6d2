//! Training runs on candle: data sets, models, kernels, optimisers, checkpoints and the training loop.
//! What a run does is a function of its trial alone, whichever runs it shares steps with. Knows no database
//! and no threads but its caller's.

mod average;
mod batches;
mod branch;
mod catalogue;
pub mod checkpoint;
mod contain;
pub mod data;
pub mod device;
mod digest;
mod emitter;
mod evaluate;
pub mod expected;
pub mod kernels;
mod lane;
mod lane_runner;
pub mod model;
mod need;
pub mod nn;
pub mod optimizer;
pub mod own;
mod probe;
mod random;
mod rider;
mod riders;
mod run;
mod shared;
mod stack;
mod state;
mod stop;
pub mod transfer;
mod vectors;
pub mod weights;
mod work;

/// The version of the arithmetic. It is raised by every change that gives some trial other bits, so that stored results
/// say which they have: 1 is the first. Ids do not depend on it, as they say what is asked for. `tests/it/earlier.rs` trains what an
/// earlier version has stored, and fails where a change of bits was not declared here.
pub const BITS: u32 = 1;

pub use branch::Branch;
pub use catalogue::{catalogue, read};
pub use digest::Digest;
pub use emitter::{Emit, Emitter};
pub use need::{data_bytes, state_bytes, work_bytes};
pub use probe::{Cost, probe};
pub use run::{TrainError, Trained, now, train, train_to_weights};
pub use shared::{BLOCK, Shared};
pub use stack::Stack;
pub use state::Census;
pub use stop::Stop;
