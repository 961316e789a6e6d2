//! Parses tokens into terms, by operator precedence.

use super::token::{Kind, Token, tokens};
use super::{Binary, Comparison, NAMES, ParseError, Term, function_names};
use crate::number::{Function, function};
use crate::problem::{listed, nearest};

/// Precedences of operators.
const CHOICE: u8 = 1;
const OR: u8 = 2;
const AND: u8 = 3;
const NOT: u8 = 4;
const COMPARISON: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const SIGN: u8 = 8;
const POWER: u8 = 9;

/// The maximum nesting, because parsing and evaluation are recursive.
const MAX_DEPTH: usize = 50;

pub(super) fn parse(text: &str) -> Result<Term, ParseError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    let term = parser.number(CHOICE)?;
    match parser.peek() {
        None => Ok(term),
        Some(_) => Err(parser.expected("an operator")),
    }
}

struct Parser<'a> {
    /// The remaining tokens.
    tokens: &'a [Token<'a>],
    depth: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.first()
    }

    fn next(&mut self) -> Option<&'a Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// Consumes the next token if it is this one.
    fn take(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == text);
        if found {
            self.next();
        }
        found
    }

    fn must_take(&mut self, text: &str) -> Result<(), ParseError> {
        if self.take(text) { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    fn expected(&self, what: &str) -> ParseError {
        error(match self.peek() {
            Some(token) => format!("expected {what}, found `{}` at character {}", token.text, token.at),
            None => format!("expected {what}, found the end"),
        })
    }

    /// A term that is a number, with operators of at least the precedence `least`.
    fn number(&mut self, least: u8) -> Result<Term, ParseError> {
        let at = self.peek().map(|token| token.at);
        match self.term(least)? {
            Term::List(_) => {
                let at = at.map_or(String::new(), |at| format!(", found a list at character {at}"));
                let hint = "a list is only allowed before an index, after `in` or in a call, as in [1, 0.1][t // 30]";
                Err(ParseError { message: format!("expected a number{at}"), hint: Some(hint.to_owned()) })
            }
            term => Ok(term),
        }
    }

    /// A term with operators of at least the precedence `least`. A list can't be an operand.
    fn term(&mut self, least: u8) -> Result<Term, ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error(format!("the expression is nested more than {MAX_DEPTH} deep")));
        }
        let mut left = self.prefix(least)?;
        while let Some(token) = self.peek() {
            if matches!(left, Term::List(_)) {
                break;
            }
            if token.text == "if" && least <= CHOICE {
                self.next();
                let condition = self.number(OR)?;
                self.must_take("else")?;
                let no = self.number(CHOICE)?;
                left = Term::Choice(Box::new([condition, left, no]));
                continue;
            }
            if least <= COMPARISON && self.comparison().is_some() {
                left = self.compared(left)?;
                continue;
            }
            let Some((binary, binds)) = operator(token.text).filter(|(_, binds)| *binds >= least) else {
                break;
            };
            self.next();
            // A power is right-associative and allows a sign; all others are left-associative.
            let right = self.number(if binds == POWER { SIGN } else { binds + 1 })?;
            left = Term::Binary(binary, Box::new(left), Box::new(right));
        }
        self.depth -= 1;
        Ok(left)
    }

    /// The next comparison operator and its number of tokens.
    fn comparison(&self) -> Option<(Comparison, usize)> {
        let mut words = self.tokens.iter().map(|token| token.text);
        Some(match (words.next()?, words.next()) {
            ("in", _) => (Comparison::In, 1),
            ("not", Some("in")) => (Comparison::NotIn, 2),
            (word, _) => (Comparison::Binary(comparison(word)?), 1),
        })
    }

    /// A term and all terms that it is compared with.
    fn compared(&mut self, first: Term) -> Result<Term, ParseError> {
        let mut rest = Vec::new();
        while let Some((comparison, words)) = self.comparison() {
            self.tokens = self.tokens.get(words..).unwrap_or_default();
            let right = match comparison {
                Comparison::Binary(_) => self.number(SUM)?,
                Comparison::In | Comparison::NotIn => {
                    let expected = self.expected("a list, as in `t in (1, 2)`");
                    match self.term(SUM)? {
                        list @ Term::List(_) => list,
                        _ => return Err(expected),
                    }
                }
            };
            let ends = matches!(right, Term::List(_));
            rest.push((comparison, right));
            if ends && self.comparison().is_some() {
                return Err(self.expected("`and`, `or` or the end of the comparison"));
            }
        }
        Ok(Term::Compare(Box::new(first), rest))
    }

    /// A signed term, or a value.
    fn prefix(&mut self, least: u8) -> Result<Term, ParseError> {
        if self.take("-") {
            return Ok(Term::Minus(Box::new(self.number(SIGN)?)));
        }
        if self.take("+") {
            return self.number(SIGN);
        }
        if least <= NOT && self.take("not") {
            return Ok(Term::Not(Box::new(self.number(NOT)?)));
        }
        match self.value()? {
            Term::List(list) if self.take("[") => {
                let index = Box::new(self.number(CHOICE)?);
                self.must_take("]")?;
                Ok(Term::Item(list, index))
            }
            term => Ok(term),
        }
    }

    fn value(&mut self) -> Result<Term, ParseError> {
        if self.take("(") {
            let (mut terms, comma) = self.list(")")?;
            return match terms.pop() {
                Some(one) if terms.is_empty() && !comma => Ok(one),
                last => flat(terms.into_iter().chain(last).collect()),
            };
        }
        if self.take("[") {
            return flat(self.list("]")?.0);
        }
        match self.peek().map(|token| (token, &token.kind)) {
            Some((_, Kind::Number(number))) => {
                self.next();
                Ok(Term::Number(number.clone()))
            }
            Some((token, Kind::Word)) if !KEYWORDS.contains(&token.text) => {
                self.next();
                if self.take("(") { self.call(token) } else { name(token) }
            }
            _ => Err(self.expected("a number, a name or `(`")),
        }
    }

    /// One or more terms up to a closing bracket, and whether a comma follows the last one. If there are
    /// several, all are numbers.
    fn list(&mut self, close: &str) -> Result<(Vec<Term>, bool), ParseError> {
        let mut terms = vec![self.term(CHOICE)?];
        while self.take(",") {
            if self.take(close) {
                return Ok((terms, true));
            }
            terms.push(self.number(CHOICE)?);
        }
        self.must_take(close)?;
        Ok((terms, false))
    }

    /// The arguments of a function, after its opening bracket.
    fn call(&mut self, named: &Token<'_>) -> Result<Term, ParseError> {
        let (text, at) = (named.text, named.at);
        let (arguments, _) = self.list(")")?;
        let Some(function) = function(text) else {
            if NAMES.iter().any(|(name, _)| *name == text) {
                return Err(error(format!("`{text}` at character {at} is not a function")));
            }
            return Err(unknown("function", named, &function_names().collect::<Vec<_>>()));
        };
        let (least, most) = function.arity();
        let count = arguments.len();
        if count < least || count > most {
            let takes = match (least, most) {
                (1, 1) => "1 value".to_owned(),
                (least, most) if least == most => format!("{least} values"),
                (least, most) => format!("{least} or {most} values"),
            };
            return Err(error(format!("`{text}` at character {at} takes {takes}, not {count}")));
        }
        checked(function, arguments, named)
    }
}

/// A list of numbers.
fn flat(terms: Vec<Term>) -> Result<Term, ParseError> {
    match terms.iter().any(|term| matches!(term, Term::List(_))) {
        false => Ok(Term::List(terms)),
        true => Err(error("expected a list of numbers, found a list of lists".to_owned())),
    }
}

/// A call, after a check that lists are only passed where they are allowed.
fn checked(function: &'static Function, arguments: Vec<Term>, named: &Token<'_>) -> Result<Term, ParseError> {
    let wrong = |what: &str| Err(error(format!("`{}` at character {} takes {what}", named.text, named.at)));
    match (arguments.first(), function.takes_list(arguments.len())) {
        (Some(Term::List(_)), None) => wrong("numbers, not a list"),
        (Some(Term::List(_)), Some(_)) | (_, None | Some(false)) => Ok(Term::Call(function, arguments)),
        (_, Some(true)) => wrong("a list first, as in [1, 2]"),
    }
}

const KEYWORDS: [&str; 6] = ["if", "else", "and", "or", "not", "in"];

/// The comparison of a Python operator.
pub fn comparison(text: &str) -> Option<Binary> {
    Some(match text {
        "<" => Binary::Less,
        "<=" => Binary::AtMost,
        ">" => Binary::Greater,
        ">=" => Binary::AtLeast,
        "==" => Binary::Equal,
        "!=" => Binary::Unequal,
        _ => return None,
    })
}

/// A binary operator and its precedence.
fn operator(text: &str) -> Option<(Binary, u8)> {
    Some(match text {
        "or" => (Binary::Or, OR),
        "and" => (Binary::And, AND),
        "+" => (Binary::Add, SUM),
        "-" => (Binary::Subtract, SUM),
        "*" => (Binary::Multiply, PRODUCT),
        "/" => (Binary::Divide, PRODUCT),
        "//" => (Binary::DivideDown, PRODUCT),
        "%" => (Binary::Remainder, PRODUCT),
        "**" => (Binary::Power, POWER),
        _ => return None,
    })
}

fn name(token: &Token<'_>) -> Result<Term, ParseError> {
    if let Some((_, name)) = NAMES.iter().find(|(name, _)| *name == token.text) {
        return Ok(Term::Name(*name));
    }
    if function(token.text).is_some() {
        return Err(error(format!("`{}` at character {} is a function", token.text, token.at)));
    }
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    Err(unknown("name", token, &names))
}

fn unknown(what: &str, token: &Token<'_>, known: &[&str]) -> ParseError {
    let hint = match nearest(token.text, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known: {}", listed(known.iter().copied())),
    };
    let message = format!("unknown {what} `{}` at character {}", token.text, token.at);
    ParseError { message, hint: Some(hint) }
}

fn error(message: String) -> ParseError {
    ParseError { message, hint: None }
}
