//! Reads from the store what the page shows, and composes it. Each module makes one view; SQL is in `store`, statistics are in
//! `verdict`, and the plain types are in `report::views`.

pub(crate) mod about;
pub(crate) mod curves;
pub(crate) mod document;
pub(crate) mod overview;
pub(crate) mod run;
pub(crate) mod snapshot;
pub(crate) mod stages;
pub(crate) mod sweeps;
pub(crate) mod trials;
