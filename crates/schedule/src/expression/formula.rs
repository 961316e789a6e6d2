//! Expressions as formula terms.

use super::{Comparison, Expression, Name, Term};
use crate::formula::{self, Binary, Term as Formula};
use crate::number::{Decimals, Function, Kind, Rounding};

/// The terms of the names.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) t: Formula,
    pub(crate) length: Formula,
    pub(crate) epoch: Formula,
    pub(crate) base: Formula,
}

impl Expression {
    /// The expression as a term with unchanged arithmetic: if a number is rounded down or compared, a
    /// different last digit would give another lr. `None` if no term can express it.
    pub(crate) fn formula(&self, names: &Names) -> Option<Formula> {
        self.root.formula(names)
    }

    /// Whether a term can express it.
    pub(crate) fn has_formula(&self) -> bool {
        let names =
            Names { t: Formula::t(2.0), length: 2.0.into(), epoch: Formula::t(2.0), base: 1.0.into() };
        self.formula(&names).is_some()
    }
}

impl Term {
    fn formula(&self, names: &Names) -> Option<Formula> {
        Some(match self {
            Term::Number(number) => number.float().ok()?.into(),
            Term::Name(Name::T) => names.t.clone(),
            Term::Name(Name::Length) => names.length.clone(),
            Term::Name(Name::Epoch) => names.epoch.clone(),
            Term::Name(Name::Base) => names.base.clone(),
            Term::Name(Name::Pi) => Formula::pi(),
            Term::Name(name) => name.constant().filter(|x| x.is_finite())?.into(),
            Term::Minus(x) => minus(x.formula(names)?),
            Term::Not(x) => formula::verbatim(Binary::Equal, x.formula(names)?, Formula::from(0.0)),
            Term::Binary(binary, a, b) => joined(*binary, a.formula(names)?, b.formula(names)?),
            Term::Compare(first, rest) => compared(first, rest, names)?,
            Term::Choice(terms) => {
                let [condition, yes, no] = terms.as_ref();
                Formula::choose(condition.formula(names)?, yes.formula(names)?, no.formula(names)?)
            }
            Term::Call(function, arguments) => match arguments.as_slice() {
                [Term::List(list), arguments @ ..] => {
                    of_list(function, each(list, names)?, &each(arguments, names)?)?
                }
                arguments => called(function, each(arguments, names)?)?,
            },
            Term::List(_) => return None,
            Term::Item(list, index) => item(each(list, names)?, index.formula(names)?),
        })
    }
}

fn each(terms: &[Term], names: &Names) -> Option<Vec<Formula>> {
    terms.iter().map(|term| term.formula(names)).collect()
}

/// The negated number.
fn minus(x: Formula) -> Formula {
    match x.number() {
        Some(x) => Formula::from(-x),
        None => formula::verbatim(Binary::Multiply, Formula::from(-1.0), x),
    }
}

fn joined(binary: Binary, a: Formula, b: Formula) -> Formula {
    let conditions = a.is_condition() && b.is_condition();
    match binary {
        Binary::And if !conditions => Formula::choose(a, b, 0.0.into()),
        Binary::Or if !conditions => Formula::choose(a.clone(), a, b),
        _ => formula::verbatim(binary, a, b),
    }
}

fn all(conditions: impl Iterator<Item = Formula>, sign: Binary) -> Formula {
    let none = if sign == Binary::And { 1.0 } else { 0.0 };
    conditions.reduce(|a, b| joined(sign, a, b)).unwrap_or_else(|| none.into())
}

fn compared(first: &Term, rest: &[(Comparison, Term)], names: &Names) -> Option<Formula> {
    let mut left = first.formula(names)?;
    let mut conditions = Vec::new();
    for (comparison, right) in rest {
        conditions.push(match (comparison, right) {
            (Comparison::Binary(sign), right) => {
                let right = right.formula(names)?;
                formula::verbatim(*sign, std::mem::replace(&mut left, right.clone()), right)
            }
            (Comparison::In, Term::List(list)) => {
                let equal = |entry| formula::verbatim(Binary::Equal, left.clone(), entry);
                all(each(list, names)?.into_iter().map(equal), Binary::Or)
            }
            (_, list) => {
                let Term::List(list) = list else { return None };
                let unequal = |entry| formula::verbatim(Binary::Unequal, left.clone(), entry);
                all(each(list, names)?.into_iter().map(unequal), Binary::And)
            }
        });
    }
    Some(all(conditions.into_iter(), Binary::And))
}

/// The item of a list at an index. A negative index counts from the end.
fn item(list: Vec<Formula>, index: Formula) -> Formula {
    let length = list.len() as f64;
    let index = match index.ends() {
        (low, _) if low >= 0.0 => index,
        (_, high) if high < 0.0 => index + length,
        _ => Formula::choose(index.clone().less(0.0), index.clone() + length, index),
    };
    if let Some(table) = list.iter().map(Formula::number).collect::<Option<Vec<f64>>>() {
        return index.entry("values", &table);
    }
    let mut entries = list.into_iter().enumerate().rev();
    let last = entries.next().map_or_else(|| f64::NAN.into(), |(_, entry)| entry);
    entries.fold(last, |rest, (i, entry)| Formula::choose(index.clone().up_to(i as f64), entry, rest))
}

fn of_list(function: &Function, list: Vec<Formula>, arguments: &[Formula]) -> Option<Formula> {
    Some(match (function.kind, arguments) {
        (Kind::Sum, _) => {
            list.into_iter().reduce(|a, b| formula::verbatim(Binary::Add, a, b)).unwrap_or_else(|| 0.0.into())
        }
        (Kind::Length, _) => (list.len() as f64).into(),
        (Kind::Extreme(sign), _) => list.into_iter().reduce(|a, b| formula::verbatim(sign, a, b))?,
        (Kind::Bisect(equal), [x]) => {
            let sign = if equal { Binary::AtMost } else { Binary::Less };
            let table: Option<Vec<f64>> = list.iter().map(Formula::number).collect();
            match table.filter(|table| equal && table.is_sorted()) {
                Some(table) => x.clone().passed(&table),
                None => list.into_iter().fold(0.0.into(), |sum, m| {
                    sum + Formula::choose(formula::verbatim(sign, m, x.clone()), 1.0.into(), 0.0.into())
                }),
            }
        }
        _ => return None,
    })
}

fn called(function: &Function, arguments: Vec<Formula>) -> Option<Formula> {
    let mut rest = arguments.into_iter();
    let (x, y, z) = (rest.next()?, rest.next(), rest.next());
    Some(match (function.kind, y, z) {
        (Kind::Extreme(sign), y, z) => {
            y.into_iter().chain(z).chain(rest).fold(x, |a, b| formula::verbatim(sign, a, b))
        }
        (Kind::Float(of), ..) => x.function(function.name, of),
        (Kind::ToFloat, ..) => x,
        (Kind::Abs, ..) => x.function("abs", f64::abs),
        (Kind::Round(rounding), ..) => rounded(rounding, x),
        (Kind::Log, None, _) => x.log(),
        (Kind::Log, Some(base), _) => formula::verbatim(Binary::Divide, x.log(), base.log()),
        (Kind::Sign(sign), Some(y), _) => formula::verbatim(sign, x, y),
        (Kind::FloatPower, Some(y), _) => formula::verbatim(Binary::Power, x, y),
        (Kind::Fmod, Some(y), _) => fmod(x, y.function("abs", f64::abs)),
        (Kind::Clip, Some(low), Some(high)) => {
            formula::verbatim(Binary::Least, formula::verbatim(Binary::Greatest, x, low), high)
        }
        (Kind::Where, Some(yes), Some(no)) => Formula::choose(x, yes, no),
        (Kind::Decimals(_), None, _) => x.function("round", f64::round_ties_even),
        (Kind::Decimals(how), Some(digits), _) => decimals(how, x, digits.number()?),
        _ => return None,
    })
}

fn rounded(rounding: Rounding, x: Formula) -> Formula {
    let (down, up) =
        (|x: Formula| x.function("floor", f64::floor), |x: Formula| x.function("ceil", f64::ceil));
    match (rounding, x.ends()) {
        (Rounding::Down, _) => down(x),
        (Rounding::Up, _) => up(x),
        (Rounding::TowardsZero, (low, _)) if low >= 0.0 => down(x),
        (Rounding::TowardsZero, (_, high)) if high <= 0.0 => up(x),
        (Rounding::TowardsZero, _) => Formula::choose(x.clone().less(0.0), up(x.clone()), down(x)),
    }
}

/// The remainder of a division by a number above 0, with the sign of `x`.
fn fmod(x: Formula, by: Formula) -> Formula {
    let rest = |x: Formula| formula::verbatim(Binary::Remainder, x, by.clone());
    if x.ends().0 >= 0.0 {
        return rest(x);
    }
    Formula::choose(x.clone().less(0.0), minus(rest(minus(x.clone()))), rest(x))
}

fn decimals(how: Decimals, x: Formula, digits: f64) -> Formula {
    let scale = libm::pow(10.0, digits.abs());
    let even = |x: Formula| x.function("round", f64::round_ties_even);
    match how {
        Decimals::Nearest => formula::verbatim(Binary::Decimals, x, digits.into()),
        Decimals::Scaled => {
            let (there, back) = match digits < 0.0 {
                true => (Binary::Divide, Binary::Multiply),
                false => (Binary::Multiply, Binary::Divide),
            };
            formula::verbatim(back, even(formula::verbatim(there, x, scale.into())), scale.into())
        }
    }
}
