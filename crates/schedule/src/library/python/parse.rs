//! Words to statements.

use super::tokens::{Kind, Token, tokens};
use super::{Argument, Expr, Source, Statement, What};
use crate::problem::Problem;

/// The deepest nesting: reading takes a stack.
const MOST_DEPTH: usize = 40;

/// Reads statements. Imports are left out, but for what they call by another name: those come first, as
/// assignments of a path.
pub(in crate::library) fn statements(source: &Source<'_>) -> Result<Vec<Statement>, Problem> {
    let tokens = tokens(source)?;
    let mut statements = Vec::new();
    for line in tokens.split(|token| token.kind == Kind::End) {
        if line.is_empty() {
            continue;
        }
        let mut parser = Parser { source, tokens: line, behind: 0, depth: 0 };
        match parser.peek_text() {
            "import" | "from" => statements.extend(parser.import()),
            _ => statements.push(parser.statement()?),
        }
    }
    Ok(statements)
}

struct Parser<'a> {
    source: &'a Source<'a>,
    /// What is left of the statement.
    tokens: &'a [Token],
    /// Where the last word that was taken ends.
    behind: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn text(&self, token: &Token) -> &'a str {
        self.source.text.get(token.start..token.end).unwrap_or_default()
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    /// The next word; empty at the end, and for a string, which is no word.
    fn peek_text(&self) -> &'a str {
        self.peek().filter(|token| token.kind != Kind::Text).map_or("", |token| self.text(token))
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        self.behind = first.end;
        Some(first)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.peek_text() == sign;
        if found {
            self.next();
        }
        found
    }

    /// Where the next word begins.
    fn here(&self) -> usize {
        self.peek().map_or(self.behind, |token| token.start)
    }

    fn expected(&self, what: &str) -> Problem {
        match self.peek() {
            Some(token) => {
                let found = self.text(token);
                let problem =
                    self.source.problem(token.start, token.end, format!("expected {what}, found `{found}`"));
                match found {
                    "for" => problem.with_hint("write the values out, as in [30, 60, 90]"),
                    "if" | "and" | "or" | "not" | "<" | ">" | "==" | "<=" | ">=" => {
                        problem.with_hint("conditions are read inside a lambda only")
                    }
                    _ => problem,
                }
            }
            None => {
                let end = self.here();
                self.source.problem(end, end, format!("expected {what}, found the end"))
            }
        }
    }

    /// `import torch.optim as optim`, `from x import y as z, w`.
    fn import(&mut self) -> Vec<Statement> {
        let mut found = Vec::new();
        let from = self.take("from");
        let mut module = Vec::new();
        if from {
            module = self.dotted();
        }
        self.take("import");
        self.take("(");
        while self.peek().is_some_and(|token| token.kind == Kind::Name) {
            let start = self.here();
            let mut path = module.clone();
            path.extend(self.dotted());
            let alias = if self.take("as") { self.dotted() } else { Vec::new() };
            let end = self.here();
            let names = match alias.first() {
                Some(alias) => vec![alias.clone()],
                None if from => path.last().cloned().into_iter().collect(),
                None => Vec::new(),
            };
            if !names.is_empty() {
                found.push(Statement { names, value: Expr { start, end, what: What::Path(path) } });
            }
            self.take(",");
        }
        found
    }

    fn dotted(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Name) {
            path.push(self.text(token).to_owned());
            self.next();
            if !self.take(".") {
                break;
            }
        }
        path
    }

    fn statement(&mut self) -> Result<Statement, Problem> {
        let names = self.targets();
        let value = self.list_or_one()?;
        match self.peek() {
            None => Ok(Statement { names, value }),
            Some(_) => Err(self.expected("the end of the call")),
        }
    }

    /// The names before an `=`, if the statement is an assignment.
    fn targets(&mut self) -> Vec<String> {
        let whole = self.tokens;
        let mut names = Vec::new();
        loop {
            let path = self.dotted();
            if path.is_empty() {
                break;
            }
            names.push(path.join("."));
            if self.take("=") {
                return names;
            }
            if !self.take(",") {
                break;
            }
        }
        self.tokens = whole;
        Vec::new()
    }

    /// `a`, or `a, b` without brackets.
    fn list_or_one(&mut self) -> Result<Expr, Problem> {
        let first = self.expr()?;
        if self.peek_text() != "," {
            return Ok(first);
        }
        let start = first.start;
        let mut items = vec![first];
        while self.take(",") {
            if self.peek().is_none() {
                break;
            }
            items.push(self.expr()?);
        }
        let end = items.last().map_or(start, |item| item.end);
        Ok(Expr { start, end, what: What::List(items) })
    }

    fn expr(&mut self) -> Result<Expr, Problem> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            let at = self.here();
            return Err(self.source.problem(at, at, format!("nested more than {MOST_DEPTH} deep")));
        }
        let expr = if self.peek_text() == "lambda" { self.lambda() } else { self.sum() };
        self.depth -= 1;
        expr
    }

    /// Its body is kept as text, up to the comma or bracket that ends it.
    fn lambda(&mut self) -> Result<Expr, Problem> {
        let start = self.here();
        self.next();
        let name = match self.peek() {
            Some(token) if token.kind == Kind::Name => self.text(token).to_owned(),
            _ => return Err(self.expected("the name of the lambda's parameter")),
        };
        self.next();
        if self.peek_text() == "," {
            return Err(self.expected("`:`").with_hint("a lambda of one parameter, the step"));
        }
        if !self.take(":") {
            return Err(self.expected("`:`"));
        }
        let (body, mut end, mut depth) = (self.here(), self.here(), 0_usize);
        while let Some(token) = self.peek() {
            match self.text(token) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" | "," if depth == 0 => break,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            end = token.end;
            self.next();
        }
        Ok(Expr { start, end, what: What::Lambda(name, body) })
    }

    fn sum(&mut self) -> Result<Expr, Problem> {
        self.chain(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Result<Expr, Problem> {
        self.chain(&["*", "/", "//", "%"], Self::sign)
    }

    fn chain(
        &mut self,
        signs: &[&'static str],
        part: fn(&mut Self) -> Result<Expr, Problem>,
    ) -> Result<Expr, Problem> {
        let mut left = part(self)?;
        let mut length = 0;
        while let Some(sign) = signs.iter().copied().find(|sign| self.peek_text() == *sign) {
            length += 1;
            if length > MOST_DEPTH {
                return Err(self.expected("a shorter sum"));
            }
            self.next();
            let right = part(self)?;
            let (start, end) = (left.start, right.end);
            left = Expr { start, end, what: What::Binary(sign, Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Expr, Problem> {
        let start = self.here();
        if self.peek_text() == "-" || self.peek_text() == "+" {
            self.depth += 1;
            if self.depth > MOST_DEPTH {
                return Err(self.expected("a number"));
            }
            let minus = self.take("-") || !self.take("+");
            let of = self.sign()?;
            self.depth -= 1;
            let end = of.end;
            let what = if minus { What::Minus(Box::new(of)) } else { of.what };
            return Ok(Expr { start, end, what });
        }
        let base = self.postfix()?;
        if !self.take("**") {
            return Ok(base);
        }
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.expected("a number"));
        }
        let exponent = self.sign()?;
        self.depth -= 1;
        let end = exponent.end;
        Ok(Expr { start, end, what: What::Binary("**", Box::new(base), Box::new(exponent)) })
    }

    fn postfix(&mut self) -> Result<Expr, Problem> {
        let mut expr = self.atom()?;
        loop {
            let start = expr.start;
            let what = if self.take("(") {
                What::Call(Box::new(expr), self.arguments()?)
            } else if self.take("[") {
                self.list("]")?;
                What::Part(Box::new(expr))
            } else if self.take(".") {
                let name = match self.peek() {
                    Some(token) if token.kind == Kind::Name => self.text(token).to_owned(),
                    _ => return Err(self.expected("a name")),
                };
                self.next();
                match expr.what {
                    What::Path(mut path) => {
                        path.push(name);
                        What::Path(path)
                    }
                    _ => What::Part(Box::new(expr)),
                }
            } else {
                return Ok(expr);
            };
            expr = Expr { start, end: self.behind, what };
        }
    }

    fn atom(&mut self) -> Result<Expr, Problem> {
        let Some(token) = self.peek() else { return Err(self.expected("a value")) };
        let (start, word) = (token.start, self.text(token));
        let what = match (token.kind, word) {
            (Kind::Name, "None") => What::None,
            (Kind::Name, "True") => What::Bool(true),
            (Kind::Name, "False") => What::Bool(false),
            (Kind::Name, "for" | "if" | "in" | "not" | "and" | "or" | "def" | "class") => {
                return Err(self.expected("a value"));
            }
            (Kind::Name, name) => What::Path(vec![name.to_owned()]),
            (Kind::Number, word) => match literal(word) {
                Some(what) => what,
                None => {
                    let message = format!("`{word}` is no number that can be used here");
                    return Err(self.source.problem(start, token.end, message));
                }
            },
            (Kind::Text, word) => What::Text(unquoted(word)),
            (Kind::Sign, "(") => {
                self.next();
                let (mut items, comma) = self.list(")")?;
                let one = if comma { None } else { items.pop() };
                let what = match (one, items.is_empty()) {
                    (Some(one), true) => one.what,
                    (Some(one), false) => {
                        items.push(one);
                        What::List(items)
                    }
                    (None, _) => What::List(items),
                };
                return Ok(Expr { start, end: self.behind, what });
            }
            (Kind::Sign, "[") => {
                self.next();
                let (items, _) = self.list("]")?;
                return Ok(Expr { start, end: self.behind, what: What::List(items) });
            }
            (Kind::Sign, "{") => {
                self.next();
                let what = What::Dict(self.dict()?);
                return Ok(Expr { start, end: self.behind, what });
            }
            (Kind::Sign, "*" | "**") => {
                return Err(self.expected("a value").with_hint("write the arguments out"));
            }
            _ => return Err(self.expected("a value")),
        };
        self.next();
        Ok(Expr { start, end: token.end, what })
    }

    /// Items up to a closing bracket, and whether a comma stood behind the last.
    fn list(&mut self, close: &str) -> Result<(Vec<Expr>, bool), Problem> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.take(close) {
            if !items.is_empty() && !comma {
                return Err(self.expected(&format!("`,` or `{close}`")));
            }
            items.push(self.expr()?);
            comma = self.take(",");
        }
        Ok((items, comma))
    }

    fn dict(&mut self) -> Result<Vec<(Expr, Expr)>, Problem> {
        let mut items = Vec::new();
        let mut comma = true;
        while !self.take("}") {
            if !comma {
                return Err(self.expected("`,` or `}`"));
            }
            let key = self.expr()?;
            if !self.take(":") {
                return Err(self.expected("`:`"));
            }
            items.push((key, self.expr()?));
            comma = self.take(",");
        }
        Ok(items)
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, Problem> {
        let mut arguments: Vec<Argument> = Vec::new();
        let mut comma = true;
        while !self.take(")") {
            if !comma {
                return Err(self.expected("`,` or `)`"));
            }
            let name = match self.tokens {
                [name, equals, ..] if name.kind == Kind::Name && self.text(equals) == "=" => {
                    self.next();
                    self.next();
                    Some((self.text(name).to_owned(), name.start))
                }
                _ => None,
            };
            if name.is_none() && arguments.iter().any(|argument| argument.name.is_some()) {
                return Err(self.expected("an argument with its name"));
            }
            arguments.push(Argument { name, value: self.expr()? });
            comma = self.take(",");
        }
        Ok(arguments)
    }
}

fn literal(word: &str) -> Option<What> {
    let plain = word.replace('_', "");
    if let Some(factor) = plain.strip_suffix('x') {
        return factor.parse::<f64>().ok().map(|_| What::Text(plain.clone()));
    }
    match plain.parse::<i64>() {
        Ok(i) => Some(What::Int(i)),
        Err(_) if plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            plain.parse::<f64>().ok().filter(|x| x.is_finite()).map(What::Float)
        }
        Err(_) => None,
    }
}

/// What a string says: its quotes taken off, a character behind `\` taken as it is.
fn unquoted(word: &str) -> String {
    let mut characters = word.chars().skip(1).take(word.chars().count().saturating_sub(2));
    let mut text = String::new();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}
