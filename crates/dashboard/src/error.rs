//! Why a request has no answer, and how that is said in HTTP.

use axum::http::StatusCode;
use store::StoreError;

/// An error with its HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl ApiError {
    /// A mistake in the request.
    pub(crate) fn wrong(message: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.to_string() }
    }

    /// Nothing has this name.
    pub(crate) fn unknown(message: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.to_string() }
    }

    /// The store can't be read now.
    pub(crate) fn unavailable(message: impl std::fmt::Display) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, message: message.to_string() }
    }
}

impl From<sweep::Error> for ApiError {
    fn from(error: sweep::Error) -> Self {
        match error {
            sweep::Error::Usage(message) => Self::wrong(message),
            other => Self::unavailable(other),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::unavailable(error)
    }
}
