//! Parses the subset of Python that programs with schedules need: assignments, literals, arithmetic, calls
//! and functions of one number, each with its place in the text. The meaning of names is in `program`.

mod lines;
mod parse;
mod tokens;

use std::ops::Range;

use schedule::number::Number;
use schedule::problem::Problem;
use schedule::tree::Place;

pub(crate) use lines::statements;

/// An expression and its byte range.
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
    /// A string, or a multiple of the base lr as in `0.1x`, which is not Python.
    Text(String),
    /// Names joined by dots.
    Path(Vec<String>),
    /// A bound name: an index into the values of the program.
    Bound(usize),
    Call(Box<Expr>, Vec<Argument>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    /// A lambda, or a `def` that can be written as one.
    Function(Function),
    /// A sign before a value: `-`, `+` or `not`.
    Sign(&'static str, Box<Expr>),
    /// Arithmetic, `and`, `or`.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// The first value and the values that it is compared with.
    Compare(Box<Expr>, Vec<(&'static str, Expr)>),
    /// Condition, value if true, value if false.
    Choice(Box<[Expr; 3]>),
    /// `value[index]`.
    Item(Box<Expr>, Box<Expr>),
    /// An attribute of a value that is not a name: `call(...).name`.
    Attribute(Box<Expr>, String),
    /// An unknown value, with the reason.
    Unknown(String),
}

/// A function of one number.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Function {
    pub(crate) parameter: String,
    pub(crate) body: Body,
}

/// The body of a function, with expressions as byte ranges of the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    Return(Range<usize>),
    /// A name, its value, and the statements that follow.
    Assign(String, Range<usize>, Box<Body>),
    /// A condition, the statements if it is true, and those if it is false.
    If(Range<usize>, Box<Body>, Box<Body>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Argument {
    /// The keyword and its position; `None` for a positional argument.
    pub(crate) name: Option<(String, usize)>,
    pub(crate) value: Expr,
}

/// The target of an assignment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// A name, possibly with dots.
    Name(String),
    /// Several names, one for each item of the value.
    Names(Vec<String>),
    /// Another target: `group["lr"]`.
    Other(Expr),
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Statement {
    /// A value and its targets, if any.
    Value(Vec<Target>, Expr),
    /// A loop or a branch: its keyword and the statements inside.
    Block(Expr, Vec<Statement>),
    /// A function: its name, its body if it is a function of one number, and the statements inside.
    Def(String, Result<Function, Problem>, Vec<Statement>),
    /// A statement that can't be read, and its targets.
    Unread(Vec<Target>, Problem),
}

/// A text and its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) text: &'a str,
    /// The place of the value that contains the text; `None` if the text is the whole document.
    pub(crate) inside: Option<Place>,
}

impl Source<'_> {
    /// The place of a byte range of the text in the document; the place of the whole value if the text is
    /// escaped in the document.
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

    /// The number of quote bytes before the text in its value, if the text is not escaped.
    fn quotes(&self) -> Option<usize> {
        let written = self.inside.map_or(0, |place| place.end - place.start);
        match written.checked_sub(self.text.len()) {
            _ if self.text.contains('\n') => None,
            Some(0) => Some(0),
            Some(2) => Some(1),
            _ => None,
        }
    }

    /// A problem with a byte range of the text.
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
