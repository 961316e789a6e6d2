//! Builds simplified terms, so that printed code reads as if written by hand: constants are folded, neutral
//! operations are removed, and conditions are moved outwards.

use std::ops::{Add, Div, Mul, Sub};
use std::sync::Arc;

use super::range::Range;
use super::{Binary, Function, Node, Term};

/// Terms of at most this size are duplicated to move a condition outwards.
const SMALL: usize = 14;

/// e^700 is near the largest float.
const MAX_EXPONENT: f64 = 700.0;

impl From<f64> for Term {
    fn from(x: f64) -> Self {
        Self::new(Node::Number(x), Range::one(x))
    }
}

impl<T: Into<Term>> Add<T> for Term {
    type Output = Term;
    fn add(self, other: T) -> Term {
        binary(Binary::Add, self, other.into())
    }
}

impl<T: Into<Term>> Sub<T> for Term {
    type Output = Term;
    fn sub(self, other: T) -> Term {
        binary(Binary::Subtract, self, other.into())
    }
}

impl<T: Into<Term>> Mul<T> for Term {
    type Output = Term;
    fn mul(self, other: T) -> Term {
        binary(Binary::Multiply, self, other.into())
    }
}

impl<T: Into<Term>> Div<T> for Term {
    type Output = Term;
    fn div(self, other: T) -> Term {
        binary(Binary::Divide, self, other.into())
    }
}

impl Term {
    fn new(node: Node, range: Range) -> Self {
        Self { node: Arc::new(node), range }
    }

    /// The step of a run of `total` steps.
    pub(crate) fn t(total: f64) -> Self {
        Self::new(Node::T, Range::new(0.0, total - 1.0, true))
    }

    pub(crate) fn pi() -> Self {
        Self::new(Node::Pi, Range::one(std::f64::consts::PI))
    }

    /// Its minimum and maximum value.
    pub(crate) fn ends(&self) -> (f64, f64) {
        (self.range.low, self.range.high)
    }

    /// The same term, known to be within two bounds.
    pub(crate) fn within(self, low: f64, high: f64) -> Self {
        let range = self.range.within(low, high);
        if range.low == range.high && self.number().is_none() {
            return Self::from(range.low);
        }
        Self { range, ..self }
    }

    pub(crate) fn power(self, exponent: impl Into<Term>) -> Self {
        binary(Binary::Power, self, exponent.into())
    }

    pub(crate) fn at_least(self, other: impl Into<Term>) -> Self {
        binary(Binary::Greatest, self, other.into())
    }

    pub(crate) fn at_most(self, other: impl Into<Term>) -> Self {
        binary(Binary::Least, self, other.into())
    }

    pub(crate) fn less(self, other: impl Into<Term>) -> Self {
        binary(Binary::Less, self, other.into())
    }

    pub(crate) fn up_to(self, other: impl Into<Term>) -> Self {
        binary(Binary::AtMost, self, other.into())
    }

    pub(crate) fn reaches(self, other: impl Into<Term>) -> Self {
        binary(Binary::AtLeast, self, other.into())
    }

    pub(crate) fn function(self, name: &'static str, of: fn(f64) -> f64) -> Self {
        let range = self.range.function(name, of);
        match self.number().map(of) {
            Some(x) if x.is_finite() => Self::from(x),
            _ if name == "floor" && self.is_whole() => self,
            _ => Self::new(Node::Function(Function { name, of }, self), range),
        }
    }

    pub(crate) fn sqrt(self) -> Self {
        self.function("sqrt", f64::sqrt)
    }

    pub(crate) fn log(self) -> Self {
        self.function("log", libm::log)
    }

    pub(crate) fn tanh(self) -> Self {
        self.function("tanh", libm::tanh)
    }

    /// (1 + cos(pi x)) / 2.
    pub(crate) fn wave(self) -> Self {
        match self.number() {
            Some(x) => Self::from(tidy((1.0 + libm::cos(std::f64::consts::PI * x)) / 2.0)),
            None => Self::new(Node::Wave(self), Range::new(0.0, 1.0, false)),
        }
    }

    /// 1 - x, written so that no digits cancel if x is nearly 1.
    pub fn left(&self) -> Self {
        match self.node() {
            Node::Binary(Binary::Divide, a, b) => (b.clone() - a.clone()) / b.clone(),
            _ => Self::from(1.0) - self.clone(),
        }
    }

    /// The floor of a quotient of at least 0, with a tolerance of the last digit.
    pub(crate) fn divide_down(self, by: Term) -> Self {
        if self.is_multiple_exact() && by.number().is_some_and(|by| by.fract() == 0.0) {
            return binary(Binary::DivideDown, self, by);
        }
        let quotient = self / by;
        let range = quotient.range;
        if quotient.is_whole() {
            return quotient;
        }
        if let Some(x) = quotient.number() {
            return Self::from(crate::segment::floor(x));
        }
        let nudged =
            Self::new(Node::Binary(Binary::Multiply, quotient, Self::from(1.0 + 2.0 * f64::EPSILON)), range);
        nudged.function("floor", f64::floor)
    }

    /// The remainder of a division rounded down.
    pub(crate) fn remainder(self, by: Term) -> Self {
        binary(Binary::Remainder, self, by)
    }

    /// Whether its division by a whole number is exact in floating point if the quotient is whole.
    pub(crate) fn is_multiple_exact(&self) -> bool {
        self.is_whole()
            || match self.node() {
                Node::Binary(Binary::Divide, a, b) => a.is_whole() && b.is_whole(),
                Node::Named(_, x) => x.is_multiple_exact(),
                _ => false,
            }
    }

    /// Linear interpolation to another term: `self` at `q` 0, `to` at 1.
    pub(crate) fn towards(self, to: Term, q: Term) -> Self {
        let way = to - self.clone();
        self + way * q
    }

    /// `condition ? yes : no`.
    pub(crate) fn choose(condition: Term, yes: Term, no: Term) -> Self {
        let condition = match condition.is_condition() || condition.number().is_some() {
            true => condition,
            false => binary(Binary::Unequal, condition, Self::from(0.0)),
        };
        match condition.number() {
            Some(0.0) => return no,
            Some(_) => return yes,
            // Keeps the one with the wider range, which is valid for all steps.
            None if yes == no && no.range.contains(yes.range) => return no,
            None if yes == no && yes.range.contains(no.range) => return yes,
            None => {}
        }
        let range = yes.range.or(no.range);
        Self::new(Node::Where(condition, yes, no), range)
    }

    /// How many numbers of a sorted table it has reached.
    pub(crate) fn passed(self, table: &[f64]) -> Self {
        let count = |x: f64| table.iter().filter(|entry| **entry <= x).count() as f64;
        let (low, high) = (count(self.range.low), count(self.range.high));
        if low == high {
            return Self::from(low);
        }
        // Removes entries that are always or never reached.
        let kept = table.get(low as usize..high as usize).unwrap_or(table);
        let range = Range::new(0.0, high - low, true);
        Self::new(Node::Passed(kept.into(), self), range) + low
    }

    /// The entry of the table named `what` at this index.
    pub(crate) fn entry(self, what: &'static str, table: &[f64]) -> Self {
        // An index with an offset starts at a later entry of the table.
        let (table, index) = match self.node() {
            Node::Binary(Binary::Add, x, first) if first.number().is_some_and(|first| first >= 0.0) => {
                (table.get(first.number().unwrap_or(0.0) as usize..).unwrap_or(table), x.clone())
            }
            _ => (table, self),
        };
        let (low, high) = (index.range.low.max(0.0) as usize, index.range.high.min(1e15) as usize);
        let seen = table.get(low..=high.min(table.len().saturating_sub(1))).unwrap_or(table);
        let table = table.get(..=high).unwrap_or(table);
        let whole = seen.iter().all(|x| x.fract() == 0.0);
        let least = seen.iter().copied().fold(f64::INFINITY, f64::min);
        let most = seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if least == most {
            return Self::from(least);
        }
        Self::new(Node::Entry(what, table.into(), index), Range::new(least, most, whole))
    }

    /// The same term with a variable name, unless it is a number or has a name.
    pub(crate) fn named(self, name: &'static str) -> Self {
        match self.node() {
            Node::Number(_) | Node::Pi | Node::T | Node::Named(..) | Node::Where(..) => self,
            _ => {
                let range = self.range;
                Self::new(Node::Named(name, self), range)
            }
        }
    }
}

/// Removes rounding noise from the last digit: 0.1 - 0.01 becomes 0.09.
pub(super) fn tidy(x: f64) -> f64 {
    let rounded = format!("{x:.11e}").parse().unwrap_or(x);
    if (x - rounded).abs() <= 4.0 * f64::EPSILON * x.abs() { rounded } else { x }
}

/// A binary operation, simplified.
pub(crate) fn binary(binary: Binary, a: Term, b: Term) -> Term {
    if let (Some(x), Some(y)) = (a.number(), b.number()) {
        let value = binary.of(x, y);
        if value.is_finite() {
            return Term::from(if binary == Binary::Power { value } else { tidy(value) });
        }
    }
    if let Some(term) = distributed(binary, &a, &b) {
        return term;
    }
    match binary {
        Binary::Add => sum(a, b),
        Binary::Subtract => difference(a, b),
        Binary::Multiply => product(a, b),
        Binary::Divide => quotient(a, b),
        Binary::Power => power(a, b),
        Binary::DivideDown if b.number() == Some(1.0) && a.is_whole() => a,
        Binary::Remainder if a.range.low >= 0.0 && a.range.high < b.range.low => a,
        Binary::Remainder if b.number() == Some(1.0) && a.is_whole() => Term::from(0.0),
        Binary::Least if a.range.high <= b.range.low => a,
        Binary::Least if b.range.high <= a.range.low => b,
        Binary::Greatest if a.range.low >= b.range.high => a,
        Binary::Greatest if b.range.low >= a.range.high => b,
        _ => plain(binary, a, b),
    }
}

/// A binary operation without any simplification.
pub(crate) fn verbatim(binary: Binary, a: Term, b: Term) -> Term {
    plain(binary, a, b)
}

fn plain(binary: Binary, a: Term, b: Term) -> Term {
    let range = Range::binary(binary, a.range, b.range);
    if binary.is_condition() && range.low == range.high {
        return Term::from(range.low);
    }
    Term::new(Node::Binary(binary, a, b), range)
}

/// Moves a condition out of an operation if the other operand is small.
fn distributed(op: Binary, a: &Term, b: &Term) -> Option<Term> {
    if op.is_condition() {
        return None;
    }
    match (a.node(), b.node()) {
        (Node::Where(condition, yes, no), _) if b.size() <= SMALL => Some(Term::choose(
            condition.clone(),
            binary(op, yes.clone(), b.clone()),
            binary(op, no.clone(), b.clone()),
        )),
        (_, Node::Where(condition, yes, no)) if a.size() <= SMALL => Some(Term::choose(
            condition.clone(),
            binary(op, a.clone(), yes.clone()),
            binary(op, a.clone(), no.clone()),
        )),
        _ => None,
    }
}

fn sum(a: Term, b: Term) -> Term {
    match (a.number(), b.number(), a.node(), b.node()) {
        (Some(0.0), ..) => b,
        (_, Some(0.0), ..) => a,
        (Some(_), _, _, Node::Binary(Binary::Add, x, y)) if x.number().is_some() => {
            sum(a + x.clone(), y.clone())
        }
        (Some(_), _, _, Node::Binary(Binary::Add, x, y)) if y.number().is_some() => {
            sum(x.clone(), a + y.clone())
        }
        (_, Some(_), Node::Binary(Binary::Add, x, y), _) if y.number().is_some() => {
            sum(x.clone(), y.clone() + b)
        }
        (_, Some(_), Node::Binary(Binary::Add, x, y), _) if x.number().is_some() => {
            sum(x.clone() + b, y.clone())
        }
        (_, Some(_), Node::Binary(Binary::Subtract, x, y), _) if x.number().is_some() => {
            difference(x.clone() + b, y.clone())
        }
        _ => plain(Binary::Add, a, b),
    }
}

fn difference(a: Term, b: Term) -> Term {
    if a == b {
        return Term::from(0.0);
    }
    match (a.number(), b.number(), b.node()) {
        (_, Some(y), _) => sum(a, Term::from(-y)),
        (Some(_), _, Node::Binary(Binary::Add, x, y)) if y.number().is_some() => {
            difference(a - y.clone(), x.clone())
        }
        _ => plain(Binary::Subtract, a, b),
    }
}

fn product(a: Term, b: Term) -> Term {
    match (a.number(), b.number(), b.node()) {
        (Some(0.0), ..) => a,
        (_, Some(0.0), _) => b,
        (Some(1.0), ..) => b,
        (_, Some(_), _) => product(b, a),
        (Some(_), _, Node::Binary(Binary::Multiply, x, y)) if x.number().is_some() => {
            product(a * x.clone(), y.clone())
        }
        (Some(_), _, Node::Binary(Binary::Divide, x, y)) if x.number().is_some() => {
            quotient(a * x.clone(), y.clone())
        }
        _ => plain(Binary::Multiply, a, b),
    }
}

fn quotient(a: Term, b: Term) -> Term {
    match (a.number(), b.number(), a.node()) {
        (_, Some(1.0), _) => a,
        (Some(0.0), ..) => a,
        (_, Some(y), Node::Binary(Binary::Multiply, x, z)) if x.number().is_some() && y != 0.0 => {
            product(x.clone() / b, z.clone())
        }
        _ if a == b && (a.range.low > 0.0 || a.range.high < 0.0) => Term::from(1.0),
        _ => plain(Binary::Divide, a, b),
    }
}

fn power(a: Term, b: Term) -> Term {
    match (a.number(), b.number()) {
        (Some(1.0), _) | (_, Some(0.0)) => Term::from(1.0),
        (_, Some(1.0)) => a,
        // Python would raise an overflow error.
        (Some(x), None) if x > 1.0 && b.range.high * x.ln() > MAX_EXPONENT => {
            let most = (MAX_EXPONENT / x.ln()).floor();
            plain(Binary::Power, a, b.at_most(most))
        }
        _ => plain(Binary::Power, a, b),
    }
}
