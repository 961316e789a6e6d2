//! Arguments of every verb.

use std::path::PathBuf;

use clap::Args;

use super::{location, path};

/// See the module.
#[derive(Debug, Clone, Args)]
pub(crate) struct GlobalArgs {
    /// Where the results are: a folder on a local disk, with the database DIR/sweep.db, or a PostgreSQL server, as in
    /// postgres://user@host/database; passwords are read from PGPASSWORD or ~/.pgpass
    #[arg(
        long, global = true, value_name = "DIR|URL", default_value = "runs", env = "SWEEP_STORE",
        hide_env_values = true, value_parser = location()
    )]
    pub store: store::Location,
    /// Folder in which data sets are looked for first
    #[arg(long, global = true, value_name = "DIR", env = "SWEEP_DATA_DIR", value_parser = path())]
    pub data_dir: Option<PathBuf>,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// Those that take a value in the next word.
pub(crate) const WITH_VALUE: [&str; 2] = ["--store", "--data-dir"];
