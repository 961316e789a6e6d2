//! Training runs on candle: data sets, models, kernels, optimisers, checkpoints and the training loop.
//! What a run does is a function of its trial alone. Knows no database, no threads but its caller's, and
//! nothing of other trials.

mod average;
mod batches;
pub mod checkpoint;
pub mod data;
pub mod device;
mod digest;
mod evaluate;
pub mod kernels;
mod lane;
pub mod model;
pub mod optimizer;
mod random;
mod run;
mod stop;
mod vectors;

pub use checkpoint::Checkpoint;
pub use run::{Options, TrainError, now, train};
pub use stop::Stop;
