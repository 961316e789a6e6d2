//! Tokens of Rust and Python sources: strings, comments, names. No rules.

use ra_ap_rustc_lexer::{DocStyle, FrontmatterAllowed, LiteralKind, TokenKind, strip_shebang, tokenize};
use regex::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string literal.
    String,
    /// A comment of one line. `outer` is documentation of the item after it (`///`).
    Comment { outer: bool },
    /// A name or a keyword.
    Name,
    /// Anything else but blanks.
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'s> {
    pub kind: Kind,
    pub text: &'s str,
    /// From 1.
    pub line: usize,
}

impl Token<'_> {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text && self.kind != Kind::String
    }

    /// A string's text, with line breaks as `\n` and other escapes as written.
    pub(crate) fn string(&self) -> String {
        let prefix = self.text.find(['"', '\'']).unwrap_or_default();
        let is_raw = self.text[..prefix].contains(['r', 'R']);
        let inner = self.text[prefix..].trim_matches('#');
        let quotes = if inner.starts_with("\"\"\"") || inner.starts_with("'''") { 3 } else { 1 };
        let inner = inner.get(quotes..inner.len().max(2 * quotes) - quotes).unwrap_or_default();
        let inner = if is_raw { inner.to_owned() } else { unescaped(inner) };
        inner.replace('\n', "\\n")
    }

    /// The text of a comment without its marker.
    pub(crate) fn comment(&self) -> &str {
        self.text.trim_start_matches(['/', '!', '#', '*']).trim_end_matches("*/")
    }
}

/// Joins lines that end with `\`, and writes quotes and backslashes without a `\` before them.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars().peekable();
    let mut out = String::new();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some('"' | '\'' | '\\')) => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// The tokens of a Rust source but blanks.
pub(crate) fn rust(source: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut line) = (Vec::new(), 1);
    let mut rest = &source[strip_shebang(source).unwrap_or_default()..];
    for token in tokenize(rest, FrontmatterAllowed::No) {
        let (text, after) = rest.split_at(token.len as usize);
        rest = after;
        if let Some(kind) = kind(token.kind) {
            tokens.push(Token { kind, text, line });
        }
        line += text.matches('\n').count();
    }
    tokens
}

fn kind(kind: TokenKind) -> Option<Kind> {
    Some(match kind {
        TokenKind::Whitespace => return None,
        TokenKind::LineComment { doc_style } | TokenKind::BlockComment { doc_style, .. } => {
            Kind::Comment { outer: doc_style == Some(DocStyle::Outer) }
        }
        TokenKind::Ident | TokenKind::RawIdent => Kind::Name,
        TokenKind::Literal { kind: LiteralKind::Str { .. } | LiteralKind::RawStr { .. }, .. } => Kind::String,
        _ => Kind::Other,
    })
}

/// The tokens of a Python source but blanks. Documentation is a string.
pub(crate) fn python(source: &str) -> Vec<Token<'_>> {
    let pattern = r#"(?x)
        (?<comment> \#[^\n]* )
        | (?<string> \b[rRbBfFuU]{0,2} (?: "{3}(?s:.*?)"{3} | '{3}(?s:.*?)'{3}
            | "(?:\\(?s:.)|[^"\\\n])*" | '(?:\\(?s:.)|[^'\\\n])*' )
          | (?: "{3}(?s:.*?)"{3} | '{3}(?s:.*?)'{3} | "(?:\\(?s:.)|[^"\\\n])*" | '(?:\\(?s:.)|[^'\\\n])*' ) )
        | (?<name> [\p{L}_]\w* )
        | (?<other> \S )"#;
    let pattern = Regex::new(pattern).expect("a pattern");
    let (mut line, mut end) = (1, 0);
    let mut tokens = Vec::new();
    for found in pattern.captures_iter(source) {
        let whole = found.get(0).expect("a match");
        line += source[end..whole.start()].matches('\n').count();
        let kind = match (found.name("comment"), found.name("string"), found.name("name")) {
            (Some(_), ..) => Kind::Comment { outer: false },
            (_, Some(_), _) => Kind::String,
            (_, _, Some(_)) => Kind::Name,
            _ => Kind::Other,
        };
        tokens.push(Token { kind, text: whole.as_str(), line });
        line += whole.as_str().matches('\n').count();
        end = whole.end();
    }
    tokens
}
