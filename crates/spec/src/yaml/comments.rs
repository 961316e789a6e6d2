//! Finds the comments of a YAML text, which the YAML crate drops: a `#` outside of scalars, up to the end of its line.

use saphyr_parser::{Event, Parser, ScalarStyle};
use schedule::tree::Place;

/// A comment, from its `#` to the end of its line.
#[derive(Debug, PartialEq)]
pub(crate) struct Comment<'a> {
    pub(crate) place: Place,
    pub(crate) text: &'a str,
    /// Whether its line has nothing else.
    pub(crate) is_own_line: bool,
}

/// The comments of a text that [`super::read`] has read.
pub(crate) fn comments(text: &str) -> Vec<Comment<'_>> {
    let scalars = scalars(text);
    let mut comments = Vec::new();
    let mut start = 0;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let within = |at: usize| {
            let before = scalars.partition_point(|(_, end)| *end <= at);
            scalars.get(before).is_some_and(|(begin, _)| *begin <= at)
        };
        let starts_comment = |(at, _): &(usize, &str)| {
            let before = line.get(..*at).unwrap_or_default();
            before.chars().next_back().is_none_or(char::is_whitespace) && !within(start + at)
        };
        if let Some((at, _)) = line.match_indices('#').find(starts_comment) {
            let (before, text) = line.split_at(at);
            let text = text.trim_end();
            let column = before.chars().count() + 1;
            let place = Place { line: i + 1, column, start: start + at, end: start + at + text.len() };
            comments.push(Comment { place, text, is_own_line: before.trim().is_empty() });
        }
        start += line.len();
    }
    comments
}

/// Byte ranges of the scalars, in the order of the text.
fn scalars(text: &str) -> Vec<(usize, usize)> {
    let offsets: Vec<usize> = text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect();
    let byte = |index: usize| offsets.get(index).copied().unwrap_or(text.len());
    let mut scalars = Vec::new();
    for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
        let Event::Scalar(_, style, ..) = event else { continue };
        let (start, end) = (byte(span.start.index()), byte(span.end.index()));
        // The crate ends a quoted scalar where the next token begins, which may be after a comment.
        let end = match style {
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                closing_quote(text, start).unwrap_or(end)
            }
            _ => end,
        };
        if start < end {
            scalars.push((start, end));
        }
    }
    scalars
}

/// The byte after the closing quote of the quoted scalar at `start`.
fn closing_quote(text: &str, start: usize) -> Option<usize> {
    let quoted = text.get(start..)?;
    let quote = quoted.chars().next()?;
    let mut rest = quoted.char_indices().skip(1).peekable();
    while let Some((at, c)) = rest.next() {
        if c == '\\' && quote == '"' {
            rest.next();
        } else if c == quote {
            // Two single quotes inside a single-quoted scalar are an escaped quote.
            if quote == '\'' && rest.next_if(|(_, next)| *next == quote).is_some() {
                continue;
            }
            return Some(start + at + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_not_inside_a_scalar() {
        let text = "# head\na: 'it # is' # one\nb: x#y\nc: |  # two\n  # text\n  more # text\nd: \"é # \\\" # \n  # x\" # three\r\n\
                    e: [1, # four\n  &a#b 2, *a#b ]\nf: >-\n  folded # not\n\n# last";
        let found: Vec<(usize, &str, bool)> = comments(text)
            .into_iter()
            .map(|comment| (comment.place.line, comment.text, comment.is_own_line))
            .collect();
        assert_eq!(
            found,
            [
                (1, "# head", true),
                (2, "# one", false),
                (4, "# two", false),
                (8, "# three", false),
                (9, "# four", false),
                (14, "# last", true)
            ]
        );
        for comment in comments(text) {
            assert_eq!(&text[comment.place.start..comment.place.end], comment.text);
        }
    }
}
