//! Expressions in Python syntax over the names of `Values`: `0.95 ** t`, `1 if t < 10 else 0.1`. An
//! expression is parsed once; syntax errors have their position in it. If Python would raise an error
//! (division by 0, root of a negative number), evaluation returns that error.
//!
//! The semantics are Python's: `**` binds more tightly than a minus before it and is right-associative, `//`
//! and `%` round towards minus infinity, `and` and `or` return one of their operands, comparisons are chained
//! and return 1 or 0, integers have any size. Lists are allowed before an index, after `in` and as arguments.

mod formula;
mod parse;
mod token;

use std::str::FromStr;

pub use parse::comparison;

use crate::formula::Binary;
use crate::number::{ArithmeticError, Function, Number};
pub(crate) use formula::Names;

/// The values of the names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values {
    /// `t`: the clock.
    pub(crate) t: f64,
    /// `T`: the length.
    pub(crate) length: f64,
    /// `epoch`: whole epochs since the start of the segment.
    pub(crate) epoch: f64,
    /// `base`: the base lr.
    pub(crate) base: f64,
}

/// A parsed expression.
#[derive(Debug)]
pub struct Expression {
    root: Term,
}

/// A syntax error in an expression.
#[derive(Debug)]
pub struct ParseError {
    /// The error.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
}

#[derive(Debug)]
enum Term {
    Number(Number),
    Name(Name),
    Minus(Box<Term>),
    Not(Box<Term>),
    /// Arithmetic, `and`, `or`.
    Binary(Binary, Box<Term>, Box<Term>),
    /// The first term and the terms that it is compared with.
    Compare(Box<Term>, Vec<(Comparison, Term)>),
    /// Condition, value if true, value if false.
    Choice(Box<[Term; 3]>),
    /// A function and its arguments; a list can only be the first.
    Call(&'static Function, Vec<Term>),
    /// A list. Only allowed before an index, after `in` or in a call.
    List(Vec<Term>),
    /// The entry of a list at an index.
    Item(Vec<Term>, Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Binary(Binary),
    /// Whether the right side, a list, contains the left.
    In,
    NotIn,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    T,
    Length,
    Epoch,
    Base,
    Pi,
    E,
    Infinity,
}

/// Every name.
const NAMES: &[(&str, Name)] = &[
    ("t", Name::T),
    ("T", Name::Length),
    ("epoch", Name::Epoch),
    ("base", Name::Base),
    ("pi", Name::Pi),
    ("e", Name::E),
    ("inf", Name::Infinity),
];

impl Name {
    /// Its value, if it is a constant.
    fn constant(self) -> Option<f64> {
        match self {
            Name::Pi => Some(std::f64::consts::PI),
            Name::E => Some(std::f64::consts::E),
            Name::Infinity => Some(f64::INFINITY),
            Name::T | Name::Length | Name::Epoch | Name::Base => None,
        }
    }
}

/// The names of all functions.
pub(crate) fn function_names() -> impl Iterator<Item = &'static str> {
    crate::number::FUNCTIONS.iter().map(|function| function.name)
}

impl FromStr for Expression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse::parse(text).map(|root| Self { root })
    }
}

impl Expression {
    /// Its value.
    ///
    /// # Errors
    /// Python would raise an error.
    pub(crate) fn value(&self, values: &Values) -> Result<f64, ArithmeticError> {
        self.root.value(values)?.float()
    }

    /// Whether it uses `epoch`.
    pub(crate) fn uses_epoch(&self) -> bool {
        self.root.uses(&|name| name == Name::Epoch)
    }

    /// Whether it uses a name whose value is not constant.
    pub(crate) fn uses_variables(&self) -> bool {
        self.root.uses(&|name| name.constant().is_none())
    }
}

impl Term {
    fn value(&self, values: &Values) -> Result<Number, ArithmeticError> {
        match self {
            Term::Number(number) => Ok(number.clone()),
            Term::Name(name) => Ok(match name {
                Name::T => Number::counted(values.t),
                Name::Length => Number::counted(values.length),
                Name::Epoch => Number::counted(values.epoch),
                Name::Base => Number::Float(values.base),
                name => Number::Float(name.constant().unwrap_or(f64::NAN)),
            }),
            Term::Minus(x) => Ok(x.value(values)?.minus()),
            Term::Not(x) => Ok(Number::from(!x.value(values)?.is_true())),
            Term::Binary(Binary::And, a, b) => match a.value(values)? {
                a if a.is_true() => b.value(values),
                a => Ok(a),
            },
            Term::Binary(Binary::Or, a, b) => match a.value(values)? {
                a if a.is_true() => Ok(a),
                _ => b.value(values),
            },
            Term::Binary(sign, a, b) => Number::binary(*sign, &a.value(values)?, &b.value(values)?),
            Term::Compare(first, rest) => compare(first, rest, values),
            Term::Choice(terms) => {
                let [condition, yes, no] = terms.as_ref();
                if condition.value(values)?.is_true() { yes.value(values) } else { no.value(values) }
            }
            Term::Call(function, arguments) => match arguments.as_slice() {
                [Term::List(list), arguments @ ..] => {
                    function.value(&each(list, values)?, &each(arguments, values)?)
                }
                arguments => function.value(&[], &each(arguments, values)?),
            },
            Term::List(_) => Err(ArithmeticError("a list instead of a number")),
            Term::Item(list, index) => {
                let index = index.value(values)?.index(list.len())?;
                each(list, values)?.into_iter().nth(index).ok_or(ArithmeticError("an index out of range"))
            }
        }
    }

    fn uses(&self, what: &dyn Fn(Name) -> bool) -> bool {
        match self {
            Term::Number(_) => false,
            Term::Name(name) => what(*name),
            Term::Minus(x) | Term::Not(x) => x.uses(what),
            Term::Binary(_, a, b) => a.uses(what) || b.uses(what),
            Term::Compare(first, rest) => first.uses(what) || rest.iter().any(|(_, term)| term.uses(what)),
            Term::Choice(terms) => terms.iter().any(|term| term.uses(what)),
            Term::Call(_, terms) | Term::List(terms) => terms.iter().any(|term| term.uses(what)),
            Term::Item(list, index) => index.uses(what) || list.iter().any(|term| term.uses(what)),
        }
    }
}

fn each(terms: &[Term], values: &Values) -> Result<Vec<Number>, ArithmeticError> {
    terms.iter().map(|term| term.value(values)).collect()
}

/// Whether all comparisons are true. Those after the first false one are not evaluated.
fn compare(first: &Term, rest: &[(Comparison, Term)], values: &Values) -> Result<Number, ArithmeticError> {
    let mut left = first.value(values)?;
    for (comparison, right) in rest {
        let holds = match (comparison, right) {
            (Comparison::Binary(sign), right) => {
                let right = right.value(values)?;
                let holds = Number::binary(*sign, &left, &right)?.is_true();
                left = right;
                holds
            }
            (Comparison::In | Comparison::NotIn, Term::List(list)) => {
                let held = each(list, values)?.iter().any(|entry| is_equal(entry, &left));
                held == (*comparison == Comparison::In)
            }
            _ => return Err(ArithmeticError("`in` without a list")),
        };
        if !holds {
            return Ok(Number::from(false));
        }
    }
    Ok(Number::from(true))
}

fn is_equal(a: &Number, b: &Number) -> bool {
    a.compare(b).is_some_and(std::cmp::Ordering::is_eq)
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]
mod tests {
    use super::{Expression, Values};

    const VALUES: Values = Values { t: 7.0, length: 20.0, epoch: 3.0, base: 0.5 };

    fn value(text: &str) -> f64 {
        match text.parse::<Expression>() {
            Ok(expression) => expression.value(&VALUES).unwrap_or_else(|error| panic!("{text}: {error:?}")),
            Err(error) => panic!("{text}: {error:?}"),
        }
    }

    #[test]
    fn arithmetic_reads_as_python_does() {
        for (text, wanted) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("16 / 4 / 2", 2.0),
            ("2 ** 3 ** 2", 512.0),
            ("-2 ** 2", -4.0),
            ("2 ** -1", 0.5),
            ("2 * -3", -6.0),
            ("+5", 5.0),
            ("- - 5", 5.0),
            ("-7 // 2", -4.0),
            ("-7 % 3", 2.0),
            ("7 % -3", -2.0),
            ("7.5 % 2", 1.5),
            ("2 * 7 % 4", 2.0),
            (".5 + 1e-1 + 2.", 2.6),
            ("1e3", 1000.0),
            ("t + T + epoch + base", 30.5),
            ("cos(pi)", -1.0),
            ("min(3, t, 5)", 3.0),
            ("max(t, T)", 20.0),
            ("min(2)", 2.0),
            ("pow(2, 5)", 32.0),
            ("floor(2.7) + ceil(2.1) + abs(-1) + sqrt(16)", 10.0),
            ("exp(0) + log(1) + log2(8) + log10(100) + sin(0) + tan(0) + tanh(0)", 6.0),
        ] {
            let found = value(text);
            assert!((found - wanted).abs() < 1e-12, "{text} is {found}, not {wanted}");
        }
    }

    #[test]
    fn conditions_read_as_python_does() {
        for (text, wanted) in [
            ("1 if t == 7 else 2", 1.0),
            ("1 if t != 7 else 2 if t > 7 else 3", 3.0),
            ("(1 if t < 7 else 2) + 10", 12.0),
            ("1 + 1 if t <= 7 else 10", 2.0),
            ("not t >= 8", 1.0),
            ("t > 3 and T > 30", 0.0),
            ("t > 3 or 5 / 0", 1.0),
            ("1 < t < 9", 1.0),
            ("1 < t < 7", 0.0),
            ("9 < t < 5 / 0", 0.0),
            ("0 < t - 1 < t <= 7 != 8", 1.0),
            ("t in (1, 7)", 1.0),
            ("t in [1, 2] or t not in (7,)", 0.0),
            ("not t in (8, 9)", 1.0),
            ("0 and 1 or 4", 4.0),
            ("not 0 and 3", 3.0),
            ("t % 5 == 2", 1.0),
        ] {
            assert_eq!(value(text), wanted, "{text}");
        }
    }

    /// The results of CPython 3.11 and numpy 2 for the same text, with `math.` and `np.` before the
    /// functions.
    #[test]
    fn functions_match_python() {
        for (text, wanted) in [
            ("round(0.5) + round(1.5) + round(2.5)", 4.0),
            ("round(2.675, 2)", 2.67),
            ("round(1250, -2) + round(-0.125, 2)", 1199.88),
            ("int(-2.7) + int(2.7) + trunc(-0.5)", 0.0),
            ("around(2.675, 2)", 2.68),
            ("log(1000, 10)", 2.9999999999999996),
            ("log1p(0.5) + expm1(0.5)", 1.0541863788082926),
            ("fmod(-7, 3) + mod(-7, 3)", 1.0),
            ("clip(t, 0, 5) + minimum(t, 3) + maximum(t, 3)", 15.0),
            ("power(2, 3) + where(t > 3, 1, 2)", 9.0),
            ("e + 0 * min(inf, t)", std::f64::consts::E),
            ("[1, 0.5, 0.1][t // 3] + (1, 2)[-1]", 2.1),
            ("sum([t > 3, t > 6, t > 9]) + len((1, 2))", 4.0),
            ("min([3, t]) + max((3, t))", 10.0),
            ("bisect_right([3, 7, 9], t) + bisect_left([3, 7, 9], t) + bisect([9], t)", 3.0),
            ("0.5 ** ((5 / 10) // 0.1)", 0.0625),
            ("1 // 0.1", 9.0),
            ("(10 ** 17 + 1) % 10", 1.0),
            ("2 ** 100 // 2 ** 98 + (2 ** 53 + 1) % 2", 5.0),
            ("1 / 2 ** 1100 * 2 ** 1000", 0.0),
            ("sinh(1) + cosh(1) + asin(1) + acos(1) + atan(1)", 5.0744763186513895),
        ] {
            let found = value(text);
            assert!((found - wanted).abs() <= 1e-15 * wanted.abs(), "{text} is {found}, not {wanted}");
        }
    }

    #[test]
    fn the_documentation_of_lambda_lists_every_function() {
        let page = crate::leaf::lambda::ENTRY.formula;
        for name in super::function_names() {
            assert!(page.contains(&format!(" {name},")) || page.contains(&format!(" {name}.")), "{name}");
        }
    }

    #[test]
    fn python_errors_are_errors() {
        for (text, error) in [
            ("0 / 0", "division by 0"),
            ("1 / 0", "division by 0"),
            ("1 % 0", "division by 0"),
            ("1 // 0.0", "division by 0"),
            ("min(1, 1 / 0)", "division by 0"),
            ("0 ** -0.5", "0 to a negative power"),
            ("(-1) ** 0.5", "complex"),
            ("sqrt(-1)", "domain"),
            ("log(0)", "the logarithm of 0 or less"),
            ("exp(1000)", "beyond the largest float"),
            ("10 ** 400 * 1.0", "beyond the largest float"),
            ("[1, 2][2]", "an index out of range"),
            ("[1, 2][t / 7]", "not a whole number"),
            ("fmod(1, 0)", "division by 0"),
        ] {
            let expression = text.parse::<Expression>().expect(text);
            let found = expression.value(&VALUES).expect_err(text);
            assert!(found.0.contains(error), "{text}: {found:?}");
        }
    }

    #[test]
    fn errors_have_their_position() {
        for (text, message) in [
            ("", "expected a number, a name or `(`, found the end"),
            ("1 +", "expected a number, a name or `(`, found the end"),
            ("1 + * 2", "expected a number, a name or `(`, found `*` at character 5"),
            ("(1 + 2", "expected `)`, found the end"),
            ("2 t", "expected an operator, found `t` at character 3"),
            ("1 if t", "expected `else`, found the end"),
            ("t in 3", "expected a list, as in `t in (1, 2)`, found `3` at character 6"),
            (
                "t in (1, 2) < 3",
                "expected `and`, `or` or the end of the comparison, found `<` at character 13",
            ),
            ("[1, 2] + 1", "expected a number, found a list at character 1"),
            ("1 + (1, 2)", "expected a number, found a list at character 5"),
            ("cos([1, 2])", "`cos` at character 1 takes numbers, not a list"),
            ("len(3)", "`len` at character 1 takes a list first"),
            ("log(1, 2, 3)", "`log` at character 1 takes 1 or 2 values, not 3"),
            ("[[1, 2], 3][0]", "a list of lists"),
            ("step + 1", "unknown name `step` at character 1"),
            ("foo(1)", "unknown function `foo` at character 1"),
            ("cos", "`cos` at character 1 is a function"),
            ("cos(1, 2)", "`cos` at character 1 takes 1 value, not 2"),
            ("pow(1)", "`pow` at character 1 takes 2 values, not 1"),
            ("t(1)", "`t` at character 1 is not a function"),
            ("2 ^ 3", "`^` at character 3 is not an operator"),
            ("t = 3", "`=` at character 3 is not an operator"),
            ("math.pi", "`.` at character 5 is not an operator"),
            ("1.2.3", "`1.2.3` at character 1 is not a number"),
            ("1e999", "`1e999` at character 1 is not a number"),
            ("ä", "`ä` at character 1 is not an operator"),
        ] {
            let error = text.parse::<Expression>().expect_err(text);
            assert!(error.message.contains(message), "{text}: {}", error.message);
        }
    }

    #[test]
    fn errors_have_a_hint() {
        for (text, hint) in [
            ("Epoch", "did you mean `epoch`?"),
            ("coss(t)", "did you mean `cos`?"),
            ("wholly", "known: `t`, `T`, `epoch`, `base`, `pi`, `e` and `inf`"),
            ("2 ^ 3", "write a power with `**`"),
            ("t = 3", "write equality with `==`"),
            ("math.pi", "write names without a module"),
        ] {
            let error = text.parse::<Expression>().expect_err(text);
            assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {error:?}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        for text in [
            format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
            "-".repeat(10_000),
            "2**".repeat(10_000),
            "not ".repeat(10_000),
            "1 if 1 else ".repeat(10_000),
            format!("1{}", "+1".repeat(10_000)),
        ] {
            assert!(text.parse::<Expression>().is_err());
        }
        let long = format!("1{}", "+1".repeat(100)).parse::<Expression>().expect("not too long");
        assert_eq!(long.value(&VALUES), Ok(101.0));
    }
}
