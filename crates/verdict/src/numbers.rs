//! Formats numbers for tables and sentences.

/// A learning rate: the shortest text that reads back as the same number, as in `0.03` or `1e-5`.
pub fn lr(x: f64) -> String {
    match x {
        0.0 => "0".to_owned(),
        x if PLAIN.contains(&x.abs()) => x.to_string(),
        x => format!("{x:e}"),
    }
}

/// A computed number: up to four significant digits without trailing zeros, as in `0.03` or `1e-5`.
pub fn short(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if !PLAIN.contains(&x.abs()) {
        return scientific(x, 3);
    }
    let digits = 3 - x.abs().log10().floor() as i32;
    trim(&format!("{x:.*}", usize::try_from(digits.max(0)).unwrap_or(0))).to_owned()
}

/// Absolute values that are written without an exponent.
const PLAIN: std::ops::Range<f64> = 1e-4..1e6;

/// With an exponent, and at most `decimals` decimals.
pub fn scientific(x: f64, decimals: usize) -> String {
    let text = format!("{x:.decimals$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trim(digits)),
        None => text,
    }
}

fn trim(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// Number of decimals of a mean, so that its standard deviation has two significant digits; 4 without a standard deviation.
pub fn decimals(sd: Option<f64>) -> usize {
    match sd {
        Some(sd) if sd > 0.0 && sd.is_finite() => {
            usize::try_from(1 - sd.log10().floor() as i32).unwrap_or(0).clamp(2, 6)
        }
        _ => 4,
    }
}

/// A number with `digits` decimals; a huge one as in `1.500e30`.
pub fn number(x: f64, digits: usize) -> String {
    if x.abs() >= 1e9 && x.is_finite() { format!("{x:.3e}") } else { format!("{x:.digits$}") }
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
    fn huge_numbers_are_short() {
        assert_eq!((number(1e308, 4), number(0.12345, 4)), ("1.000e308".to_owned(), "0.1235".to_owned()));
    }

    #[test]
    fn computed_numbers_are_rounded_and_learning_rates_are_exact() {
        for (x, rounded, exact) in [
            (0.1, "0.1", "0.1"),
            (1.0, "1", "1"),
            (1e-5, "1e-5", "1e-5"),
            (0.0316227766, "0.03162", "0.0316227766"),
            (0.1 + 0.2, "0.3", "0.30000000000000004"),
            (-1234.5678, "-1235", "-1234.5678"),
            (0.0, "0", "0"),
            (2.5e7, "2.5e7", "2.5e7"),
            (f64::INFINITY, "inf", "inf"),
        ] {
            assert_eq!((short(x), lr(x)), (rounded.to_owned(), exact.to_owned()));
            assert_eq!(lr(x).parse(), Ok(x), "it reads back as the same number");
        }
    }

    #[test]
    fn a_mean_has_as_many_decimals_as_its_spread_supports() {
        assert_eq!(decimals(Some(0.0021)), 4);
        assert_eq!(decimals(Some(0.5)), 2);
        assert_eq!(decimals(Some(1e-9)), 6);
        assert_eq!(decimals(None), 4);
    }
}
