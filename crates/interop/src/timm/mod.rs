//! timm: its schedules, and code for it.

pub(crate) mod export;
mod factory;
pub(crate) mod import;
mod parameters;
