//! Where data and results are on this machine: the context of every function of this library.

use std::future::Future;
use std::path::PathBuf;

use store::Location;
use trainer::custom::Tasks;

use crate::Error;

/// File name of a trial's kept weights, in the folder of the trial.
pub(crate) const WEIGHTS: &str = "weights.safetensors";

/// Where results and data are, and what this process is.
#[derive(Debug, Clone)]
pub struct Context {
    /// The store of the results.
    pub store: Location,
    /// The folder that is searched first for data sets.
    pub data_dir: Option<PathBuf>,
    /// The custom tasks of this program.
    pub tasks: Tasks,
    /// The name of this process in the queue of a cluster.
    pub job: Option<String>,
}

impl Context {
    /// Where training data comes from.
    pub fn data_sources(&self) -> orchestrator::DataSources<'_> {
        orchestrator::DataSources { data_dir: self.data_dir.as_deref(), tasks: &self.tasks }
    }

    /// The file that keeps the final weights of a trial, for trials that start from them.
    pub fn kept_weights(&self, trial: &str) -> PathBuf {
        self.store.trials(None).join(trial).join(WEIGHTS)
    }
}

/// Runs a future on this thread, for callers without a runtime.
///
/// # Errors
/// The errors of the future, or the runtime can't be started.
pub fn wait_for<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|error| Error::failed(format_args!("can't start the async runtime: {error}")))?
        .block_on(future)
}
