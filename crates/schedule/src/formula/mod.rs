//! Schedules as formulas: lr(t) written out, for printing it as code of another library. A [`Term`] is
//! arithmetic over the step `t` of one run; every kind gives its own beside its `lr`, and a test holds the
//! two together. Which language the terms are printed in is decided elsewhere.

mod build;
mod position;
mod range;
mod value;

use std::sync::Arc;

pub(crate) use build::{binary, verbatim};
pub(crate) use position::TermPosition;
use range::Range;

/// Arithmetic over `t`. Values that no step of the run can take have been left out of it.
#[derive(Debug, Clone)]
pub struct Term {
    node: Arc<Node>,
    range: Range,
}

/// What a term is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A finite number.
    Number(f64),
    /// The ratio of a circle's circumference to its diameter.
    Pi,
    /// The step of the run, counted from 0.
    T,
    /// A function of one number, by its name in Python's `math` module (`abs` stands outside it).
    Function(Function, Term),
    /// Half a cosine wave, from 1 at 0 to 0 at 1: (1 + cos(pi x)) / 2.
    Wave(Term),
    /// Two terms and what joins them.
    Binary(Binary, Term, Term),
    /// Condition, value if it holds, value if not. Only the value that is chosen need exist.
    Where(Term, Term, Term),
    /// The entry of a table at an index, which is whole and inside the table; and what the table holds.
    Entry(&'static str, Arc<[f64]>, Term),
    /// How many numbers of a rising table are at most the term.
    Passed(Arc<[f64]>, Term),
    /// A term that a person would give a name.
    Named(&'static str, Term),
}

/// A function of one number and its name.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its name in Python's `math` module.
    pub name: &'static str,
    pub(crate) of: fn(f64) -> f64,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What joins two terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it; comparisons give 1 or 0")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// Division rounded down.
    DivideDown,
    /// What that leaves; its sign is that of the divisor.
    Remainder,
    Power,
    /// The nearest number with this number of decimals, as Python's `round` gives it.
    Decimals,
    Least,
    Greatest,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
    /// Of two comparisons.
    And,
    /// Of two comparisons.
    Or,
}

impl Binary {
    /// Whether it gives true or false.
    pub fn is_condition(self) -> bool {
        use Binary::{And, AtLeast, AtMost, Equal, Greater, Less, Or, Unequal};
        matches!(self, Less | AtMost | Greater | AtLeast | Equal | Unequal | And | Or)
    }
}

/// Terms are equal when they are written the same.
impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node) || self.node == other.node
    }
}

impl Term {
    /// What it is made of.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its value where it is the same at every step.
    pub fn number(&self) -> Option<f64> {
        match *self.node {
            Node::Number(x) => Some(x),
            _ => None,
        }
    }

    /// Whether it is a whole number at every step.
    pub fn is_whole(&self) -> bool {
        self.range.whole
    }

    /// Whether it gives true or false.
    pub fn is_condition(&self) -> bool {
        matches!(&*self.node, Node::Binary(binary, ..) if binary.is_condition())
    }

    /// The terms it is made of.
    pub fn children(&self) -> Vec<&Term> {
        match &*self.node {
            Node::Number(_) | Node::Pi | Node::T => Vec::new(),
            Node::Function(_, x)
            | Node::Wave(x)
            | Node::Entry(_, _, x)
            | Node::Passed(_, x)
            | Node::Named(_, x) => vec![x],
            Node::Binary(_, a, b) => vec![a, b],
            Node::Where(condition, yes, no) => vec![condition, yes, no],
        }
    }

    /// Terms in it, itself among them.
    pub fn size(&self) -> usize {
        1 + self.children().into_iter().map(Term::size).sum::<usize>()
    }
}
