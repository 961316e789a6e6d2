//! Splits a text into tokens and checks brackets.

use super::Source;
use schedule::problem::Problem;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Name,
    Number,
    Text,
    Sign,
    /// The end of a statement: a line break outside brackets, or `;`.
    End,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Every operator, longer ones before their prefixes.
const SIGNS: [&str; 36] = [
    "**=", "//=", "**", "//", "==", "!=", "<=", ">=", "->", ":=", "+=", "-=", "*=", "/=", "%=", "(", ")",
    "[", "]", "{", "}", ",", ":", ".", "=", "+", "-", "*", "/", "%", "<", ">", "@", "|", "&", "~",
];

/// The maximum length of a text.
const MAX_BYTES: usize = 100_000;

pub(crate) fn tokens(source: &Source<'_>) -> Result<Vec<Token>, Problem> {
    let text = source.text;
    if text.len() > MAX_BYTES {
        return Err(source.problem(0, 0, format!("expected at most {MAX_BYTES} bytes")));
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
            c if prefix(rest).is_some() || matches!(c, '"' | '\'') => (
                Kind::Text,
                string(rest, prefix(rest).unwrap_or(0))
                    .ok_or_else(|| source.problem(at, at + 1, "this string is not closed"))?,
            ),
            c if c.is_alphabetic() || c == '_' => (Kind::Name, run(&|c| c.is_alphanumeric() || c == '_')),
            c if c.is_ascii_digit()
                || (c == '.' && rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit())) =>
            {
                (Kind::Number, number(rest))
            }
            _ => match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                Some(sign) => (Kind::Sign, sign.len()),
                None => {
                    let message = format!("unexpected character `{first}`");
                    return Err(source.problem(at, at + first.len_utf8(), message));
                }
            },
        };
        match_bracket(source, &mut open, first, at)?;
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    match open.last() {
        Some((bracket, at)) => Err(source.problem(*at, at + 1, format!("this `{bracket}` is not closed"))),
        None => Ok(tokens),
    }
}

/// Pushes an opening bracket, and matches a closing bracket with the last one.
fn match_bracket(
    source: &Source<'_>,
    open: &mut Vec<(char, usize)>,
    found: char,
    at: usize,
) -> Result<(), Problem> {
    match found {
        '(' | '[' | '{' => open.push((found, at)),
        ')' | ']' | '}' => {
            let wanted = match open.pop() {
                Some(('(', _)) => ')',
                Some(('[', _)) => ']',
                Some(_) => '}',
                None => return Err(source.problem(at, at + 1, format!("unexpected `{found}`"))),
            };
            if wanted != found {
                return Err(source.problem(at, at + 1, format!("expected `{wanted}`, found `{found}`")));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Length of the number at the start: digits, `_`, a point, an exponent and any letters after it. An `x`
/// marks a multiple of the base lr; other letters are reported later.
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

/// Length of the prefix of a string, as in `f"..."`.
fn prefix(text: &str) -> Option<usize> {
    let letters = text.chars().take_while(|c| "rRbBuUfF".contains(*c)).take(3).count();
    ((1..=2).contains(&letters) && text.get(letters..)?.starts_with(['"', '\''])).then_some(letters)
}

/// Length of the string at the start, including its prefix and its single or triple quotes.
fn string(text: &str, prefix: usize) -> Option<usize> {
    let body = text.get(prefix..)?;
    let quote = body.chars().next()?;
    let three = quote.to_string().repeat(3);
    let mut at = prefix + if body.starts_with(&three) { 3 } else { 1 };
    let long = body.starts_with(&three);
    while let Some(c) = text.get(at..)?.chars().next() {
        match c {
            '\\' => at += 1 + text.get(at + 1..)?.chars().next()?.len_utf8(),
            '\n' if !long => return None,
            _ if long && text.get(at..)?.starts_with(&three) => return Some(at + 3),
            c if c == quote && !long => return Some(at + 1),
            c => at += c.len_utf8(),
        }
    }
    None
}
