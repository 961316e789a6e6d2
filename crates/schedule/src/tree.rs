//! A document as a tree of values with their places in the text. Plain data: the `spec` crate parses text
//! into a tree, [`crate::parse`] reads a schedule from a tree.

/// The place of a value in the text. `line` and `column` count from 1; 0 means "no place" (a generated
/// value). `start..end` are byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// One value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Its place.
    pub place: Place,
    /// Its value.
    pub value: Value,
}

/// The values of a sweep file (YAML's core schema).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: `null`, `~` or an empty value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number with a fraction or an exponent.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Tree>),
    /// A mapping, in the order of the text, without duplicate keys.
    Map(Vec<(Key, Tree)>),
}

/// A mapping's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its place.
    pub place: Place,
    /// Its text.
    pub name: String,
}

impl Tree {
    /// A value without a place.
    pub fn new(value: Value) -> Self {
        Self { place: Place::default(), value }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.name == name).map(|(_, tree)| tree),
            _ => None,
        }
    }

    /// The value as a whole number, also if it is written as a float as in `1e2`.
    pub fn integer(&self) -> Option<i64> {
        // The largest range in which every whole number is a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.value {
            Value::Int(i) => Some(i),
            Value::Float(x) if x.fract() == 0.0 && x.abs() <= EXACT => Some(x as i64),
            _ => None,
        }
    }

    /// The type of the value in words: "a list", "text", ...
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true/false",
            Value::Int(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl std::fmt::Display for Tree {
    /// YAML in flow style on one line. Reading it again gives an equal tree.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Text(text) => write_text(text, f),
            Value::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, item)) in entries.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    write_text(&key.name, f)?;
                    write!(f, ": {item}")?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Plain if YAML cannot misread it, otherwise double-quoted with JSON's escapes.
fn write_text(text: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false");
    if word {
        return f.write_str(text);
    }
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            c if (c as u32) < 0x20
                || c == '\u{7f}'
                || c == '\u{85}'
                || c == '\u{2028}'
                || c == '\u{2029}' =>
            {
                write!(f, "\\u{:04x}", c as u32)?;
            }
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}
