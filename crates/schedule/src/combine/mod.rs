//! Combinators: schedules made of schedules. One file each, and the table of them.

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
    /// The key by which a node is known to be one.
    pub key: &'static str,
    /// What other libraries call it, and its other keys; used for hints.
    pub aliases: &'static [&'static str],
    /// One line: what it does.
    pub summary: &'static str,
    /// lr(s) in terms of the schedules inside.
    pub formula: &'static str,
    /// The formula's symbols besides parameters and [`crate::catalogue::SYMBOLS`], with their meaning.
    pub symbols: &'static [(&'static str, &'static str)],
    /// How it ends.
    pub ends: Ends,
    /// Paper or library.
    pub source: &'static str,
    /// A node that parses, as one would write it.
    pub example: &'static str,
    /// Keys that hold a node, or several as `form` says.
    pub nodes: &'static [&'static str],
    /// What stands under these keys.
    pub form: Form,
    /// Keys that hold a mapping with parameters of its own.
    pub groups: &'static [Group],
    /// Its other keys.
    pub params: &'static [Param],
    pub(crate) read: fn(&mut Reader<'_, '_>) -> Option<Box<dyn Branch>>,
}

/// What stands under a combinator's node key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A node.
    One,
    /// A list of nodes.
    Many,
    /// A list of phases: nodes with a length `for`, or `value` in place of a node.
    Phases,
}

/// What a phase takes besides the keys of its node.
pub static FOR: Param =
    optional("for", ParamType::Length(0), "length of the phase; the last one takes the rest if not given");

/// A mapping inside a combinator.
#[derive(Debug)]
pub struct Group {
    /// Its key.
    pub key: &'static str,
    /// One line: what it does.
    pub doc: &'static str,
    /// Its keys.
    pub params: &'static [Param],
    /// Whether it also takes `shape`, the kind of any ramp, together with that kind's own parameters.
    pub shaped: bool,
    /// The fewest keys that it may have; 0 if the whole mapping may be missing.
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
