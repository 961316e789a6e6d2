//! The sweep database: the only SQL in the workspace. [`Store`] writes; [`Reader`] reads, also while a sweep runs.
//! The migrations in `migrations/` create the tables, and the views that users query.
//! A store is an SQLite database in a folder or a PostgreSQL database on a server. The trait `backend::Backend`
//! covers what the two do differently; `sqlite` and `postgres` implement it. All other SQL works on both. This crate
//! does not interpret results: `verdict` does.

mod backend;
mod error;
mod event;
mod live;
mod location;
#[cfg(test)]
mod measurements;
mod merge;
mod postgres;
mod query;
mod reader;
mod records;
mod register;
mod removal;
mod rows;
mod runner;
mod screening;
mod sharing;
mod sqlite;
mod statement;
mod status;
mod store;
mod sweep_rows;
mod tables;
mod values;
mod verify;

pub use error::StoreError;
pub use live::{StepMean, SweepCounts, TrialStage};
pub use location::{Location, Server};
pub use merge::{Conflict, Merged, Origin};
pub use query::{Table, Value};
pub use reader::Reader;
pub use register::now;
pub use removal::{AffectedTrial, RemovalEffect, RemovalTarget};
pub use rows::{Activity, JoinOptions, MetricRow, OtherRunners, Sharing, Unfinished};
pub use sharing::LossRow;
pub use spec::record::{Axes, Environment, Status, TrialRecord};
pub use status::{RunnerStatus, RunningTrial, SweepStatus};
pub use store::Store;
pub use values::Wanted;
pub use verify::{VerificationTask, sample_bound};

/// The type of the network file system that contains the folder, such as `nfs4`. `None` on a local disk.
pub fn network_file_system(dir: &std::path::Path) -> Option<String> {
    sqlite::network_file_system(dir)
}
