//! Arguments of every verb.

use std::path::PathBuf;

use clap::Args;

use super::{location, path};

/// See the module.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Store of the results: a local folder (SQLite, DIR/sweep.db) or a PostgreSQL server (postgres://user@host/database,
    /// password in PGPASSWORD or ~/.pgpass)
    #[arg(
        long, global = true, value_name = "DIR|URL", default_value = "runs", env = "SWEEP_STORE",
        hide_env_values = true, value_parser = location()
    )]
    pub store: store::Location,
    /// Folder to search first for data sets
    #[arg(long, global = true, value_name = "DIR", env = "SWEEP_DATA_DIR", value_parser = path())]
    pub data_dir: Option<PathBuf>,
    /// Print nothing but errors on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The options whose value may be the next word.
pub(crate) const WITH_VALUE: [&str; 2] = ["--store", "--data-dir"];
