//! Combinators: schedules made of schedules. One file each, and the table of them.

use crate::catalogue::Param;
use crate::node::Branch;
use crate::reader::Reader;

pub(crate) mod chain;
pub(crate) mod clamp;
pub(crate) mod phases;
pub(crate) mod restart;
pub(crate) mod scale;
pub(crate) mod shift;
pub(crate) mod wrap;

/// One combinator.
#[derive(Debug)]
pub struct Combinator {
    /// The key by which a node is known to be one.
    pub key: &'static str,
    /// One line: what it does.
    pub summary: &'static str,
    /// A node that parses, as one would write it.
    pub example: &'static str,
    /// Keys that hold a node.
    pub nodes: &'static [&'static str],
    /// Its other keys.
    pub params: &'static [Param],
    pub(crate) read: fn(&mut Reader<'_, '_>) -> Option<Box<dyn Branch>>,
}

/// Every combinator.
pub const COMBINATORS: &[&Combinator] = &[
    &wrap::COMBINATOR,
    &phases::COMBINATOR,
    &chain::COMBINATOR,
    &scale::COMBINATOR,
    &clamp::COMBINATOR,
    &shift::COMBINATOR,
    &restart::COMBINATOR,
];

/// The keys of all combinators.
pub(crate) fn keys() -> impl Iterator<Item = &'static str> {
    COMBINATORS.iter().map(|combinator| combinator.key)
}
