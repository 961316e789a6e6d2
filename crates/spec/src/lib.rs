//! Sweep file -> [`Spec`] -> [`Plan`]. Text in, values and problems out; no I/O.

mod allow;
pub mod axes;
pub mod event;
mod id;
pub mod json;
pub mod plan;
mod program;
pub mod protocol;
mod same;
pub mod schema;
pub mod share;
pub mod sweep_file;
mod task;
pub mod transfer;
pub mod trial;
pub mod yaml;

pub use plan::{Plan, plan, plan_on};
pub use program::Find;
pub use sweep_file::{Spec, read, read_with};
