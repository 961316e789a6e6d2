//! Spellings that are text here, but a number, a boolean or null in other YAML readers or languages.

/// The number that a text was probably meant to be, for texts like `1_000`, `0x10`, `0,5%`, `1,000 steps` and
/// `0,1x`. A unit after the digits is kept.
pub fn number(text: &str) -> Option<String> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let based = |digits: &str, base| u64::from_str_radix(&digits.replace('_', ""), base).ok();
    let lower = unsigned.to_ascii_lowercase();
    for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(value) = lower.strip_prefix(prefix).and_then(|digits| based(digits, base)) {
            return Some(format!("{sign}{value}"));
        }
    }
    let end = unsigned.find(|c: char| !matches!(c, '0'..='9' | '_' | ',' | '.')).unwrap_or(unsigned.len());
    let (digits, rest) = unsigned.split_at(end);
    let is_unit = matches!(rest.trim(), "" | "x" | "%" | "step" | "steps" | "epoch" | "epochs");
    let ends = |c: char| c.is_ascii_digit();
    if !is_unit || !digits.starts_with(ends) || !digits.ends_with(ends) || !digits.contains(['_', ',']) {
        return None;
    }
    let plain = with_point(&digits.replace('_', ""))?;
    plain.parse::<f64>().ok().map(|_| format!("{sign}{plain}{rest}"))
}

/// Removes commas: commas before groups of three digits separate thousands, any other single comma is a
/// decimal point.
fn with_point(digits: &str) -> Option<String> {
    let mut groups = digits.split(',');
    let first = groups.next()?;
    let rest: Vec<&str> = groups.collect();
    let thousands =
        !first.starts_with('0') && rest.iter().all(|group| group.split('.').next().map(str::len) == Some(3));
    match rest.as_slice() {
        [] => Some(digits.to_owned()),
        _ if thousands => Some(digits.replace(',', "")),
        [decimals] if !digits.contains('.') => Some(format!("{first}.{decimals}")),
        _ => None,
    }
}

/// The boolean that YAML 1.1 reads in a text that is not a boolean here: `yes`, `Off`, `n`.
pub fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" | "on" => Some(true),
        "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Whether a text is a null value in other languages: `None`, `nil`.
pub fn is_nothing(text: &str) -> bool {
    matches!(text, "None" | "none" | "NONE" | "nil" | "Nil" | "NIL" | "undefined")
}

/// Whether a text is infinity or NaN in other languages: `inf`, `NaN`.
pub fn is_not_finite(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned.to_ascii_lowercase().as_str(), "inf" | "infinity" | "nan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_other_notations_are_recognized() {
        for (text, meant) in [
            ("1_000", Some("1000")),
            ("-1_000.5", Some("-1000.5")),
            ("0x10", Some("16")),
            ("0XFF", Some("255")),
            ("0o17", Some("15")),
            ("0b101", Some("5")),
            ("0,1", Some("0.1")),
            ("0,1x", Some("0.1x")),
            ("0,001", Some("0.001")),
            ("0,5%", Some("0.5%")),
            ("1,5 epochs", Some("1.5 epochs")),
            ("1,000", Some("1000")),
            ("1,000,000", Some("1000000")),
            ("1,000.5", Some("1000.5")),
            ("1_000 steps", Some("1000 steps")),
            ("0.1x", None),
            ("10%", None),
            ("1,2,3", None),
            ("a_1", None),
            ("1_", None),
            ("0xg", None),
            ("2024-01-01", None),
            ("1_000 apples", None),
        ] {
            assert_eq!(number(text).as_deref(), meant, "{text}");
        }
    }

    #[test]
    fn booleans_and_nulls_are_recognized_in_any_case() {
        for (text, meant) in [("yes", Some(true)), ("Off", Some(false)), ("N", Some(false)), ("norm", None)] {
            assert_eq!(boolean(text), meant, "{text}");
        }
        assert!(is_nothing("None") && !is_nothing("nothing"));
        assert!(is_not_finite("-Infinity") && is_not_finite("NaN") && !is_not_finite("info"));
    }
}
