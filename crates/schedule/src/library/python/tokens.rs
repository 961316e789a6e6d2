//! A text to its words, brackets matched.

use super::Source;
use crate::problem::Problem;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Name,
    Number,
    Text,
    Sign,
    /// The end of a statement: a line break outside brackets, or `;`.
    End,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Every sign; one that begins another stands behind it.
const SIGNS: [&str; 26] = [
    "**", "//", "==", "!=", "<=", ">=", "->", "(", ")", "[", "]", "{", "}", ",", ":", ".", "=", "+", "-",
    "*", "/", "%", "<", ">", "@", "|",
];

/// The longest text.
const MOST_BYTES: usize = 100_000;

pub(super) fn tokens(source: &Source<'_>) -> Result<Vec<Token>, Problem> {
    let text = source.text;
    if text.len() > MOST_BYTES {
        return Err(source.problem(0, 0, format!("a call has at most {MOST_BYTES} bytes")));
    }
    let mut tokens: Vec<Token> = Vec::new();
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut at = 0;
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let run = |keep: &dyn Fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let (kind, length) = match first {
            '#' => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            '\n' | ';' if open.is_empty() => (Kind::End, 1),
            '\\' if rest.starts_with("\\\n") || rest.starts_with("\\\r\n") => {
                at += 1;
                at += text.get(at..).and_then(|rest| rest.find('\n')).map_or(0, |i| i + 1);
                continue;
            }
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            c if c.is_alphabetic() || c == '_' => (Kind::Name, run(&|c| c.is_alphanumeric() || c == '_')),
            c if c.is_ascii_digit()
                || (c == '.' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit())) =>
            {
                (Kind::Number, number(rest))
            }
            '"' | '\'' => (
                Kind::Text,
                string(rest, first).ok_or_else(|| source.problem(at, at + 1, "this string has no end"))?,
            ),
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Kind::Sign, sign.len()),
                None => {
                    let message = format!("`{first}` has no meaning in a call");
                    return Err(source.problem(at, at + first.len_utf8(), message));
                }
            },
        };
        match first {
            '(' | '[' | '{' => open.push((first, at)),
            ')' | ']' | '}' => {
                let wanted = match open.pop() {
                    Some(('(', _)) => ')',
                    Some(('[', _)) => ']',
                    Some(_) => '}',
                    None => {
                        return Err(source.problem(at, at + 1, format!("this `{first}` closes nothing")));
                    }
                };
                if wanted != first {
                    let message = format!("expected `{wanted}`, found `{first}`");
                    return Err(source.problem(at, at + 1, message));
                }
            }
            _ => {}
        }
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    match open.last() {
        Some((bracket, at)) => Err(source.problem(*at, at + 1, format!("this `{bracket}` is never closed"))),
        None => Ok(tokens),
    }
}

/// Length of the number at the start: digits, `_`, a point, an exponent, and whatever letters are stuck to
/// it (an `x` is a multiple of the base lr; others are told later).
fn number(text: &str) -> usize {
    let mut before = ' ';
    for (i, c) in text.char_indices() {
        let sign = matches!(c, '+' | '-') && matches!(before, 'e' | 'E');
        if !(sign || c.is_alphanumeric() || matches!(c, '.' | '_')) {
            return i;
        }
        before = c;
    }
    text.len()
}

/// Length of the string at the start, with its quotes.
fn string(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(i + 1),
            _ => {}
        }
    }
    None
}
