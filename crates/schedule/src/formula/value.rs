//! Evaluates terms.

use super::{Binary, Node, Term};
use crate::number::{floor_divide, modulo, round};

/// The arithmetic of an evaluation.
#[derive(Clone, Copy)]
struct Arithmetic {
    /// Rounding of each intermediate result.
    round: fn(f64) -> f64,
    /// Whether a division by a constant becomes a multiplication by its inverse.
    inverts: bool,
}

impl Term {
    /// Its value at step `t`.
    pub fn value(&self, t: f64) -> f64 {
        self.by(t, Arithmetic { round: |x| x, inverts: false })
    }

    /// Its value at step `t` in single precision.
    pub fn single(&self, t: f64) -> f64 {
        self.by(t, Arithmetic { round: |x| f64::from(x as f32), inverts: false })
    }

    /// Its value at step `t` if a compiler replaces a division by a constant with a multiplication by its
    /// inverse.
    pub fn compiled(&self, t: f64) -> f64 {
        self.by(t, Arithmetic { round: |x| x, inverts: true })
    }

    fn by(&self, t: f64, how: Arithmetic) -> f64 {
        let (round, value) = (how.round, |x: &Self| x.by(t, how));
        round(match &*self.node {
            Node::Binary(Binary::Divide, a, b) if how.inverts && b.number().is_some() => {
                value(a) * (1.0 / value(b))
            }
            Node::Number(x) => *x,
            Node::Pi => std::f64::consts::PI,
            Node::T => t,
            Node::Function(function, x) => (function.of)(value(x)),
            Node::Wave(x) => (1.0 + libm::cos(std::f64::consts::PI * value(x))) / 2.0,
            Node::Binary(binary, a, b) => binary.of(value(a), value(b)),
            Node::Where(condition, yes, no) => value(if value(condition) == 0.0 { no } else { yes }),
            Node::Entry(_, table, index) => table.get(value(index) as usize).copied().unwrap_or(f64::NAN),
            Node::Passed(table, x) => {
                let x = value(x);
                table.iter().filter(|entry| round(**entry) <= x).count() as f64
            }
            Node::Named(_, x) => value(x),
        })
    }
}

impl Term {
    /// Its value at step `t` in Python; `None` if Python raises an error, as for a division by 0.
    pub fn python_value(&self, t: f64) -> Option<f64> {
        Some(match &*self.node {
            Node::Function(function, x) => {
                let x = x.python_value(t)?;
                let value = (function.of)(x);
                let rounds = matches!(function.name, "floor" | "ceil" | "round") && !x.is_finite();
                return (!rounds && (value.is_finite() || value == x)).then_some(value);
            }
            Node::Wave(x) => return x.python_value(t).filter(|x| x.is_finite()).map(|_| self.value(t)),
            Node::Binary(binary, a, b) => {
                let (a, b) = match binary {
                    Binary::And if a.python_value(t)? == 0.0 => return Some(0.0),
                    Binary::Or if a.python_value(t)? != 0.0 => return Some(1.0),
                    _ => (a.python_value(t)?, b.python_value(t)?),
                };
                let value = binary.of(a, b);
                match binary {
                    Binary::Divide | Binary::DivideDown | Binary::Remainder if b == 0.0 => return None,
                    // A negative number to a fractional power is complex in Python.
                    Binary::Power if !value.is_finite() && a.is_finite() && b.is_finite() => return None,
                    _ => value,
                }
            }
            Node::Where(condition, yes, no) => {
                let chosen = if condition.python_value(t)? == 0.0 { no } else { yes };
                chosen.python_value(t)?
            }
            Node::Entry(_, table, index) => return table.get(index.python_value(t)? as usize).copied(),
            Node::Passed(_, x) => x.python_value(t).map(|_| self.value(t))?,
            Node::Named(_, x) => x.python_value(t)?,
            Node::Number(_) | Node::Pi | Node::T => self.value(t),
        })
    }
}

impl Binary {
    /// Applies the operator; comparisons return 1 or 0.
    pub(crate) fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Binary::Add => a + b,
            Binary::Subtract => a - b,
            Binary::Multiply => a * b,
            Binary::Divide => a / b,
            Binary::DivideDown => floor_divide(a, b),
            Binary::Remainder => modulo(a, b),
            Binary::Power => libm::pow(a, b),
            Binary::Decimals => round(a, b as i64),
            Binary::Least => a.min(b),
            Binary::Greatest => a.max(b),
            Binary::Less => f64::from(a < b),
            Binary::AtMost => f64::from(a <= b),
            Binary::Greater => f64::from(a > b),
            Binary::AtLeast => f64::from(a >= b),
            Binary::Equal => f64::from(a == b),
            Binary::Unequal => f64::from(a != b),
            Binary::And => f64::from(a != 0.0 && b != 0.0),
            Binary::Or => f64::from(a != 0.0 || b != 0.0),
        }
    }
}
