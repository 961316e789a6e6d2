//! The errors of this library, and whether the user can fix them.

use std::fmt::Display;

use orchestrator::SweepError;
use schedule::problem::Problem;
use store::StoreError;
use trainer::TrainError;
use trainer::device::DeviceError;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that the user names does not exist.
    #[error("{what} not found: {name}")]
    NoFile {
        /// The file as the user named it.
        name: String,
        /// The kind of file, such as `sweep file`.
        what: String,
    },
    /// A sweep file has mistakes.
    #[error("{name}: {}", joined_messages(problems))]
    Problems {
        /// The file as the user named it.
        name: String,
        /// Its text.
        text: String,
        /// All of its mistakes, with their positions in the text.
        problems: Vec<Problem>,
    },
    /// Another mistake that the user can fix.
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
    /// A failure with this reason.
    pub fn failed(reason: impl Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// A mistake of the user.
    pub fn usage(reason: impl Display) -> Self {
        Self::Usage(reason.to_string())
    }

    /// A mistake of the user if the cause says so, else a failure.
    fn of(cause: impl Display, is_users_mistake: bool) -> Self {
        if is_users_mistake { Self::usage(cause) } else { Self::failed(cause) }
    }
}

/// The messages of the problems in one line.
pub(crate) fn joined_messages(problems: &[Problem]) -> String {
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
