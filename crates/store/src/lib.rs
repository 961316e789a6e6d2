//! The sweep database: the only SQL in the workspace. [`Store`] writes, [`Reader`] reads, also
//! while a sweep runs. The tables and the views for people are made by `migrations/` in the repository.
//! Two databases can hold a store: SQLite in a folder, and PostgreSQL on a server. What they do differently is one trait
//! (`backend`), implemented in `sqlite` and `postgres`; all else is SQL that both understand. What the results mean is not
//! decided here, but by `verdict`.

mod backend;
mod error;
mod event;
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
mod sqlite;
mod statement;
mod status;
mod store;
mod sweep_rows;
mod tables;
mod verify;

pub use error::StoreError;
pub use location::{Location, Server};
pub use merge::{Conflict, Merged, Origin};
pub use query::{Table, Value};
pub use reader::Reader;
pub use removal::{Affected, Fate, Target};
pub use rows::{Attention, Joining, MetricRow, Sharing, Tended, Unfinished};
pub use spec::record::{Axes, Environment, Status, TrialRecord};
pub use status::{RunnerStatus, RunningTrial, SweepStatus};
pub use store::Store;
pub use verify::{ToVerify, sample_end};

/// The type of the network file system that a folder lies on, as in `nfs4`; `None` on a local disk.
pub fn network_file_system(dir: &std::path::Path) -> Option<String> {
    sqlite::network_file_system(dir)
}
