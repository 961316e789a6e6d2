//! Numbers and arithmetic as in Python: integers of any size and floats of double precision. An error in
//! Python is an [`ArithmeticError`] here. Floating-point functions come from `libm` and give the same bits on
//! every machine.

mod float;
mod functions;

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::{FromPrimitive, Signed, ToPrimitive, Zero};

use crate::formula::Binary;
pub(crate) use float::{floor_divide, modulo, round};
pub(crate) use functions::{Decimals, FUNCTIONS, Kind, Rounding};
pub use functions::{Function, function};

/// A Python number.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A whole number outside the range of `i64`.
    Big(BigInt),
    /// A float.
    Float(f64),
}

/// An arithmetic error in Python: why an expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArithmeticError(pub &'static str);

pub(crate) const DIVISION: ArithmeticError = ArithmeticError("division by 0");
pub(crate) const OVERFLOW: ArithmeticError = ArithmeticError("a number beyond the largest float");
pub(crate) const DOMAIN: ArithmeticError = ArithmeticError("an argument outside the domain of the function");
const COMPLEX: ArithmeticError = ArithmeticError("a negative number to a fractional power, which is complex");
const ZERO_POWER: ArithmeticError = ArithmeticError("0 to a negative power");
const TOO_LONG: ArithmeticError = ArithmeticError("a whole number of more than 131,072 binary digits");

/// The maximum size of a whole number in binary digits; larger ones are slow.
const MAX_BITS: u64 = 1 << 17;

/// The largest range in which every whole number is a float.
const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;

impl From<BigInt> for Number {
    fn from(big: BigInt) -> Self {
        big.to_i64().map_or(Self::Big(big), Self::Int)
    }
}

impl From<bool> for Number {
    fn from(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }
}

impl Number {
    /// An integer if the number is whole, as a step is.
    pub(crate) fn counted(x: f64) -> Self {
        if x.fract() == 0.0 && x.abs() <= EXACT as f64 { Self::Int(x as i64) } else { Self::Float(x) }
    }

    /// Parses a Python literal: digits with optional `_`, point and exponent. `None` if it is not a number or
    /// overflows a float.
    pub fn literal(text: &str) -> Option<Self> {
        let plain = text.replace('_', "");
        if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        if plain.bytes().all(|byte| byte.is_ascii_digit()) {
            return BigInt::parse_bytes(plain.as_bytes(), 10).map(Self::from);
        }
        plain.parse::<f64>().ok().filter(|x| x.is_finite()).map(Self::Float)
    }

    /// The integer of a whole float.
    pub(crate) fn whole(x: f64) -> Result<Self, ArithmeticError> {
        BigInt::from_f64(x).map(Self::from).ok_or(OVERFLOW)
    }

    /// The nearest float.
    ///
    /// # Errors
    /// It overflows a float.
    pub fn float(&self) -> Result<f64, ArithmeticError> {
        match self {
            Self::Int(i) => Ok(*i as f64),
            Self::Big(big) => big.to_f64().filter(|x| x.is_finite()).ok_or(OVERFLOW),
            Self::Float(x) => Ok(*x),
        }
    }

    /// Whether it is true in Python.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Int(i) => *i != 0,
            Self::Big(_) => true,
            Self::Float(x) => *x != 0.0,
        }
    }

    /// The integer; `None` for a float.
    pub(crate) fn big(&self) -> Option<BigInt> {
        match self {
            Self::Int(i) => Some(BigInt::from(*i)),
            Self::Big(big) => Some(big.clone()),
            Self::Float(_) => None,
        }
    }

    /// The negated number.
    pub fn minus(&self) -> Self {
        match self {
            Self::Int(i) => i.checked_neg().map_or_else(|| Self::from(-BigInt::from(*i)), Self::Int),
            Self::Big(big) => Self::from(-big),
            Self::Float(x) => Self::Float(-x),
        }
    }

    pub(crate) fn abs(&self) -> Self {
        match self {
            Self::Float(x) => Self::Float(x.abs()),
            whole if whole.is_negative() => whole.minus(),
            whole => whole.clone(),
        }
    }

    fn is_negative(&self) -> bool {
        match self {
            Self::Int(i) => *i < 0,
            Self::Big(big) => big.is_negative(),
            Self::Float(x) => *x < 0.0,
        }
    }

    /// Compares exactly, for any size; `None` if one is NaN.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Float(x), whole) => compare_float(*x, whole),
            (whole, Self::Float(x)) => compare_float(*x, whole).map(Ordering::reverse),
            (a, b) => Some(a.big()?.cmp(&b.big()?)),
        }
    }

    /// Applies a binary operator. Comparisons return 1 or 0, `and` and `or` one of the operands.
    ///
    /// # Errors
    /// Python raises an error there.
    pub fn binary(sign: Binary, a: &Self, b: &Self) -> Result<Self, ArithmeticError> {
        let compared = |holds: fn(Ordering) -> bool| Ok(Self::from(a.compare(b).is_some_and(holds)));
        match sign {
            Binary::Add => joined(a, b, i64::checked_add, |a, b| a + b, |x, y| x + y),
            Binary::Subtract => joined(a, b, i64::checked_sub, |a, b| a - b, |x, y| x - y),
            Binary::Multiply => joined(a, b, i64::checked_mul, |a, b| a * b, |x, y| x * y),
            Binary::Divide | Binary::DivideDown | Binary::Remainder if !b.is_true() => Err(DIVISION),
            Binary::Divide => divide(a, b),
            Binary::DivideDown => {
                joined(a, b, floor_divide_whole, |a, b| num_integer::Integer::div_floor(&a, &b), floor_divide)
            }
            Binary::Remainder => {
                joined(a, b, modulo_whole, |a, b| num_integer::Integer::mod_floor(&a, &b), modulo)
            }
            Binary::Power => power(a, b),
            Binary::Decimals => functions::decimals(Decimals::Nearest, a, b),
            Binary::Least => Ok(if b.compare(a) == Some(Ordering::Less) { b.clone() } else { a.clone() }),
            Binary::Greatest => {
                Ok(if b.compare(a) == Some(Ordering::Greater) { b.clone() } else { a.clone() })
            }
            Binary::Less => compared(Ordering::is_lt),
            Binary::AtMost => compared(Ordering::is_le),
            Binary::Greater => compared(Ordering::is_gt),
            Binary::AtLeast => compared(Ordering::is_ge),
            Binary::Equal => compared(Ordering::is_eq),
            Binary::Unequal => Ok(Self::from(a.compare(b) != Some(Ordering::Equal))),
            Binary::And => Ok(if a.is_true() { b.clone() } else { a.clone() }),
            Binary::Or => Ok(if a.is_true() { a.clone() } else { b.clone() }),
        }
    }
}

/// Compares a float with an integer exactly, without rounding the integer.
fn compare_float(x: f64, whole: &Number) -> Option<Ordering> {
    if x.is_infinite() {
        return x.partial_cmp(&0.0);
    }
    let floor = BigInt::from_f64(x.floor())?;
    Some(floor.cmp(&whole.big()?).then(if x > x.floor() { Ordering::Greater } else { Ordering::Equal }))
}

/// Arithmetic in integers if both operands are integers, otherwise in floats.
fn joined(
    a: &Number,
    b: &Number,
    short: fn(i64, i64) -> Option<i64>,
    long: fn(BigInt, BigInt) -> BigInt,
    float: fn(f64, f64) -> f64,
) -> Result<Number, ArithmeticError> {
    if let (Number::Int(a), Number::Int(b)) = (a, b)
        && let Some(i) = short(*a, *b)
    {
        return Ok(Number::Int(i));
    }
    let Some((a, b)) = a.big().zip(b.big()) else { return Ok(Number::Float(float(a.float()?, b.float()?))) };
    match long(a, b) {
        result if result.bits() > MAX_BITS => Err(TOO_LONG),
        result => Ok(result.into()),
    }
}

fn floor_divide_whole(a: i64, b: i64) -> Option<i64> {
    let quotient = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) { quotient - 1 } else { quotient })
}

fn modulo_whole(a: i64, b: i64) -> Option<i64> {
    let rest = a.checked_rem(b)?;
    Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
}

/// Divides integers exactly and rounds once.
fn divide(a: &Number, b: &Number) -> Result<Number, ArithmeticError> {
    let is_exact = |number: &Number| match number {
        Number::Int(i) => i.unsigned_abs() <= EXACT.unsigned_abs(),
        Number::Big(_) => false,
        Number::Float(_) => true,
    };
    let whole = match (a, b) {
        _ if is_exact(a) && is_exact(b) => None,
        _ => a.big().zip(b.big()),
    };
    let Some((a, b)) = whole else { return Ok(Number::Float(a.float()? / b.float()?)) };
    // More digits than a float holds; the last bit is set if there is a remainder.
    let shift = (b.bits() + 66).saturating_sub(a.bits());
    let (mut quotient, rest) = num_integer::Integer::div_rem(&(a.magnitude() << shift), b.magnitude());
    if !rest.is_zero() {
        quotient.set_bit(0, true);
    }
    let quotient = quotient.to_f64().unwrap_or(f64::INFINITY);
    let quotient = libm::ldexp(quotient, -i32::try_from(shift).unwrap_or(i32::MAX));
    match quotient.is_finite() {
        true => Ok(Number::Float(if a.is_negative() == b.is_negative() { quotient } else { -quotient })),
        false => Err(OVERFLOW),
    }
}

fn power(a: &Number, b: &Number) -> Result<Number, ArithmeticError> {
    if let (Some(base), Number::Int(exponent @ 0..)) = (a.big(), b) {
        if let (Number::Int(a), Ok(exponent)) = (a, u32::try_from(*exponent))
            && let Some(i) = a.checked_pow(exponent)
        {
            return Ok(Number::Int(i));
        }
        let bits = base.bits().saturating_sub(1).saturating_mul(exponent.unsigned_abs());
        return match u32::try_from(*exponent) {
            Ok(exponent) if bits <= MAX_BITS => Ok(base.pow(exponent).into()),
            // Every power of 0, 1 and -1 is small.
            _ if base.bits() <= 1 => Ok(if exponent % 2 == 0 { base.abs() } else { base }.into()),
            _ => Err(TOO_LONG),
        };
    }
    let (a, b) = (a.float()?, b.float()?);
    match libm::pow(a, b) {
        _ if a == 0.0 && b < 0.0 => Err(ZERO_POWER),
        result if result.is_nan() && !a.is_nan() && !b.is_nan() => Err(COMPLEX),
        result if result.is_infinite() && a.is_finite() && b.is_finite() => Err(OVERFLOW),
        result => Ok(Number::Float(result)),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]
mod tests {
    use super::{Binary, Number, function};

    /// The output of `scripts/print-python-arithmetic` with CPython 3.11.
    const TABLE: &str = include_str!("../../tests/python-arithmetic.txt");

    fn number(text: &str) -> Number {
        match text.strip_prefix('-') {
            Some(text) => number(text).minus(),
            None => Number::literal(text).unwrap_or_else(|| panic!("{text} is not a number")),
        }
    }

    /// Whether two numbers have the same type and the same bits.
    fn same(a: &Number, b: &Number) -> bool {
        match (a, b) {
            (Number::Float(a), Number::Float(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        }
    }

    #[test]
    fn arithmetic_matches_cpython() {
        let mut misses = Vec::new();
        let mut count = 0;
        for line in TABLE.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [sign, a, b, wanted] = words.as_slice() else { panic!("{line}") };
            let (a, b) = (number(a), number(b));
            let binary = |sign| Number::binary(sign, &a, &b);
            let found = match *sign {
                "//" => binary(Binary::DivideDown),
                "%" => binary(Binary::Remainder),
                "/" => binary(Binary::Divide),
                "+" => binary(Binary::Add),
                "*" => binary(Binary::Multiply),
                "**" => binary(Binary::Power),
                "<" => binary(Binary::Less),
                "==" => binary(Binary::Equal),
                "round" => function("round").expect("a known function").value(&[], &[a.clone(), b.clone()]),
                _ => panic!("{line}"),
            };
            let right = match &found {
                Ok(found) => *wanted != "error" && same(found, &number(wanted)),
                Err(_) => *wanted == "error",
            };
            if !right {
                misses.push(format!("{line}, found {found:?}"));
            }
            count += 1;
        }
        assert!(count > 5000, "{count} lines");
        assert!(misses.is_empty(), "{} of {count}:\n{}", misses.len(), misses.join("\n"));
    }

    #[test]
    fn integers_have_a_maximum_size() {
        let power = |a: &str, b: &str| Number::binary(Binary::Power, &number(a), &number(b));
        assert_eq!(power("2", "131072").map(|n| n.float()), Ok(Err(super::OVERFLOW)));
        assert_eq!(power("3", "1000000000000"), Err(super::TOO_LONG));
        assert_eq!(power("1", "1000000000000"), Ok(Number::Int(1)));
        assert_eq!(power("-1", "1000000000001").map(|n| n.float()), Ok(Ok(-1.0)));
        let tiny = Number::binary(Binary::Divide, &Number::Int(1), &power("2", "1000").expect("short"));
        assert_eq!(tiny, Ok(Number::Float(libm::ldexp(1.0, -1000))));
        assert_eq!(number("1").compare(&Number::Float(f64::INFINITY)), Some(std::cmp::Ordering::Less));
    }
}
