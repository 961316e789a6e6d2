//! Sweep file -> [`Spec`] -> [`Plan`]. Text in, values and problems out; no I/O.

mod allow;
mod ambiguous;
pub mod axes;
pub mod catalogue;
mod choice;
mod config;
mod data;
mod duplicates;
pub mod event;
mod fitted;
pub mod group_lrs;
pub mod halving;
mod id;
pub mod json;
pub mod looks;
pub mod metric;
mod model;
mod name;
pub mod origin;
pub mod plan;
mod program;
pub mod program_lane;
pub mod protocol;
pub mod record;
pub mod schema;
pub mod screen;
pub mod search;
pub mod searched;
pub mod share;
pub mod sweep_file;
mod task;
pub mod transfer;
pub mod trial;
mod until;
mod world;
pub mod yaml;

#[cfg(test)]
mod testing;

pub use plan::{Plan, plan, plan_all, plan_on};
pub use sweep_file::{Spec, read, read_with};
pub use world::{EmptyWorld, World};
