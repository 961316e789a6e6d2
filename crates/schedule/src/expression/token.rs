//! The tokens of an expression.

use super::ParseError;
use crate::number::Number;

/// A token and its position in characters, from 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) kind: Kind,
    pub(super) at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Number(Number),
    /// A name, a function or a keyword.
    Word,
    /// An operator, a bracket or a comma.
    Sign,
}

/// Every operator, longer ones before their prefixes.
const SIGNS: [&str; 19] =
    ["**", "//", "<=", ">=", "==", "!=", "+", "-", "*", "/", "%", "<", ">", "(", ")", "[", "]", ",", "="];

/// Operators of other languages, with hints.
const FOREIGN: [(&str, &str); 4] = [
    ("^", "write a power with `**`"),
    (".", "write names without a module, as in `cos` and `pi`"),
    ("&", "write `and`"),
    ("|", "write `or`"),
];

/// The maximum number of tokens.
const MAX_TOKENS: usize = 500;

pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let at = text.chars().count() - rest.chars().count() + 1;
        let (word, kind) = match first {
            '0'..='9' => number(rest, at)?,
            '.' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => number(rest, at)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                (head(rest, |c| c.is_ascii_alphanumeric() || c == '_'), Kind::Word)
            }
            _ => match SIGNS.iter().find_map(|sign| rest.get(..sign.len()).filter(|head| head == sign)) {
                Some(sign) if sign != "=" => (sign, Kind::Sign),
                _ => return Err(no_operator(first, at)),
            },
        };
        tokens.push(Token { text: word, kind, at });
        if tokens.len() > MAX_TOKENS {
            let message = format!("the expression has more than {MAX_TOKENS} numbers, names and operators");
            return Err(ParseError { message, hint: None });
        }
        rest = rest.get(word.len()..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// The prefix of characters for which `holds` is true.
fn head(text: &str, holds: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !holds(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// A number: digits and points, with an optional exponent.
fn number(text: &str, at: usize) -> Result<(&str, Kind), ParseError> {
    let digits = head(text, |c| c.is_ascii_digit() || c == '.');
    let tail = text.get(digits.len()..).unwrap_or_default();
    let exponent = tail.strip_prefix(['e', 'E']).map_or(0, |after| {
        let sign = usize::from(after.starts_with(['+', '-']));
        match head(after.get(sign..).unwrap_or_default(), |c| c.is_ascii_digit()).len() {
            0 => 0,
            digits => 1 + sign + digits,
        }
    });
    let word = text.get(..digits.len() + exponent).unwrap_or_default();
    match Number::literal(word) {
        Some(number) => Ok((word, Kind::Number(number))),
        None => {
            Err(ParseError { message: format!("`{word}` at character {at} is not a number"), hint: None })
        }
    }
}

fn no_operator(found: char, at: usize) -> ParseError {
    let hint = match found {
        '=' => Some("write equality with `==`"),
        _ => FOREIGN.iter().find(|(sign, _)| sign.chars().eq([found])).map(|(_, hint)| *hint),
    };
    let message = format!("`{found}` at character {at} is not an operator");
    ParseError { message, hint: hint.map(str::to_owned) }
}
