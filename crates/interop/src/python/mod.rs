//! Python as far as a pasted call needs it: statements of names, literals, arithmetic, calls and functions of one
//! number, each with its place in the text. What the names mean is not known here.

mod lines;
mod parse;
mod tokens;

use std::ops::Range;

use schedule::number::Number;
use schedule::problem::Problem;
use schedule::tree::Place;

pub(crate) use lines::statements;

/// An expression and the bytes it stands at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) kind: ExprKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ExprKind {
    None,
    Bool(bool),
    Number(Number),
    /// A string, or a multiple of the base lr as in `0.1x`, which is ours.
    Text(String),
    /// Names joined by dots.
    Path(Vec<String>),
    /// What a name stands for: an entry of the program's values.
    Bound(usize),
    Call(Box<Expr>, Vec<Argument>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// A lambda, or a `def` that is no more than one.
    Function(Function),
    /// A sign before a value: `-`, `+` or `not`.
    Sign(&'static str, Box<Expr>),
    /// Arithmetic, `and`, `or`.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// The first value and what it is compared with.
    Compare(Box<Expr>, Vec<(&'static str, Expr)>),
    /// Condition, value if it holds, value if not.
    Choice(Box<[Expr; 3]>),
    /// Something of something: `value[index]`.
    Item(Box<Expr>, Box<Expr>),
    /// Something of what is no name: `call(...).name`.
    Attribute(Box<Expr>, String),
    /// What is not known here, and why.
    Unknown(String),
}

/// A function of one number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Function {
    pub(crate) parameter: String,
    pub(crate) body: Body,
}

/// What a function does, its expressions being bytes of the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Return(Range<usize>),
    /// A name, its value, and what follows.
    Assign(String, Range<usize>, Box<Body>),
    /// A condition, what follows if it holds, and what if not.
    If(Range<usize>, Box<Body>, Box<Body>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    /// The keyword and where it stands; `None` for a positional one.
    pub(crate) name: Option<(String, usize)>,
    pub(crate) value: Expr,
}

/// What a value is assigned to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// A name, with its dots.
    Name(String),
    /// Several of those, one for each item of the value.
    Names(Vec<String>),
    /// Something else: `group["lr"]`.
    Other(Expr),
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    /// A value, and what it is assigned to, if anything.
    Value(Vec<Target>, Expr),
    /// A loop, a branch or a class: its first word and the statements inside.
    Block(Expr, Vec<Statement>),
    /// A function: its name, what it is if it is one of a number, and the statements inside.
    Def(String, Result<Function, Problem>, Vec<Statement>),
    /// What can't be read, and the names that it assigns to.
    Unread(Vec<Target>, Problem),
}

/// A text and where it came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    /// The value of a document that holds the text; `None` if the text is the whole document.
    pub(crate) inside: Option<Place>,
}

impl Source<'_> {
    /// Where bytes of the text stand in the document; the whole value where that can't be told, because
    /// the document writes the text in another way.
    pub(crate) fn place(&self, start: usize, end: usize) -> Place {
        let before = self.text.get(..start).unwrap_or_default();
        match self.inside {
            None => {
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                Place { line, column, start, end }
            }
            Some(place) => match self.quotes() {
                Some(quotes) if place.line > 0 => Place {
                    line: place.line,
                    column: place.column + quotes + before.chars().count(),
                    start: place.start + quotes + start,
                    end: place.start + quotes + end,
                },
                _ => place,
            },
        }
    }

    /// How many bytes stand before the text in its value, if it stands there as it is.
    fn quotes(&self) -> Option<usize> {
        let written = self.inside.map_or(0, |place| place.end - place.start);
        match written.checked_sub(self.text.len()) {
            _ if self.text.contains('\n') => None,
            Some(0) => Some(0),
            Some(2) => Some(1),
            _ => None,
        }
    }

    /// A problem with bytes of the text.
    pub(crate) fn problem(&self, start: usize, end: usize, message: impl Into<String>) -> Problem {
        let mut message = message.into();
        let shown = self.inside.is_none_or(|place| place.line > 0 && self.quotes().is_some());
        if !shown {
            let at = self.text.get(..start).unwrap_or_default().chars().count() + 1;
            message.push_str(&format!(" (at character {at} of the call)"));
        }
        Problem::new(self.place(start, end), "", message)
    }
}
