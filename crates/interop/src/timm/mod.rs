//! timm: import of its schedules and export to its code.

pub(crate) mod export;
mod factory;
pub(crate) mod import;
mod parameters;
