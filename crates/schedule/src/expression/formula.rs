//! An expression as a term, its names being terms themselves.

use super::{Expression, Name, Term, Unary};
use crate::formula::{self, Binary};

/// What the names stand for.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) t: formula::Term,
    pub(crate) length: formula::Term,
    pub(crate) epoch: formula::Term,
    pub(crate) base: formula::Term,
}

impl Expression {
    /// The expression as a term.
    pub(crate) fn formula(&self, names: &Names) -> formula::Term {
        self.root.formula(names)
    }
}

impl Term {
    fn formula(&self, names: &Names) -> formula::Term {
        let zero = || formula::Term::from(0.0);
        match self {
            Term::Number(x) => (*x).into(),
            Term::Name(Name::T) => names.t.clone(),
            Term::Name(Name::Length) => names.length.clone(),
            Term::Name(Name::Epoch) => names.epoch.clone(),
            Term::Name(Name::Base) => names.base.clone(),
            Term::Name(Name::Pi) => formula::Term::pi(),
            Term::Unary(Unary::Minus, x) => formula::Term::from(-1.0) * x.formula(names),
            Term::Unary(Unary::Not, x) => formula::binary(Binary::Equal, x.formula(names), zero()),
            Term::Unary(Unary::Function(name, of), x) => x.formula(names).function(name, *of),
            Term::Binary(binary, a, b) => {
                let (a, b) = (a.formula(names), b.formula(names));
                let conditions = a.is_condition() && b.is_condition();
                match binary {
                    Binary::And if conditions => formula::binary(Binary::And, a, b),
                    Binary::Or if conditions => formula::binary(Binary::Or, a, b),
                    Binary::And => formula::Term::choose(a, b, zero()),
                    Binary::Or => formula::Term::choose(a.clone(), a, b),
                    _ => formula::binary(*binary, a, b),
                }
            }
            Term::Choice(terms) => {
                let [condition, yes, no] = terms.as_ref();
                formula::Term::choose(condition.formula(names), yes.formula(names), no.formula(names))
            }
            Term::Least(terms) => joined(terms, names, Binary::Least),
            Term::Greatest(terms) => joined(terms, names, Binary::Greatest),
        }
    }
}

fn joined(terms: &[Term], names: &Names, op: Binary) -> formula::Term {
    let terms = terms.iter().map(|term| term.formula(names));
    terms.reduce(|a, b| formula::binary(op, a, b)).unwrap_or(f64::NAN.into())
}
