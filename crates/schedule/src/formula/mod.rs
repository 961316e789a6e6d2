//! Schedules as formulas of t, for printing code of other libraries. A [`Term`] is an expression over the
//! step `t` of one run. Every kind defines it in addition to `lr`, and a test compares the two. The code that
//! prints terms is in other crates.

mod build;
mod position;
mod range;
mod value;

use std::sync::Arc;

pub(crate) use build::{binary, verbatim};
pub(crate) use position::TermPosition;
use range::Range;

/// An expression over `t`, simplified for the steps of the run.
#[derive(Debug, Clone)]
pub struct Term {
    node: Arc<Node>,
    range: Range,
}

/// The node of a term.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A finite number.
    Number(f64),
    /// The ratio of a circle's circumference to its diameter.
    Pi,
    /// The step of the run, counted from 0.
    T,
    /// A function of one number, with its name in Python's `math` module (`abs` is a builtin).
    Function(Function, Term),
    /// Half a cosine wave, from 1 at 0 to 0 at 1: (1 + cos(pi x)) / 2.
    Wave(Term),
    /// A binary operation.
    Binary(Binary, Term, Term),
    /// Condition, value if true, value if false. Only the chosen value must be defined.
    Where(Term, Term, Term),
    /// The name of a table, the table, and an index into it, which is whole and in range.
    Entry(&'static str, Arc<[f64]>, Term),
    /// How many numbers of a sorted table are at most the term.
    Passed(Arc<[f64]>, Term),
    /// A term with a variable name.
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

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are clear; comparisons return 1 or 0")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    /// Division rounded down.
    DivideDown,
    /// The remainder of that division, with the sign of the divisor.
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
    /// Both conditions are true.
    And,
    /// At least one condition is true.
    Or,
}

impl Binary {
    /// Whether its value is true or false.
    pub fn is_condition(self) -> bool {
        use Binary::{And, AtLeast, AtMost, Equal, Greater, Less, Or, Unequal};
        matches!(self, Less | AtMost | Greater | AtLeast | Equal | Unequal | And | Or)
    }
}

/// Terms are equal if they have the same structure.
impl PartialEq for Term {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node) || self.node == other.node
    }
}

impl Term {
    /// Its node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its value, if it is a constant.
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

    /// Whether its value is true or false.
    pub fn is_condition(&self) -> bool {
        matches!(&*self.node, Node::Binary(binary, ..) if binary.is_condition())
    }

    /// Its operands.
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

    /// The number of terms in it, including itself.
    pub fn size(&self) -> usize {
        1 + self.children().into_iter().map(Term::size).sum::<usize>()
    }
}
