//! Formats numbers for tables and sentences.

/// A learning rate in full: the shortest text that reads back as the same number, as in `0.03` or `1e-5`.
pub fn exact_lr(x: f64) -> String {
    match x {
        0.0 => "0".to_owned(),
        x if (SMALL..1e6).contains(&x.abs()) => x.to_string(),
        x => format!("{x:e}"),
    }
}

/// Numbers closer to 0 than this are written with an exponent.
const SMALL: f64 = 1e-3;

/// Significant digits of a number in a table or a sentence.
const DIGITS: usize = 4;

/// A learning rate or a computed number: up to four significant digits without trailing zeros, as in `0.03` or `1e-5`.
pub fn short(x: f64) -> String {
    rounded(x, DIGITS)
}

/// Up to `digits` significant digits, without trailing zeros.
pub fn rounded(x: f64, digits: usize) -> String {
    trimmed(&significant(x, digits))
}

/// `digits` significant digits; with an exponent if the number is small, or too large for its digits.
fn significant(x: f64, digits: usize) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    let after_first = digits.saturating_sub(1);
    let exponent = x.abs().log10().floor();
    if !x.is_finite() || x.abs() < SMALL || exponent >= digits as f64 + 2.0 {
        return format!("{x:.after_first$e}");
    }
    let decimals = after_first as i32 - exponent as i32;
    format!("{x:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// With an exponent, and at most `decimals` decimals.
pub fn scientific(x: f64, decimals: usize) -> String {
    trimmed(&format!("{x:.decimals$e}"))
}

/// Without trailing zeros after the decimal point.
fn trimmed(number: &str) -> String {
    let trim = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    match number.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trim(digits)),
        None => trim(number),
    }
}

/// How the numbers of one schedule or one pair are rounded, so that they can be compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To this number of decimals.
    Decimals(usize),
    /// To four significant digits each.
    Significant,
}

impl Rounding {
    /// Rounds to what the spread over seeds supports: the standard deviation has two significant digits. Four significant digits
    /// without a deviation, and for values near 0.
    pub fn of(value: Option<f64>, sd: Option<f64>) -> Self {
        let is_small = value.is_some_and(|value| value != 0.0 && value.abs() < SMALL);
        match sd {
            Some(sd) if sd > 0.0 && sd.is_finite() && !is_small => {
                let decimals = 1 - sd.log10().floor() as i32;
                Self::Decimals(usize::try_from(decimals).unwrap_or(0).clamp(2, 6))
            }
            _ => Self::Significant,
        }
    }

    /// The number. One that is not 0 is never shown as 0.
    pub fn number(self, x: f64) -> String {
        let decimals = match self {
            Self::Decimals(decimals) if x.abs() < 1e9 => decimals,
            _ => return significant(x, DIGITS),
        };
        let text = format!("{x:.decimals$}");
        let has_digit = text.contains(|c: char| c.is_ascii_digit() && c != '0');
        if has_digit || x == 0.0 { text } else { rounded(x, 2) }
    }

    /// The number with its sign.
    pub fn signed(self, x: f64) -> String {
        format!("{}{}", if x.is_sign_negative() { "" } else { "+" }, self.number(x))
    }
}

/// A fraction between 0 and 1 as a percentage.
pub fn accuracy(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The text with its first letter in upper case.
pub fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computed_numbers_are_rounded_and_exact_lrs_are_not() {
        for (x, rounded, exact) in [
            (0.1, "0.1", "0.1"),
            (1.0, "1", "1"),
            (1e-5, "1e-5", "1e-5"),
            (0.0003, "3e-4", "3e-4"),
            (0.0316227766, "0.03162", "0.0316227766"),
            (0.001_778_279_410_038_923, "0.001778", "0.001778279410038923"),
            (0.1 + 0.2, "0.3", "0.30000000000000004"),
            (-1234.5678, "-1235", "-1234.5678"),
            (0.0, "0", "0"),
            (2.5e7, "2.5e7", "2.5e7"),
            (f64::INFINITY, "inf", "inf"),
        ] {
            assert_eq!((short(x), exact_lr(x)), (rounded.to_owned(), exact.to_owned()));
            assert_eq!(exact_lr(x).parse(), Ok(x), "it reads back as the same number");
        }
    }

    #[test]
    fn numbers_have_the_requested_digits() {
        for (x, digits, text) in [
            (0.423_236_283, 7, "0.4232363"),
            (-12.5, 7, "-12.5"),
            (123_456.789, 7, "123456.8"),
            (3.214_159_26e-5, 7, "3.214159e-5"),
            (1e-7, 7, "1e-7"),
            (123_456_789.0, 7, "123456789"),
            (2.5e12, 7, "2.5e12"),
            (7.593, 1, "8"),
            (33.3, 1, "33"),
        ] {
            assert_eq!(rounded(x, digits), text);
        }
    }

    #[test]
    fn a_mean_has_as_many_decimals_as_its_spread_supports() {
        assert_eq!(Rounding::of(Some(0.0813), Some(0.0021)), Rounding::Decimals(4));
        assert_eq!(Rounding::of(Some(12.0), Some(0.5)), Rounding::Decimals(2));
        assert_eq!(Rounding::of(Some(0.05), Some(1e-9)), Rounding::Decimals(6));
        assert_eq!(Rounding::of(Some(0.05), None), Rounding::Significant);
        assert_eq!(Rounding::of(Some(3e-7), Some(1e-8)), Rounding::Significant);
    }

    #[test]
    fn a_number_is_never_shown_as_0_or_with_hundreds_of_digits() {
        let spread = Rounding::Decimals(4);
        for (x, by_spread, significant) in [
            (0.123_45, "0.1235", "0.1235"),
            (0.08, "0.0800", "0.08000"),
            (0.0, "0.0000", "0"),
            (3.214_159e-7, "3.2e-7", "3.214e-7"),
            (-0.000_04, "-4e-5", "-4.000e-5"),
            (1e308, "1.000e308", "1.000e308"),
        ] {
            assert_eq!(
                (spread.number(x), Rounding::Significant.number(x)),
                (by_spread.to_owned(), significant.to_owned())
            );
        }
        assert_eq!(
            (spread.signed(0.003), spread.signed(-0.003)),
            ("+0.0030".to_owned(), "-0.0030".to_owned())
        );
    }
}
