//! Combinators: schedules made of other schedules. One file each, and the table that lists them.

use crate::catalogue::{Ends, Param, ParamType, optional};
use crate::node::Branch;
use crate::reader::Reader;

pub(crate) mod base;
pub(crate) mod chain;
pub(crate) mod clamp;
pub(crate) mod noise;
pub(crate) mod phases;
pub(crate) mod restart;
pub(crate) mod scale;
pub(crate) mod shift;
mod torch_random;
pub(crate) mod wrap;

/// One combinator.
#[derive(Debug)]
pub struct Combinator {
    /// The key that identifies the combinator in a mapping.
    pub key: &'static str,
    /// Its names in other libraries and its other keys, for hints.
    pub aliases: &'static [&'static str],
    /// One line: what it does.
    pub summary: &'static str,
    /// lr(s) as a function of the schedules inside.
    pub formula: &'static str,
    /// Symbols of the formula and their meaning, except parameters and [`crate::catalogue::SYMBOLS`].
    pub symbols: &'static [(&'static str, &'static str)],
    /// Its lr at the start, at the end and after the end.
    pub ends: Ends,
    /// The paper or library that defines it.
    pub source: &'static str,
    /// An example that parses, as a user would write it.
    pub example: &'static str,
    /// Keys that hold a schedule, or several (see `form`).
    pub nodes: &'static [&'static str],
    /// The form of the value of these keys.
    pub form: Form,
    /// Keys that hold a mapping with its own parameters.
    pub groups: &'static [Group],
    /// Its other keys.
    pub params: &'static [Param],
    pub(crate) read: fn(&mut Reader<'_, '_>) -> Option<Box<dyn Branch>>,
}

/// The form of the value of a combinator's node key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A node.
    One,
    /// A list of nodes.
    Many,
    /// A list of phases: schedules with a length `for`, or `value` instead of a schedule.
    Phases,
}

/// The key of a phase in addition to the keys of its schedule.
pub static FOR: Param =
    optional("for", ParamType::Length(0), "length of the phase; the last phase takes the rest by default");

/// A mapping inside a combinator.
#[derive(Debug)]
pub struct Group {
    /// Its key.
    pub key: &'static str,
    /// One line: what it does.
    pub doc: &'static str,
    /// Its keys.
    pub params: &'static [Param],
    /// Whether it also takes `shape` (the kind of any ramp) and that kind's own parameters.
    pub shaped: bool,
    /// The minimum number of keys; 0 if the whole mapping may be missing.
    pub least: usize,
}

/// Every combinator.
pub const COMBINATORS: &[&Combinator] = &[
    &wrap::COMBINATOR,
    &phases::COMBINATOR,
    &chain::COMBINATOR,
    &scale::COMBINATOR,
    &base::COMBINATOR,
    &clamp::COMBINATOR,
    &shift::COMBINATOR,
    &restart::COMBINATOR,
    &noise::COMBINATOR,
];

/// The keys of all combinators.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    COMBINATORS.iter().map(|combinator| combinator.key)
}
