//! Learning rates as written in a document: a plain number is absolute, `0.1x` is a multiple of the base lr.

use crate::fields::Field;
use crate::formula::Term;
use crate::problem::Problem;
use crate::tree::Value;

/// A learning rate of at least 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LrValue {
    /// The lr itself.
    Absolute(f64),
    /// A factor of the base lr.
    Multiple(f64),
}

impl LrValue {
    /// The lr as a number.
    pub(crate) fn of(self, base: f64) -> f64 {
        match self {
            LrValue::Absolute(lr) => lr,
            LrValue::Multiple(factor) => factor * base,
        }
    }

    /// The lr as a term.
    pub(crate) fn formula(self, base: &Term) -> Term {
        match self {
            LrValue::Absolute(lr) => lr.into(),
            LrValue::Multiple(factor) => base.clone() * factor,
        }
    }

    /// Whether it is relative to the base lr: a multiple of it, or 0.
    pub(crate) fn is_factor(self) -> bool {
        matches!(self, LrValue::Multiple(_) | LrValue::Absolute(0.0))
    }

    /// Whether it is 0 for every base lr.
    pub fn is_zero(self) -> bool {
        matches!(self, LrValue::Absolute(0.0) | LrValue::Multiple(0.0))
    }
}

pub(crate) fn lr_value(field: &Field<'_>) -> Result<LrValue, Problem> {
    const FORM: &str = "a learning rate of at least 0: a number, or a multiple of the base lr as in 0.1x";
    match &field.tree.value {
        Value::Int(i) if *i >= 0 => Ok(LrValue::Absolute(*i as f64)),
        Value::Float(x) if *x >= 0.0 => Ok(LrValue::Absolute(*x)),
        Value::Text(text) => text
            .strip_suffix('x')
            .and_then(|factor| factor.trim_end().parse::<f64>().ok())
            .filter(|factor| factor.is_finite() && *factor >= 0.0)
            .map(LrValue::Multiple)
            .ok_or_else(|| field.expected(FORM)),
        _ => Err(field.expected(FORM)),
    }
}
