//! Numbers as people read them in a terminal table.

/// A learning rate: up to four significant digits, no trailing zeros, as in `0.03` or `1e-5`.
pub fn lr(x: f64) -> String {
    if x == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e6).contains(&x.abs()) {
        let text = format!("{x:.3e}");
        return match text.split_once('e') {
            Some((digits, exponent)) => format!("{}e{exponent}", trim(digits)),
            None => text,
        };
    }
    let digits = 3 - x.abs().log10().floor() as i32;
    trim(&format!("{x:.*}", usize::try_from(digits.max(0)).unwrap_or(0))).to_owned()
}

fn trim(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// How many decimals show a mean so that its spread has two significant digits; 4 without a spread.
pub fn decimals(sd: Option<f64>) -> usize {
    match sd {
        Some(sd) if sd > 0.0 && sd.is_finite() => {
            usize::try_from(1 - sd.log10().floor() as i32).unwrap_or(0).clamp(2, 6)
        }
        _ => 4,
    }
}

/// A number with so many decimals, or as in `1.500e30` where it is huge.
pub fn number(x: f64, digits: usize) -> String {
    if x.abs() >= 1e9 && x.is_finite() { format!("{x:.3e}") } else { format!("{x:.digits$}") }
}

/// A share between 0 and 1 in per cent.
pub fn accuracy(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// The text with a capital at its beginning.
pub(crate) fn capital(text: &str) -> String {
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
    fn learning_rates_are_short() {
        for (x, text) in [
            (0.1, "0.1"),
            (0.03, "0.03"),
            (1.0, "1"),
            (1e-5, "1e-5"),
            (0.0316227766, "0.03162"),
            (1234.5678, "1235"),
            (0.0, "0"),
            (2.5e7, "2.5e7"),
        ] {
            assert_eq!(lr(x), text);
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
