//! Keras: import of its schedules and export to its code.

pub(crate) mod export;
pub(crate) mod import;
