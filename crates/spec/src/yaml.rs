//! Reads YAML text into a [`Tree`]; only this module uses the YAML crate. YAML 1.2 with the core schema, one document, no
//! tags. Size, depth and number of values are limited, so that no file can exhaust memory.

mod comments;

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};
use schedule::fields::join;
use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};

pub(crate) use comments::{Comment, comments};

/// The largest text that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;
/// The most values; an alias counts each time it is used.
const MAX_VALUES: usize = 200_000;

/// Reads one YAML document.
///
/// # Errors
/// All YAML problems of the text: at most one syntax error, and any number of duplicate keys, tags and numbers out of
/// range.
pub fn read(text: &str) -> Result<Tree, Vec<Problem>> {
    match parse(text) {
        (Some(tree), problems) if problems.is_empty() => Ok(tree),
        (_, problems) => Err(problems),
    }
}

/// As [`read`], but returns the tree even if single values or keys can't be read. Such a value is `Null`.
pub(crate) fn parse(text: &str) -> (Option<Tree>, Vec<Problem>) {
    if text.len() > MAX_BYTES {
        let message = format!("the text has {} bytes, at most {MAX_BYTES} are allowed", text.len());
        return (None, vec![Problem::new(start_of(text), "", message)]);
    }
    let mut builder = Builder::new(text);
    for event in Parser::new_from_str(text) {
        let step =
            event.map_err(|error| builder.syntax(&error)).and_then(|(event, span)| builder.on(event, span));
        if let Err(problem) = step {
            builder.problems.push(problem);
            return (None, builder.problems);
        }
    }
    match builder.root {
        Some(tree) if tree.value != Value::Null => (Some(tree), builder.problems),
        _ if !builder.problems.is_empty() => (None, builder.problems),
        _ => (None, vec![Problem::new(start_of(text), "", "the text is empty")]),
    }
}

/// The position of problems that concern the text as a whole.
fn start_of(text: &str) -> Place {
    Place { line: 1, column: 1, start: 0, end: text.chars().next().map_or(0, char::len_utf8) }
}

/// Line and column after the last character.
fn end_of(text: &str) -> (usize, usize) {
    let is_break = |c: char| c == '\n' || c == '\r';
    let lines = 1 + text.replace("\r\n", "\n").matches(is_break).count();
    let last = text.rsplit(is_break).next().unwrap_or_default();
    (lines, last.chars().count() + 1)
}

/// A list or mapping that is not complete yet.
struct Open {
    anchor: usize,
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Tree>),
    Map { entries: Vec<(Key, Tree)>, names: HashSet<String>, key: Option<Key> },
}

struct Builder<'a> {
    text: &'a str,
    /// Byte offset of each character; `None` for ASCII text, where the index is the offset.
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    anchors: Vec<(usize, Tree, usize)>,
    values: usize,
    root: Option<Tree>,
    documents: usize,
    problems: Vec<Problem>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str) -> Self {
        let offsets = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect());
        Self {
            text,
            offsets,
            open: Vec::new(),
            anchors: Vec::new(),
            values: 0,
            root: None,
            documents: 0,
            problems: Vec::new(),
        }
    }

    fn byte(&self, char_index: usize) -> usize {
        match &self.offsets {
            None => char_index.min(self.text.len()),
            Some(offsets) => offsets.get(char_index).copied().unwrap_or(self.text.len()),
        }
    }

    fn place(&self, span: Span) -> Place {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        let (line, column) = self.line_and_column(&span.start);
        Place { line, column, start, end }
    }

    fn line_and_column(&self, marker: &Marker) -> (usize, usize) {
        // The scanner counts a line break at the end of the text even where there is none.
        if self.byte(marker.index()) >= self.text.len() {
            return end_of(self.text);
        }
        (marker.line(), marker.col() + 1)
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let marker = error.marker();
        let start = self.byte(marker.index());
        let end = (start + 1..=self.text.len()).find(|end| self.text.is_char_boundary(*end)).unwrap_or(start);
        let (line, column) = self.line_and_column(marker);
        let place = Place { line, column, start, end };
        if error.info().contains("recursion limit") {
            return Problem::new(place, "", format!("nested more than {MAX_DEPTH} levels deep"));
        }
        let problem = Problem::new(place, "", format!("invalid YAML: {}", error.info()));
        let line = self.text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        if line.get(..indent).is_some_and(|indent| indent.contains('\t')) || error.info().contains("tabs") {
            return problem.with_hint("indent YAML with spaces, not with tabs");
        }
        if error.info().contains("mapping values are not allowed") {
            return problem.with_hint(
                "text with a colon followed by a space needs quotes: 'LambdaLR(optimizer, lambda e: 0.9)'",
            );
        }
        problem
    }

    fn on(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.place(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.start_document(place),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(place, tag.is_some());
                self.scalar(place, text.into_owned(), style, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(place, tag.is_some());
                self.start(anchor, place, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(place, tag.is_some());
                let content = Content::Map { entries: Vec::new(), names: HashSet::new(), key: None };
                self.start(anchor, place, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(anchor) => self.alias(place, anchor),
        }
    }

    fn start_document(&mut self, place: Place) -> Result<(), Problem> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Problem::new(place, "", "expected one YAML document, a second one starts here"));
        }
        Ok(())
    }

    /// A scalar is a key if the open mapping expects one, else a value.
    fn scalar(
        &mut self,
        place: Place,
        text: String,
        style: ScalarStyle,
        anchor: usize,
    ) -> Result<(), Problem> {
        if let Some(Open { content: Content::Map { key: None, .. }, .. }) = self.open.last() {
            self.key(place, text, style, anchor);
            return Ok(());
        }
        let value = match style {
            ScalarStyle::Plain => self.plain(&text, place),
            _ => Value::Text(text),
        };
        self.add(Tree { place, value }, anchor, 1)
    }

    fn key(&mut self, place: Place, name: String, style: ScalarStyle, anchor: usize) {
        let Some(Open { content: Content::Map { key, names, .. }, .. }) = self.open.last_mut() else {
            return;
        };
        if name == "<<" && style == ScalarStyle::Plain {
            let problem = Problem::new(place, "", "merge keys (`<<`) are not supported");
            self.problems.push(problem.with_hint("repeat the keys here"));
        }
        if !names.insert(name.clone()) {
            let message = format!("duplicate key `{name}`");
            self.problems.push(Problem::new(place, "", message));
        }
        if anchor > 0 {
            let value = Value::Text(name.clone());
            self.anchors.push((anchor, Tree { place, value }, 1));
        }
        *key = Some(Key { place, name });
    }

    /// An alias is a copy of the value with its anchor.
    fn alias(&mut self, place: Place, anchor: usize) -> Result<(), Problem> {
        let found = self.anchors.iter().rev().find(|(id, _, _)| *id == anchor);
        let Some((_, tree, size)) = found else {
            return Err(Problem::new(place, "", "this alias is inside its own anchor"));
        };
        let (mut tree, size) = (tree.clone(), *size);
        tree.place = place;
        self.add(tree, 0, size)
    }

    /// The path of keys to the next value.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match &open.content {
            Content::List(items) => format!("{path}[{}]", items.len()),
            Content::Map { key: Some(key), .. } => join(&path, &key.name),
            Content::Map { .. } => path,
        })
    }

    fn refuse_tag(&mut self, place: Place, tagged: bool) {
        if tagged {
            self.problems.push(Problem::new(place, "", "YAML tags (`!...`) are not supported"));
        }
    }

    fn start(&mut self, anchor: usize, place: Place, content: Content) -> Result<(), Problem> {
        if let Some(Open { content: Content::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Problem::new(place, "", "expected a key, found a list or a mapping"));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(Problem::new(place, "", format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(Open { anchor, place, content });
        Ok(())
    }

    fn end(&mut self, end: Place) -> Result<(), Problem> {
        let Some(Open { anchor, mut place, content }) = self.open.pop() else { return Ok(()) };
        // The parser ends a block collection where the next token starts: end it at its first line instead.
        place.end = if end.line == place.line { end.end } else { self.end_of_line(place.start) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let tree = Tree { place, value };
        let size = if anchor > 0 { count(&tree) } else { 1 };
        self.add(tree, anchor, size.max(1))
    }

    fn end_of_line(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.find('\n').unwrap_or(rest.len())
    }

    /// Adds a complete value to the open collection. `size` is the number of values in it.
    fn add(&mut self, tree: Tree, anchor: usize, size: usize) -> Result<(), Problem> {
        self.values += size;
        if self.values > MAX_VALUES {
            return Err(Problem::new(tree.place, "", format!("more than {MAX_VALUES} values")));
        }
        if anchor > 0 {
            self.anchors.push((anchor, tree.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(tree),
            Some(Content::List(items)) => items.push(tree),
            Some(Content::Map { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, tree)),
                None => return Err(Problem::new(tree.place, "", "expected a key, found an alias")),
            },
        }
        Ok(())
    }

    /// The value of a plain scalar by the core schema.
    fn plain(&mut self, text: &str, place: Place) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            _ => {}
        }
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
            let problem = Problem::new(place, self.path(), "expected a finite number");
            self.problems.push(problem);
            return Value::Null;
        }
        if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(i) => Value::Int(i),
                Err(_) => self.too_large(place, "the largest whole number is 9223372036854775807"),
            };
        }
        let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned.contains(|c: char| c.is_ascii_digit())
            && unsigned.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
        match text.parse::<f64>() {
            Ok(x) if number && x.is_finite() => Value::Float(x),
            Ok(_) if number => self.too_large(place, "the largest number is 1.8e308"),
            _ => Value::Text(text.to_owned()),
        }
    }

    fn too_large(&mut self, place: Place, limit: &str) -> Value {
        let problem = Problem::new(place, self.path(), format!("this number is too large: {limit}"));
        self.problems.push(problem);
        Value::Null
    }
}

fn count(tree: &Tree) -> usize {
    1 + match &tree.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(_, tree)| count(tree)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        let problems = read(text).expect_err("this text has a problem");
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, value) in [
            ("1e-3", Value::Float(1e-3)),
            ("1.", Value::Float(1.0)),
            (".5", Value::Float(0.5)),
            ("-7", Value::Int(-7)),
            ("+7", Value::Int(7)),
            ("yes", Value::Text("yes".into())),
            ("TRUE", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("[~, NULL]", Value::List(vec![Tree::new(Value::Null), Tree::new(Value::Null)])),
            ("0.1x", Value::Text("0.1x".into())),
            ("'1'", Value::Text("1".into())),
            ("1_000", Value::Text("1_000".into())),
            ("e5", Value::Text("e5".into())),
            ("-", Value::List(vec![Tree::new(Value::Null)])),
            ("2 epochs", Value::Text("2 epochs".into())),
        ] {
            let mut tree = read(text).expect(text);
            if let Value::List(items) = &mut tree.value {
                items.iter_mut().for_each(|item| item.place = Place::default());
            }
            assert_eq!(tree.value, value, "{text}");
        }
    }

    #[test]
    fn columns_count_characters_and_offsets_count_bytes() {
        let text = "é: 1\nb: {ü: [2, déjà]}\n";
        let tree = read(text).expect("good YAML");
        let Some(Value::List(items)) = tree.get("b").and_then(|b| b.get("ü")).map(|t| &t.value) else {
            panic!("expected a list")
        };
        let place = items[1].place;
        assert_eq!((place.line, place.column), (2, 12));
        assert_eq!(&text[place.start..place.end], "déjà");
    }

    #[test]
    fn problems_say_what_and_where() {
        assert!(problem("").contains("empty"));
        assert!(problem("# only a comment\n").contains("empty"));
        assert!(problem("a: 1\na: 2\n").starts_with("2:1: duplicate key `a`"));
        assert!(problem("a:\n\tb: 1\n").contains("not with tabs"));
        assert!(problem("a: [é").starts_with("1:6: invalid YAML"));
        assert!(problem("a: [é\r\n").starts_with("2:1: invalid YAML"));
        assert!(problem("a: 1\n---\nb: 2\n").contains("second"));
        assert!(problem("a: !!str 1\n").contains("tags"));
        assert!(problem("a: .nan\n").contains("finite"));
        assert!(problem("a: 1e999\n").contains("too large"));
        assert!(problem("a: 99999999999999999999\n").contains("too large"));
        assert!(problem("[1]: 2\n").contains("key"));
        assert!(problem(&"[".repeat(100_000)).contains("nested more than 64"));
        assert!(problem(&"[".repeat(10_000_000)).contains("at most"));
    }

    #[test]
    fn aliases_are_copied_and_alias_bombs_are_refused() {
        let tree = read("a: &x {b: 1}\nc: *x\n").expect("good YAML");
        assert_eq!(tree.get("c").and_then(|c| c.get("b")).map(|b| b.value.clone()), Some(Value::Int(1)));
        let mut bomb = String::from("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
        for i in 1..10 {
            let list = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{list}]\n"));
        }
        assert!(problem(&bomb).contains("more than 200000 values"));
    }
}
