//! The sweep database: the only SQL in the workspace. [`Store`] writes, [`Reader`] reads, also
//! while a sweep runs. The tables and the views for people are made by `migrations/` in the repository.
//! What the results mean is not decided here, but by `report`.

mod connection;
mod error;
mod event;
mod files;
mod lock;
mod query;
mod reader;
mod register;
mod rows;
mod runner;
mod schema;
mod stage;
mod statement;
mod status;
mod steps;
mod store;
mod sweep_runs;
mod trials;

pub use error::StoreError;
pub use query::{Table, Value};
pub use reader::Reader;
pub use rows::{Environment, MetricRow, RunRow, Sharing, Status, Tended, TrialRow, Unfinished};
pub use status::{RunnerStatus, RunningTrial, SweepStatus};
pub use store::Store;
pub use sweep_runs::SweepRun;
