//! A search for the shape of a schedule: which shapes to try next, given the losses of those tried before. Numbers in, numbers out: no
//! schedules, trials or text.
//!
//! [`Knots`] describes a shape by coordinates: the log lr at a few knots, and where free knots are. [`Cma`] is the optimiser.
//! [`Search`] proposes one generation after another; the same settings and losses give the same proposals.

mod cma;
mod eigen;
mod generation;
mod knots;
mod random;

#[cfg(test)]
mod tests;

pub use cma::Cma;
pub use generation::{Ask, Generation, Method, RISE, Search, Settings, Stage};
pub use knots::{Free, Knots, Proposal};
