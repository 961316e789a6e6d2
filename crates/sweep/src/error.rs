//! Why something could not be done, and whose mistake it is.

use std::fmt::Display;

use orchestrator::SweepError;
use schedule::problem::Problem;
use store::StoreError;
use trainer::TrainError;
use trainer::device::DeviceError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the user names does not exist.
    #[error("there is no file {name}; {what} was expected")]
    NoFile {
        /// As the user names it.
        name: String,
        /// What kind of file it should be.
        what: String,
    },
    /// A sweep file has mistakes.
    #[error("{name}: {}", words(problems))]
    Problems {
        /// The file as the user names it.
        name: String,
        /// Its text.
        text: String,
        /// All of its mistakes, with their places in the text.
        problems: Vec<Problem>,
    },
    /// Another mistake of the user.
    #[error("{0}")]
    Usage(String),
    /// Something failed.
    #[error("{0}")]
    Failed(String),
    /// A stop was requested.
    #[error("stopped")]
    Interrupted,
}

impl Error {
    /// Something failed, for this reason.
    pub fn failed(reason: impl Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// The user made this mistake.
    pub fn usage(reason: impl Display) -> Self {
        Self::Usage(reason.to_string())
    }

    /// A failure or the user's mistake, by what the cause says of itself.
    fn of(cause: impl Display, is_users_mistake: bool) -> Self {
        if is_users_mistake { Self::usage(cause) } else { Self::failed(cause) }
    }
}

/// Problems in one line.
pub(crate) fn words(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let mistake = error.is_users_mistake();
        Self::of(error, mistake)
    }
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        let mistake = error.is_users_mistake();
        Self::of(error, mistake)
    }
}

impl From<TrainError> for Error {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Device(error) => error.into(),
            error => Self::failed(error),
        }
    }
}

impl From<SweepError> for Error {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Store(error) => error.into(),
            SweepError::Device(error) => error.into(),
            SweepError::Probe(error) => error.into(),
            error @ (SweepError::Data(_) | SweepError::Memory { .. }) => Self::usage(error),
            error => Self::failed(error),
        }
    }
}
