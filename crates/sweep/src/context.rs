//! What every function of this library needs to know of the place where it runs.

use std::future::Future;
use std::path::PathBuf;

use store::Location;
use trainer::custom::Tasks;

use crate::Error;

/// File name of kept weights within the folder of a trial.
pub(crate) const WEIGHTS: &str = "weights.safetensors";

/// Where results and data are, and what this process is.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where the results are.
    pub store: Location,
    /// The folder in which data sets are searched first.
    pub data_dir: Option<PathBuf>,
    /// The tasks that this program adds to the built-in models.
    pub tasks: Tasks,
    /// The name under which a cluster's queue knows this process.
    pub job: Option<String>,
}

impl Context {
    /// Where training finds what networks learn from.
    pub fn places(&self) -> orchestrator::Places<'_> {
        orchestrator::Places { data_dir: self.data_dir.as_deref(), tasks: &self.tasks }
    }

    /// The file in which the final weights of a trial are kept for trials that begin with them.
    pub fn kept_weights(&self, trial: &str) -> PathBuf {
        self.store.trials(None).join(trial).join(WEIGHTS)
    }
}

/// Waits for a future on this thread. For callers without a runtime of their own.
///
/// # Errors
/// The future's own, or there is no runtime to be had.
pub fn wait_for<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Error::failed(format_args!("can't start: {error}")))?.block_on(future)
}
