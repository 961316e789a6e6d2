//! The functions that expressions and constant arguments know.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive};

use super::{ArithmeticError, DIVISION, DOMAIN, Number, OVERFLOW, float};
use crate::formula::Binary;

/// A function by its name.
#[derive(Debug)]
pub struct Function {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// What it takes and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// One float to another, by this name in Python's `math`.
    Float(fn(f64) -> f64),
    /// Itself as a float.
    ToFloat,
    /// To a whole number.
    Round(Rounding),
    /// To a number of decimals, 0 if only one argument is given.
    Decimals(Decimals),
    Abs,
    /// `log(x)`, or `log(x, base)`.
    Log,
    /// Two numbers joined as a sign joins them.
    Sign(Binary),
    /// A power of floats.
    FloatPower,
    /// The remainder of a division rounded towards 0.
    Fmod,
    /// `clip(x, low, high)`.
    Clip,
    /// `where(condition, yes, no)`.
    Where,
    /// The least or greatest of one or more, or of a list.
    Extreme(Binary),
    Sum,
    Length,
    /// How many entries of a rising list lie before a number: `bisect(list, x)`. `true` counts those that equal it.
    Bisect(bool),
}

/// Which whole number a function gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Down,
    Up,
    TowardsZero,
}

/// How a function rounds to decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decimals {
    /// The nearest decimal number, as Python's `round`.
    Nearest,
    /// Scaled up, rounded and scaled down, as numpy's `around`.
    Scaled,
}

const fn entry(name: &'static str, kind: Kind) -> Function {
    Function { name, kind }
}

/// Every function, by name.
pub(crate) static FUNCTIONS: &[Function] = &[
    entry("abs", Kind::Abs),
    entry("acos", Kind::Float(libm::acos)),
    entry("around", Kind::Decimals(Decimals::Scaled)),
    entry("asin", Kind::Float(libm::asin)),
    entry("atan", Kind::Float(libm::atan)),
    entry("bisect", Kind::Bisect(true)),
    entry("bisect_left", Kind::Bisect(false)),
    entry("bisect_right", Kind::Bisect(true)),
    entry("ceil", Kind::Round(Rounding::Up)),
    entry("clip", Kind::Clip),
    entry("cos", Kind::Float(libm::cos)),
    entry("cosh", Kind::Float(libm::cosh)),
    entry("exp", Kind::Float(libm::exp)),
    entry("expm1", Kind::Float(libm::expm1)),
    entry("float", Kind::ToFloat),
    entry("floor", Kind::Round(Rounding::Down)),
    entry("fmod", Kind::Fmod),
    entry("int", Kind::Round(Rounding::TowardsZero)),
    entry("len", Kind::Length),
    entry("log", Kind::Log),
    entry("log10", Kind::Float(libm::log10)),
    entry("log1p", Kind::Float(libm::log1p)),
    entry("log2", Kind::Float(libm::log2)),
    entry("max", Kind::Extreme(Binary::Greatest)),
    entry("maximum", Kind::Sign(Binary::Greatest)),
    entry("min", Kind::Extreme(Binary::Least)),
    entry("minimum", Kind::Sign(Binary::Least)),
    entry("mod", Kind::Sign(Binary::Remainder)),
    entry("pow", Kind::Sign(Binary::Power)),
    entry("power", Kind::FloatPower),
    entry("round", Kind::Decimals(Decimals::Nearest)),
    entry("sin", Kind::Float(libm::sin)),
    entry("sinh", Kind::Float(libm::sinh)),
    entry("sqrt", Kind::Float(f64::sqrt)),
    entry("sum", Kind::Sum),
    entry("tan", Kind::Float(libm::tan)),
    entry("tanh", Kind::Float(libm::tanh)),
    entry("trunc", Kind::Round(Rounding::TowardsZero)),
    entry("where", Kind::Where),
];

/// The function of this name.
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

impl Function {
    /// The fewest and the most arguments; a list counts as one.
    pub fn arity(&self) -> (usize, usize) {
        match self.kind {
            Kind::Float(_) | Kind::ToFloat | Kind::Round(_) | Kind::Abs | Kind::Sum | Kind::Length => (1, 1),
            Kind::Decimals(_) | Kind::Log => (1, 2),
            Kind::Sign(_) | Kind::FloatPower | Kind::Fmod | Kind::Bisect(_) => (2, 2),
            Kind::Clip | Kind::Where => (3, 3),
            Kind::Extreme(_) => (1, usize::MAX),
        }
    }

    /// Whether its first argument must be a list (`true`), or may be one; `None` if it is a number.
    pub fn takes_list(&self, arguments: usize) -> Option<bool> {
        match self.kind {
            Kind::Sum | Kind::Length | Kind::Bisect(_) => Some(true),
            Kind::Extreme(_) if arguments == 1 => Some(false),
            _ => None,
        }
    }

    /// Its value, of the entries of a list if it takes one, and the other arguments.
    ///
    /// # Errors
    /// Python raises an error there.
    pub fn value(&self, list: &[Number], arguments: &[Number]) -> Result<Number, ArithmeticError> {
        match (self.kind, arguments) {
            (Kind::Sum, _) => {
                list.iter().try_fold(Number::Int(0), |sum, x| Number::binary(Binary::Add, &sum, x))
            }
            (Kind::Length, _) => Ok(Number::Int(list.len() as i64)),
            (Kind::Bisect(equal), [x]) => {
                let before = |entry: &&Number| match entry.compare(x) {
                    Some(Ordering::Equal) => equal,
                    order => order == Some(Ordering::Less),
                };
                Ok(Number::Int(list.iter().filter(before).count() as i64))
            }
            (Kind::Extreme(sign), arguments) => {
                let mut all = list.iter().chain(arguments).cloned();
                let first = all.next().ok_or(ArithmeticError("the least or greatest of nothing"))?;
                all.try_fold(first, |best, x| Number::binary(sign, &best, &x))
            }
            (Kind::Sign(sign), [a, b]) => Number::binary(sign, a, b),
            (Kind::FloatPower, [a, b]) => {
                Number::binary(Binary::Power, &Number::Float(a.float()?), &Number::Float(b.float()?))
            }
            (Kind::Fmod, [a, b]) => match (a.float()?, b.float()?) {
                (_, 0.0) => Err(DIVISION),
                (a, b) => result(a % b, a.is_nan() || b.is_nan()).map(Number::Float),
            },
            (Kind::Clip, [x, low, high]) => {
                Number::binary(Binary::Least, &Number::binary(Binary::Greatest, x, low)?, high)
            }
            (Kind::Where, [condition, yes, no]) => {
                Ok(if condition.is_true() { yes.clone() } else { no.clone() })
            }
            (Kind::Log, [x, base]) => match (log(x)?, log(base)?) {
                (_, 0.0) => Err(DIVISION),
                (x, base) => Ok(Number::Float(x / base)),
            },
            (Kind::Log, [x, ..]) => log(x).map(Number::Float),
            (Kind::Decimals(how), [x, digits]) => decimals(how, x, digits),
            (_, [x, ..]) => self.of_one(x),
            (_, []) => Err(DOMAIN),
        }
    }

    fn of_one(&self, x: &Number) -> Result<Number, ArithmeticError> {
        match (self.kind, x) {
            (Kind::Abs, x) => Ok(x.abs()),
            (Kind::ToFloat, x) => x.float().map(Number::Float),
            (Kind::Float(of), x) => {
                let x = x.float()?;
                let value = result(of(x), x.is_nan())?;
                if value.is_infinite() && x.is_finite() { Err(OVERFLOW) } else { Ok(Number::Float(value)) }
            }
            (_, Number::Int(_) | Number::Big(_)) => Ok(x.clone()),
            (Kind::Round(Rounding::Down), Number::Float(x)) => Number::whole(x.floor()),
            (Kind::Round(Rounding::Up), Number::Float(x)) => Number::whole(x.ceil()),
            (Kind::Round(Rounding::TowardsZero), Number::Float(x)) => Number::whole(x.trunc()),
            (_, Number::Float(x)) => Number::whole(x.round_ties_even()),
        }
    }
}

/// A float, unless it is NaN and what it was made of was not.
fn result(x: f64, was_nan: bool) -> Result<f64, ArithmeticError> {
    if x.is_nan() && !was_nan { Err(DOMAIN) } else { Ok(x) }
}

fn log(x: &Number) -> Result<f64, ArithmeticError> {
    match x.float()? {
        x if x <= 0.0 => Err(ArithmeticError("the logarithm of 0 or less")),
        x => Ok(libm::log(x)),
    }
}

pub(super) fn decimals(how: Decimals, x: &Number, digits: &Number) -> Result<Number, ArithmeticError> {
    let Number::Int(digits) = digits else {
        return Err(ArithmeticError("decimals that are no whole number"));
    };
    match (how, x) {
        (Decimals::Nearest, Number::Float(x)) => {
            result(float::round(*x, *digits), x.is_nan()).map(Number::Float)
        }
        (Decimals::Nearest, whole) if *digits >= 0 => Ok(whole.clone()),
        (Decimals::Nearest, whole) => match (u32::try_from(-digits), whole.big()) {
            (Ok(digits @ 0..10_000), Some(whole)) => {
                Ok(round_whole(&whole, &BigInt::from(10).pow(digits)).into())
            }
            _ => Ok(Number::Int(0)),
        },
        (Decimals::Scaled, x) => {
            let (x, scale) = (x.float()?, libm::pow(10.0, digits.unsigned_abs() as f64));
            Ok(Number::Float(match *digits {
                0.. => (x * scale).round_ties_even() / scale,
                _ => (x / scale).round_ties_even() * scale,
            }))
        }
    }
}

/// The nearest multiple of a unit; of two that are equally near, the even one.
fn round_whole(x: &BigInt, unit: &BigInt) -> BigInt {
    let (quotient, rest) = x.div_mod_floor(unit);
    let up = match (&rest * 2_u8).cmp(unit) {
        Ordering::Less => false,
        Ordering::Greater => true,
        Ordering::Equal => quotient.is_odd(),
    };
    (quotient + i32::from(up)) * unit
}

impl Number {
    /// The place in a list of this many entries, which may be counted from its end.
    pub fn index(&self, length: usize) -> Result<usize, ArithmeticError> {
        let Some(index) = self.big() else {
            return Err(ArithmeticError("a place in a list that is no whole number"));
        };
        let index = if index.is_negative() { index + length } else { index };
        index.to_usize().filter(|index| *index < length).ok_or(ArithmeticError("a place outside a list"))
    }
}
