//! The rules of `ruled-out.txt` and the kept uses of `kept.txt`, and how they are matched against a piece of text.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};

use super::tokens::{Kind, Token};

struct Rule {
    pattern: Regex,
    unless: Option<Regex>,
    instead: String,
}

/// A use of a ruled-out word that stays.
#[derive(Debug)]
struct Kept {
    path: String,
    words: String,
    is_used: bool,
}

pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// Any of the rules: most pieces match none.
    any: Regex,
    kept: Vec<Kept>,
    /// Texts that match no rule: names come often.
    clean: HashSet<String>,
}

/// Words with their lines, which are checked together: a string, a paragraph, or a name.
#[derive(Default)]
pub(crate) struct Piece(Vec<(usize, String)>);

impl Piece {
    /// Adds the words of a text that begins on a line. Names in it are split: `was_read` and `WasRead` hold "read".
    fn add(&mut self, line: usize, text: &str) {
        for (i, text) in text.split('\n').enumerate() {
            let mut spaced = String::new();
            let mut before = ' ';
            for c in text.chars() {
                if c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit()) {
                    spaced.push(' ');
                }
                spaced.push(if c == '_' { ' ' } else { c });
                before = c;
            }
            self.0.extend(spaced.split_whitespace().map(|word| (line + i, word.to_owned())));
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|(_, word)| word.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The line of an offset in the text.
    fn line(&self, offset: usize) -> usize {
        let mut end = 0;
        let word = self.0.iter().find(|(_, word)| {
            end += word.len() + 1;
            offset < end
        });
        word.map_or(0, |(line, _)| *line)
    }
}

/// Each string and name is a piece, and so are comments on lines that follow each other.
pub(crate) fn pieces_of_code(tokens: &[Token<'_>]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut last_comment = None;
    for token in tokens {
        match token.kind {
            Kind::Comment { .. } => {
                let text = token.comment();
                let is_continued = last_comment.is_some_and(|line| line + 1 == token.line);
                if !is_continued {
                    pieces.push(Piece::default());
                }
                if let Some(piece) = pieces.last_mut() {
                    piece.add(token.line, text);
                }
                // A blank comment line ends a paragraph.
                last_comment =
                    Some(token.line + text.matches('\n').count()).filter(|_| !text.trim().is_empty());
            }
            Kind::String | Kind::Name => {
                let mut piece = Piece::default();
                let text = token.text.replace("\\n", " ").replace("\\\n", " \n");
                piece.add(token.line, text.trim_matches(['"', '\'']));
                pieces.push(piece);
            }
            Kind::Other => {}
        }
    }
    pieces
}

/// Paragraphs of a page, a script or a configuration file. Lines of comments and of code are separate.
pub(crate) fn pieces_of_text(text: &str) -> Vec<Piece> {
    let mut pieces = vec![Piece::default()];
    let mut was_comment = None;
    for (i, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let is_comment = trimmed.starts_with('#') || trimmed.starts_with("//");
        let prose = trimmed.trim_start_matches(['#', '/', '>', ' ']);
        let prose = prose.strip_prefix("- ").or_else(|| prose.strip_prefix("* ")).unwrap_or(prose);
        if prose.trim().is_empty() || was_comment != Some(is_comment) || prose.starts_with('|') {
            pieces.push(Piece::default());
        }
        was_comment = Some(is_comment);
        if let Some(piece) = pieces.last_mut() {
            piece.add(i + 1, prose.trim_end_matches('\\'));
        }
    }
    pieces
}

impl Rules {
    pub(crate) fn read(rules: &str, kept: &str) -> Self {
        let regex = |pattern: &str| {
            RegexBuilder::new(pattern).case_insensitive(true).build().expect("a pattern of ruled-out.txt")
        };
        let rules: Vec<Rule> = entries(rules)
            .map(|line| {
                let (pattern, instead) = line.split_once("  ->  ").expect("PATTERN  ->  INSTEAD");
                let (pattern, unless) = pattern.split_once("  unless  ").unwrap_or((pattern, ""));
                let unless = Some(unless).filter(|unless| !unless.is_empty()).map(regex);
                Rule { pattern: regex(pattern), unless, instead: instead.to_owned() }
            })
            .collect();
        let all: Vec<&str> = rules.iter().map(|rule| rule.pattern.as_str()).collect();
        let kept = entries(kept).map(|line| {
            let (path, rest) = line.split_once(": ").expect("PATH: WORDS  (REASON)");
            let (words, _) = rest.split_once("  (").expect("PATH: WORDS  (REASON)");
            Kept { path: path.to_owned(), words: words.to_lowercase(), is_used: false }
        });
        Self { any: regex(&all.join("|")), kept: kept.collect(), rules, clean: HashSet::new() }
    }

    /// Finds ruled-out words, as `PATH:LINE: "WORDS" -> INSTEAD`.
    pub(crate) fn check(&mut self, path: &str, piece: &Piece) -> Vec<String> {
        let text = piece.text();
        if self.clean.contains(&text) {
            return Vec::new();
        }
        if !self.any.is_match(&text) {
            self.clean.insert(text);
            return Vec::new();
        }
        let mut found = Vec::new();
        for rule in &self.rules {
            let uses = rule.pattern.find_iter(&text);
            for words in
                uses.filter(|found| !rule.unless.as_ref().is_some_and(|fine| fine.is_match(found.as_str())))
            {
                if is_kept(&mut self.kept, path, &text, words.as_str()) {
                    continue;
                }
                let (line, words) = (piece.line(words.start()), words.as_str().trim_matches([' ', '.']));
                found.push(format!("{path}:{line}: \"{words}\" -> {}", rule.instead));
            }
        }
        found
    }

    /// Kept uses that nothing matched.
    pub(crate) fn unused(&self) -> Vec<String> {
        let unused = self.kept.iter().filter(|kept| !kept.is_used);
        unused.map(|kept| format!("kept.txt: {}: {}", kept.path, kept.words)).collect()
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn is_kept(kept: &mut [Kept], path: &str, text: &str, words: &str) -> bool {
    let (text, words) = (text.to_lowercase(), words.to_lowercase());
    let mut is_kept = false;
    for entry in kept.iter_mut() {
        if path.starts_with(&entry.path) && text.contains(&entry.words) && entry.words.contains(words.trim())
        {
            entry.is_used = true;
            is_kept = true;
        }
    }
    is_kept
}
