//! Training runs on candle: data sets, models, kernels, optimizers, checkpoints and the training loop.
//! The result of a run depends only on its trial, not on the runs that it shares steps with. This crate does not access the
//! database and starts no threads.

mod average;
mod batches;
mod branch;
mod cache;
mod catalogue;
pub mod checkpoint;
mod contained;
pub mod custom;
pub mod data;
pub mod device;
mod digest;
mod emitter;
mod evaluate;
pub mod expected;
mod lane;
mod lane_runner;
mod member;
mod members;
mod memory;
pub mod model;
pub mod nn;
pub mod ops;
pub mod optimizer;
mod plan;
mod probe;
mod program_lane;
mod random;
mod run;
mod shared;
mod stack;
mod state;
mod stop;
pub mod transfer;
mod vectors;
pub mod weights;
mod work;

/// The version of the arithmetic, stored with every result. Raise it with every change that gives any trial different bits; the
/// first version is 1. Trial ids do not depend on it: they identify the configuration. `tests/it/origins.rs` retrains trials that an
/// earlier version stored, and fails if their bits changed without a new version here.
pub const BITS: u32 = 2;

pub use branch::Branch;
pub use catalogue::{catalogue, read};
pub use digest::Digest;
pub use emitter::{Emit, Emitter};
pub use kernels::simd::selected_level;
pub use memory::{data_bytes, state_bytes, work_bytes};
pub use probe::{Cost, probe};
pub use program_lane::ProgramLane;
pub use run::{TrainError, Trained, now, train, train_to_weights};
pub use shared::{BLOCK, Shared};
pub use stack::Stack;
pub use state::StateCounter;
pub use stop::Stop;
