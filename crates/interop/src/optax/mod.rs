//! optax: its schedules, and code for it.

pub(crate) mod export;
pub(crate) mod import;
