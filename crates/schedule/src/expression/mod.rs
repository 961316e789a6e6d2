//! Arithmetic as Python writes it, over the names of [`Values`]: `0.95 ** t`, `1 if t < 10 else 0.1`.
//! An expression is read once, with its mistakes told by their place in it; working it out can't fail: what
//! has no value (a division by 0, the root of a negative number) is NaN or infinite, for the caller to judge.
//!
//! It reads as Python does: `**` binds more tightly than a minus before it and groups from the right, `//`
//! and `%` round towards minus infinity, `and` and `or` give one of their sides. Comparisons give 1 or 0 and
//! are not chained. Functions are those of `libm`: the same bits on every machine.

mod formula;
mod parse;
mod token;

use std::str::FromStr;

use crate::formula::Binary;
pub(crate) use formula::Names;

/// What the names stand for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values {
    /// `t`: the clock.
    pub(crate) t: f64,
    /// `T`: the length.
    pub(crate) length: f64,
    /// `epoch`: whole epochs since the begin.
    pub(crate) epoch: f64,
    /// `base`: the base lr.
    pub(crate) base: f64,
}

/// An expression that was read.
#[derive(Debug)]
pub(crate) struct Expression {
    root: Term,
}

/// What is wrong with an expression.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

#[derive(Debug)]
enum Term {
    Number(f64),
    Name(Name),
    Unary(Unary, Box<Term>),
    Binary(Binary, Box<Term>, Box<Term>),
    /// Condition, value if it holds, value if not.
    Choice(Box<[Term; 3]>),
    /// The least or the greatest of one or more.
    Least(Vec<Term>),
    Greatest(Vec<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Name {
    T,
    Length,
    Epoch,
    Base,
    Pi,
}

/// Every name.
const NAMES: &[(&str, Name)] =
    &[("t", Name::T), ("T", Name::Length), ("epoch", Name::Epoch), ("base", Name::Base), ("pi", Name::Pi)];

#[derive(Debug, Clone, Copy)]
enum Unary {
    Minus,
    Not,
    Function(&'static str, Function),
}

/// A function of one number.
type Function = fn(f64) -> f64;

/// Every one of those; `min`, `max` and `pow` take more.
const FUNCTIONS: &[(&str, Function)] = &[
    ("abs", f64::abs),
    ("ceil", f64::ceil),
    ("cos", libm::cos),
    ("exp", libm::exp),
    ("float", |x| x),
    ("floor", f64::floor),
    ("int", f64::trunc),
    ("log", libm::log),
    ("log10", libm::log10),
    ("log2", libm::log2),
    ("sin", libm::sin),
    ("sqrt", f64::sqrt),
    ("tan", libm::tan),
    ("tanh", libm::tanh),
];

impl FromStr for Expression {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        parse::parse(text).map(|root| Self { root })
    }
}

impl Expression {
    /// Its value.
    pub(crate) fn value(&self, values: &Values) -> f64 {
        self.root.value(values)
    }

    /// Whether it says `epoch`.
    pub(crate) fn says_epoch(&self) -> bool {
        self.root.says(&|name| name == Name::Epoch)
    }

    /// Whether it says anything that may change from step to step.
    pub(crate) fn says_names(&self) -> bool {
        self.root.says(&|name| name != Name::Pi)
    }
}

impl Term {
    fn value(&self, values: &Values) -> f64 {
        match self {
            Term::Number(x) => *x,
            Term::Name(Name::T) => values.t,
            Term::Name(Name::Length) => values.length,
            Term::Name(Name::Epoch) => values.epoch,
            Term::Name(Name::Base) => values.base,
            Term::Name(Name::Pi) => std::f64::consts::PI,
            Term::Unary(unary, x) => unary.of(x.value(values)),
            Term::Binary(Binary::And, a, b) => match a.value(values) {
                0.0 => 0.0,
                _ => b.value(values),
            },
            Term::Binary(Binary::Or, a, b) => match a.value(values) {
                0.0 => b.value(values),
                a => a,
            },
            Term::Binary(binary, a, b) => binary.of(a.value(values), b.value(values)),
            Term::Choice(terms) => {
                let [condition, yes, no] = terms.as_ref();
                if condition.value(values) == 0.0 { no.value(values) } else { yes.value(values) }
            }
            Term::Least(terms) => of_all(terms, values, f64::min),
            Term::Greatest(terms) => of_all(terms, values, f64::max),
        }
    }

    fn says(&self, what: &dyn Fn(Name) -> bool) -> bool {
        match self {
            Term::Number(_) => false,
            Term::Name(name) => what(*name),
            Term::Unary(_, x) => x.says(what),
            Term::Binary(_, a, b) => a.says(what) || b.says(what),
            Term::Choice(terms) => terms.iter().any(|term| term.says(what)),
            Term::Least(terms) | Term::Greatest(terms) => terms.iter().any(|term| term.says(what)),
        }
    }
}

/// The least or greatest value; NaN if any is.
fn of_all(terms: &[Term], values: &Values, of: fn(f64, f64) -> f64) -> f64 {
    let both = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { of(a, b) };
    terms.iter().map(|term| term.value(values)).reduce(both).unwrap_or(f64::NAN)
}

impl Unary {
    fn of(self, x: f64) -> f64 {
        match self {
            Unary::Minus => -x,
            Unary::Not => f64::from(x == 0.0),
            Unary::Function(_, function) => function(x),
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::panic, reason = "in a test that is how to fail")]
mod tests {
    use super::{Expression, Values};

    const VALUES: Values = Values { t: 7.0, length: 20.0, epoch: 3.0, base: 0.5 };

    fn value(text: &str) -> f64 {
        match text.parse::<Expression>() {
            Ok(expression) => expression.value(&VALUES),
            Err(mistake) => panic!("{text}: {mistake:?}"),
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
            ("0 and 1 or 4", 4.0),
            ("not 0 and 3", 3.0),
            ("t % 5 == 2", 1.0),
        ] {
            assert_eq!(value(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_has_no_value_is_no_number() {
        for text in ["0 / 0", "sqrt(-1)", "min(1, 0 / 0)", "max(0 / 0, 1)", "(-1) ** 0.5", "1 % 0", "log(-1)"]
        {
            assert!(value(text).is_nan(), "{text}");
        }
        assert_eq!(value("1 / 0"), f64::INFINITY);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (text, message) in [
            ("", "expected a number, a name or `(`, found the end"),
            ("1 +", "expected a number, a name or `(`, found the end"),
            ("1 + * 2", "expected a number, a name or `(`, found `*` at character 5"),
            ("(1 + 2", "expected `)`, found the end"),
            ("2 t", "expected an operator, found `t` at character 3"),
            ("1 if t", "expected `else`, found the end"),
            ("1 < t < 3", "comparisons can't be chained: `<` at character 7"),
            ("step + 1", "there is no name `step` at character 1"),
            ("foo(1)", "there is no function `foo` at character 1"),
            ("cos", "`cos` at character 1 is a function"),
            ("cos(1, 2)", "`cos` at character 1 takes 1 value, not 2"),
            ("pow(1)", "`pow` at character 1 takes 2 values, not 1"),
            ("t(1)", "`t` at character 1 is no function"),
            ("2 ^ 3", "`^` at character 3 is no operator"),
            ("t = 3", "`=` at character 3 is no operator"),
            ("math.pi", "`.` at character 5 is no operator"),
            ("1.2.3", "`1.2.3` at character 1 is no number"),
            ("1e999", "`1e999` at character 1 is no number"),
            ("ä", "`ä` at character 1 is no operator"),
        ] {
            let mistake = text.parse::<Expression>().expect_err(text);
            assert!(mistake.message.contains(message), "{text}: {}", mistake.message);
        }
    }

    #[test]
    fn hints_name_what_was_probably_meant() {
        for (text, hint) in [
            ("Epoch", "did you mean `epoch`?"),
            ("coss(t)", "did you mean `cos`?"),
            ("wholly", "known: `t`, `T`, `epoch`, `base` and `pi`"),
            ("2 ^ 3", "a power is written `**`"),
            ("t = 3", "equality is written `==`"),
            ("math.pi", "names stand alone"),
            ("1 < t < 3", "and"),
        ] {
            let mistake = text.parse::<Expression>().expect_err(text);
            assert!(mistake.hint.as_deref().unwrap_or_default().contains(hint), "{text}: {mistake:?}");
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
        assert_eq!(long.value(&VALUES), 101.0);
    }
}
