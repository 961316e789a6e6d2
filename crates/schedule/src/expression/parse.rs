//! Words to terms, by how tightly operators bind.

use super::token::{Kind, Token, tokens};
use super::{Binary, FUNCTIONS, Mistake, NAMES, Term, Unary};
use crate::problem::{listed, nearest};

/// How tightly operators bind; those on the right of one of these bind at least as tightly.
const CHOICE: u8 = 1;
const OR: u8 = 2;
const AND: u8 = 3;
const NOT: u8 = 4;
const COMPARISON: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const SIGN: u8 = 8;
const POWER: u8 = 9;

/// The deepest nesting: reading and working out take a stack.
const MOST_DEPTH: usize = 50;

pub(super) fn parse(text: &str) -> Result<Term, Mistake> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    let term = parser.term(CHOICE)?;
    match parser.peek() {
        None => Ok(term),
        Some(_) => Err(parser.expected("an operator")),
    }
}

struct Parser<'a> {
    /// What is left.
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

    /// Takes the next word if it is this one.
    fn take(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.text == text);
        if found {
            self.next();
        }
        found
    }

    fn must_take(&mut self, text: &str) -> Result<(), Mistake> {
        if self.take(text) { Ok(()) } else { Err(self.expected(&format!("`{text}`"))) }
    }

    fn expected(&self, what: &str) -> Mistake {
        mistake(match self.peek() {
            Some(token) => format!("expected {what}, found `{}` at character {}", token.text, token.at),
            None => format!("expected {what}, found the end"),
        })
    }

    /// A term whose operators bind at least as tightly as `least`.
    fn term(&mut self, least: u8) -> Result<Term, Mistake> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(mistake(format!("the expression is nested more than {MOST_DEPTH} deep")));
        }
        let mut left = self.prefix(least)?;
        while let Some(token) = self.peek() {
            if token.text == "if" && least <= CHOICE {
                self.next();
                let condition = self.term(OR)?;
                self.must_take("else")?;
                let no = self.term(CHOICE)?;
                left = Term::Choice(Box::new([condition, left, no]));
                continue;
            }
            let Some((binary, binds)) = operator(token.text).filter(|(_, binds)| *binds >= least) else {
                break;
            };
            self.next();
            // A power groups from the right and takes a sign; all others group from the left.
            let right = self.term(if binds == POWER { SIGN } else { binds + 1 })?;
            left = Term::Binary(binary, Box::new(left), Box::new(right));
            if binds == COMPARISON
                && let Some(next) = self.peek()
                && operator(next.text).is_some_and(|(_, binds)| binds == COMPARISON)
            {
                let message =
                    format!("comparisons can't be chained: `{}` at character {}", next.text, next.at);
                let hint = Some("as in `0 < t and t < 10`".to_owned());
                return Err(Mistake { message, hint });
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    /// A sign and what it belongs to, or a value.
    fn prefix(&mut self, least: u8) -> Result<Term, Mistake> {
        if self.take("-") {
            return Ok(Term::Unary(Unary::Minus, Box::new(self.term(SIGN)?)));
        }
        if self.take("+") {
            return self.term(SIGN);
        }
        if least <= NOT && self.take("not") {
            return Ok(Term::Unary(Unary::Not, Box::new(self.term(NOT)?)));
        }
        if self.take("(") {
            let inner = self.term(CHOICE)?;
            self.must_take(")")?;
            return Ok(inner);
        }
        match self.peek().map(|token| (token, token.kind)) {
            Some((_, Kind::Number(x))) => {
                self.next();
                Ok(Term::Number(x))
            }
            Some((token, Kind::Word)) if !matches!(token.text, "if" | "else" | "and" | "or" | "not") => {
                self.next();
                if self.take("(") { self.call(token) } else { name(token) }
            }
            _ => Err(self.expected("a number, a name or `(`")),
        }
    }

    /// The values of a function, its bracket being open.
    fn call(&mut self, function: &Token<'_>) -> Result<Term, Mistake> {
        let mut values = vec![self.term(CHOICE)?];
        while self.take(",") {
            values.push(self.term(CHOICE)?);
        }
        self.must_take(")")?;
        let (text, at) = (function.text, function.at);
        let takes = |takes: &str, count: usize| {
            Err(mistake(format!("`{text}` at character {at} takes {takes}, not {count}")))
        };
        match text {
            "min" => return Ok(Term::Least(values)),
            "max" => return Ok(Term::Greatest(values)),
            "pow" => {
                return match <[Term; 2]>::try_from(values) {
                    Ok([a, b]) => Ok(Term::Binary(Binary::Power, Box::new(a), Box::new(b))),
                    Err(values) => takes("2 values", values.len()),
                };
            }
            _ => {}
        }
        let Some((function, of)) = FUNCTIONS.iter().find(|(name, _)| *name == text) else {
            if NAMES.iter().any(|(name, _)| *name == text) {
                return Err(mistake(format!("`{text}` at character {at} is no function")));
            }
            return Err(unknown("function", function, &functions()));
        };
        match <[Term; 1]>::try_from(values) {
            Ok([x]) => Ok(Term::Unary(Unary::Function(function, *of), Box::new(x))),
            Err(values) => takes("1 value", values.len()),
        }
    }
}

/// The operator between two terms, and how tightly it binds.
fn operator(text: &str) -> Option<(Binary, u8)> {
    Some(match text {
        "or" => (Binary::Or, OR),
        "and" => (Binary::And, AND),
        "<" => (Binary::Less, COMPARISON),
        "<=" => (Binary::AtMost, COMPARISON),
        ">" => (Binary::Greater, COMPARISON),
        ">=" => (Binary::AtLeast, COMPARISON),
        "==" => (Binary::Equal, COMPARISON),
        "!=" => (Binary::Unequal, COMPARISON),
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

fn name(token: &Token<'_>) -> Result<Term, Mistake> {
    if let Some((_, name)) = NAMES.iter().find(|(name, _)| *name == token.text) {
        return Ok(Term::Name(*name));
    }
    if functions().contains(&token.text) {
        return Err(mistake(format!("`{}` at character {} is a function", token.text, token.at)));
    }
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    Err(unknown("name", token, &names))
}

fn functions() -> Vec<&'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name).chain(["min", "max", "pow"]).collect()
}

fn unknown(what: &str, token: &Token<'_>, known: &[&str]) -> Mistake {
    let hint = match nearest(token.text, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known: {}", listed(known.iter().copied())),
    };
    let message = format!("there is no {what} `{}` at character {}", token.text, token.at);
    Mistake { message, hint: Some(hint) }
}

fn mistake(message: String) -> Mistake {
    Mistake { message, hint: None }
}
