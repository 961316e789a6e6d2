//! The functions of expressions and constant arguments.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive};

use super::{ArithmeticError, DIVISION, DOMAIN, Number, OVERFLOW, float};
use crate::formula::Binary;

/// A function.
#[derive(Debug)]
pub struct Function {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// Its arguments and its result.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A function of one float, with the same name in Python's `math`.
    Float(fn(f64) -> f64),
    /// Conversion to a float.
    ToFloat,
    /// Rounding to a whole number.
    Round(Rounding),
    /// Rounding to a number of decimals; 0 with one argument.
    Decimals(Decimals),
    Abs,
    /// `log(x)`, or `log(x, base)`.
    Log,
    /// The same as a binary operator.
    Sign(Binary),
    /// A power of floats.
    FloatPower,
    /// The remainder of a division rounded towards 0.
    Fmod,
    /// `clip(x, low, high)`.
    Clip,
    /// `where(condition, yes, no)`.
    Where,
    /// The minimum or maximum of its arguments or of a list.
    Extreme(Binary),
    Sum,
    Length,
    /// The number of items of a sorted list below a number: `bisect(list, x)`. `true` also counts equal
    /// items.
    Bisect(bool),
}

/// The direction of rounding.
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
    /// The minimum and the maximum number of arguments; a list counts as one.
    pub fn arity(&self) -> (usize, usize) {
        match self.kind {
            Kind::Float(_) | Kind::ToFloat | Kind::Round(_) | Kind::Abs | Kind::Sum | Kind::Length => (1, 1),
            Kind::Decimals(_) | Kind::Log => (1, 2),
            Kind::Sign(_) | Kind::FloatPower | Kind::Fmod | Kind::Bisect(_) => (2, 2),
            Kind::Clip | Kind::Where => (3, 3),
            Kind::Extreme(_) => (1, usize::MAX),
        }
    }

    /// Whether its first argument must be a list (`true`) or may be one (`false`); `None` if it is a number.
    pub fn takes_list(&self, arguments: usize) -> Option<bool> {
        match self.kind {
            Kind::Sum | Kind::Length | Kind::Bisect(_) => Some(true),
            Kind::Extreme(_) if arguments == 1 => Some(false),
            _ => None,
        }
    }

    /// Its value for the items of a list (if it takes one) and the other arguments.
    ///
    /// # Errors
    /// Python would raise an error.
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
                let first = all.next().ok_or(ArithmeticError("the minimum or maximum of an empty list"))?;
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

/// A float, or an error if it is NaN although its arguments were not.
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
        return Err(ArithmeticError("a number of decimals that is not whole"));
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

/// The nearest multiple of a unit; ties go to the even multiple.
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
    /// The index in a list of this length. A negative number counts from the end.
    pub fn index(&self, length: usize) -> Result<usize, ArithmeticError> {
        let Some(index) = self.big() else {
            return Err(ArithmeticError("an index that is not a whole number"));
        };
        let index = if index.is_negative() { index + length } else { index };
        index.to_usize().filter(|index| *index < length).ok_or(ArithmeticError("an index out of range"))
    }
}
