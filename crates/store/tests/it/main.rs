//! The store on real SQLite files.

mod crash;
mod life;
mod numbers;
mod query;
mod refusals;
mod support;
mod views;
mod volume;
