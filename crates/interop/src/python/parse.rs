//! Parses tokens into values and simple statements.

use super::tokens::{Kind, Token};
use super::{Argument, Body, Expr, ExprKind, Function, Source, Statement, Target};
use schedule::number::Number;
use schedule::problem::Problem;

/// The maximum nesting, because parsing is recursive.
const MAX_DEPTH: usize = 40;

/// Parses the tokens of one statement.
pub(crate) struct Parser<'a> {
    source: &'a Source<'a>,
    /// The remaining tokens.
    tokens: &'a [Token],
    /// The end of the last consumed token.
    last_end: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(source: &'a Source<'a>, tokens: &'a [Token]) -> Self {
        let last_end = tokens.first().map_or(0, |token| token.start);
        Self { source, tokens, last_end, depth: 0 }
    }

    fn text(&self, token: &Token) -> &'a str {
        self.source.text.get(token.start..token.end).unwrap_or_default()
    }

    fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    /// The next token as text; empty at the end and for a string.
    fn peek_text(&self) -> &'a str {
        self.peek().filter(|token| token.kind != Kind::Text).map_or("", |token| self.text(token))
    }

    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        self.last_end = first.end;
        Some(first)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.peek_text() == sign;
        if found {
            self.next();
        }
        found
    }

    /// The start of the next token.
    fn here(&self) -> usize {
        self.peek().map_or(self.last_end, |token| token.start)
    }

    fn expected(&self, what: &str) -> Problem {
        match self.peek() {
            Some(token) => {
                let found = self.text(token);
                self.source.problem(token.start, token.end, format!("expected {what}, found `{found}`"))
            }
            None => {
                let end = self.here();
                self.source.problem(end, end, format!("expected {what}, found the end"))
            }
        }
    }

    /// `import torch.optim as optim`, `from x import y as z, w`: assignments of paths to the imported names.
    pub(crate) fn import(&mut self) -> Vec<Statement> {
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
                let targets = names.into_iter().map(Target::Name).collect();
                found.push(Statement::Value(targets, Expr { start, end, kind: ExprKind::Path(path) }));
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

    /// An assignment or an expression; `None` for an annotation without a value.
    pub(crate) fn statement(&mut self) -> Result<Option<Statement>, Problem> {
        let words = self.tokens;
        let outside = outside(words, |token| self.text(token));
        let sign = |i: &usize| words.get(*i).map_or("", |token| self.text(token));
        if let Some(i) = outside.iter().find(|i| AUGMENTED.contains(&sign(i))) {
            return self.augmented(*i).map(Some);
        }
        let equals: Vec<usize> = outside.into_iter().filter(|i| sign(i) == "=").collect();
        let mut targets = Vec::new();
        let mut begin = 0;
        for end in equals {
            targets.push(self.target(words.get(begin..end).unwrap_or_default())?);
            begin = end + 1;
        }
        self.tokens = words.get(begin..).unwrap_or_default();
        if targets.is_empty() && self.is_annotated() {
            return Ok(None);
        }
        let value = self.whole()?;
        Ok(Some(Statement::Value(targets, value)))
    }

    /// The targets of a statement that can't be read.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let end = outside(self.tokens, |token| self.text(token))
            .into_iter()
            .find(|i| self.tokens.get(*i).is_some_and(|token| self.text(token) == "="));
        let words = end.and_then(|end| self.tokens.get(..end));
        words.and_then(|words| self.target(words).ok()).into_iter().collect()
    }

    /// Whether the remaining tokens are a name and its type.
    fn is_annotated(&self) -> bool {
        matches!(self.tokens, [name, colon, ..] if name.kind == Kind::Name && self.text(colon) == ":")
    }

    fn target(&self, words: &'a [Token]) -> Result<Target, Problem> {
        let colon = outside(words, |token| self.text(token))
            .into_iter()
            .find(|i| words.get(*i).is_some_and(|token| self.text(token) == ":"));
        let words = words.get(..colon.unwrap_or(words.len())).unwrap_or_default();
        let value = Parser::new(self.source, words).whole()?;
        let name = |expr: &Expr| match &expr.kind {
            ExprKind::Path(path) => Some(path.join(".")),
            _ => None,
        };
        Ok(match &value.kind {
            ExprKind::Path(path) => Target::Name(path.join(".")),
            ExprKind::List(items) => match items.iter().map(name).collect() {
                Some(names) => Target::Names(names),
                None => Target::Other(value),
            },
            _ => Target::Other(value),
        })
    }

    /// `lr *= 0.1`, with its operator at index `i`.
    fn augmented(&mut self, i: usize) -> Result<Statement, Problem> {
        let words = self.tokens;
        let (left, right) = (words.get(..i).unwrap_or_default(), words.get(i + 1..).unwrap_or_default());
        let target = self.target(left)?;
        let before = Parser::new(self.source, left).whole()?;
        let sign = words.get(i).map_or("", |token| self.text(token)).trim_end_matches('=');
        let sign = ARITHMETIC.iter().copied().find(|known| *known == sign).unwrap_or("+");
        let by = Parser::new(self.source, right).whole()?;
        let (start, end) = (before.start, by.end);
        let value = Expr { start, end, kind: ExprKind::Binary(sign, Box::new(before), Box::new(by)) };
        Ok(Statement::Value(vec![target], value))
    }

    /// All tokens as one value.
    pub(crate) fn whole(&mut self) -> Result<Expr, Problem> {
        let value = self.list_or_one()?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.expected("the end of the call")),
        }
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
        Ok(Expr { start, end, kind: ExprKind::List(items) })
    }

    fn expr(&mut self) -> Result<Expr, Problem> {
        self.deeper()?;
        let expr = if self.peek_text() == "lambda" { self.lambda() } else { self.choice() };
        self.depth -= 1;
        expr
    }

    /// A lambda of one parameter. Its body is kept as text, up to the comma or bracket that ends it.
    fn lambda(&mut self) -> Result<Expr, Problem> {
        let start = self.here();
        self.next();
        let before = self.tokens;
        let colon = outside(before, |token| self.text(token))
            .into_iter()
            .find(|i| before.get(*i).is_some_and(|token| self.text(token) == ":"));
        let Some((parameters, body)) = colon.map(|colon| before.split_at(colon)) else {
            return Err(self.expected("`:` in this lambda"));
        };
        self.tokens = body;
        self.take(":");
        let (begin, mut end, mut depth) = (self.here(), self.here(), 0_usize);
        while let Some(token) = self.peek() {
            match self.peek_text() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" | "," if depth == 0 => break,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            end = token.end;
            self.next();
        }
        let kind = match parameters {
            [name] if name.kind == Kind::Name && begin < end => ExprKind::Function(Function {
                parameter: self.text(name).to_owned(),
                body: Body::Return(begin..end),
            }),
            _ => ExprKind::Unknown("expected a lambda of one parameter, the step".to_owned()),
        };
        Ok(Expr { start, end, kind })
    }

    /// `a if condition else b`.
    fn choice(&mut self) -> Result<Expr, Problem> {
        let yes = self.or()?;
        if !self.take("if") {
            return Ok(yes);
        }
        let condition = self.or()?;
        if !self.take("else") {
            return Err(self.expected("`else`"));
        }
        let no = self.expr()?;
        let (start, end) = (yes.start, no.end);
        Ok(Expr { start, end, kind: ExprKind::Choice(Box::new([condition, yes, no])) })
    }

    fn or(&mut self) -> Result<Expr, Problem> {
        self.chain(&["or"], Self::and)
    }

    fn and(&mut self) -> Result<Expr, Problem> {
        self.chain(&["and"], Self::not)
    }

    fn not(&mut self) -> Result<Expr, Problem> {
        let start = self.here();
        if !self.take("not") {
            return self.comparison();
        }
        self.deeper()?;
        let of = self.not()?;
        self.depth -= 1;
        let end = of.end;
        Ok(Expr { start, end, kind: ExprKind::Sign("not", Box::new(of)) })
    }

    fn comparison(&mut self) -> Result<Expr, Problem> {
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(sign) = COMPARISONS.iter().copied().find(|sign| self.peek_text() == *sign) {
            self.next();
            let not = sign == "not" && self.take("in");
            let is_not = sign == "is" && self.take("not");
            let sign = if not { "not in" } else { sign };
            let sign = if is_not { "is not" } else { sign };
            rest.push((sign, self.sum()?));
            if rest.len() > MAX_DEPTH {
                return Err(self.expected("a shorter comparison"));
            }
        }
        let (start, end) = (first.start, rest.last().map_or(first.end, |(_, last)| last.end));
        Ok(match rest.is_empty() {
            true => first,
            false => Expr { start, end, kind: ExprKind::Compare(Box::new(first), rest) },
        })
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let at = self.here();
            return Err(self.source.problem(at, at, format!("nested more than {MAX_DEPTH} deep")));
        }
        Ok(())
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
            if length > MAX_DEPTH {
                return Err(self.expected("a shorter sum"));
            }
            self.next();
            let right = part(self)?;
            let (start, end) = (left.start, right.end);
            left = Expr { start, end, kind: ExprKind::Binary(sign, Box::new(left), Box::new(right)) };
        }
        Ok(left)
    }

    fn sign(&mut self) -> Result<Expr, Problem> {
        let start = self.here();
        if let Some(sign) = ["-", "+"].into_iter().find(|sign| self.take(sign)) {
            self.deeper()?;
            let of = self.sign()?;
            self.depth -= 1;
            return Ok(Expr { start, end: of.end, kind: ExprKind::Sign(sign, Box::new(of)) });
        }
        let base = self.postfix()?;
        if !self.take("**") {
            return Ok(base);
        }
        self.deeper()?;
        let exponent = self.sign()?;
        self.depth -= 1;
        let end = exponent.end;
        Ok(Expr { start, end, kind: ExprKind::Binary("**", Box::new(base), Box::new(exponent)) })
    }

    fn postfix(&mut self) -> Result<Expr, Problem> {
        let mut expr = self.atom()?;
        loop {
            let start = expr.start;
            let kind = if self.take("(") {
                ExprKind::Call(Box::new(expr), self.arguments()?)
            } else if self.take("[") {
                ExprKind::Item(Box::new(expr), Box::new(self.index()?))
            } else if self.take(".") {
                let name = match self.peek() {
                    Some(token) if token.kind == Kind::Name => self.text(token).to_owned(),
                    _ => return Err(self.expected("a name")),
                };
                self.next();
                match expr.kind {
                    ExprKind::Path(mut path) => {
                        path.push(name);
                        ExprKind::Path(path)
                    }
                    _ => ExprKind::Attribute(Box::new(expr), name),
                }
            } else {
                return Ok(expr);
            };
            expr = Expr { start, end: self.last_end, kind };
        }
    }

    fn atom(&mut self) -> Result<Expr, Problem> {
        let Some(token) = self.peek() else { return Err(self.expected("a value")) };
        let (start, word) = (token.start, self.text(token));
        let kind = match (token.kind, word) {
            (Kind::Name, "None") => ExprKind::None,
            (Kind::Name, "True") => ExprKind::Bool(true),
            (Kind::Name, "False") => ExprKind::Bool(false),
            (
                Kind::Name,
                "for" | "if" | "else" | "in" | "not" | "and" | "or" | "is" | "def" | "class" | "await"
                | "yield",
            ) => {
                return Err(self.expected("a value"));
            }
            (Kind::Name, name) => ExprKind::Path(vec![name.to_owned()]),
            (Kind::Number, word) => match literal(word) {
                Some(kind) => kind,
                None => {
                    let message = format!("`{word}` is not a supported number");
                    return Err(self.source.problem(start, token.end, message));
                }
            },
            (Kind::Text, _) => return Ok(self.strings()),
            (Kind::Sign, "(") => {
                self.next();
                let (mut items, comma) = self.list(")")?;
                let one = if comma { None } else { items.pop() };
                let kind = match (one, items.is_empty()) {
                    (Some(one), true) => one.kind,
                    (Some(one), false) => {
                        items.push(one);
                        ExprKind::List(items)
                    }
                    (None, _) => ExprKind::List(items),
                };
                return Ok(Expr { start, end: self.last_end, kind });
            }
            (Kind::Sign, "[") => {
                self.next();
                let (items, _) = self.list("]")?;
                return Ok(Expr { start, end: self.last_end, kind: ExprKind::List(items) });
            }
            (Kind::Sign, "{") => {
                self.next();
                let kind = ExprKind::Dict(self.dict()?);
                return Ok(Expr { start, end: self.last_end, kind });
            }
            (Kind::Sign, "*" | "**") => {
                self.next();
                let end = self.expr()?.end;
                let kind =
                    ExprKind::Unknown("unpacked arguments are not supported: write them out".to_owned());
                return Ok(Expr { start, end, kind });
            }
            _ => return Err(self.expected("a value")),
        };
        self.next();
        Ok(Expr { start, end: token.end, kind })
    }

    /// Items up to a closing bracket, and whether a comma follows the last one.
    fn list(&mut self, close: &str) -> Result<(Vec<Expr>, bool), Problem> {
        let mut items = Vec::new();
        let mut comma = false;
        while !self.take(close) {
            if !items.is_empty() && !comma {
                return Err(self.expected(&format!("`,` or `{close}`")));
            }
            let item = self.expr()?;
            items.push(self.comprehended(item));
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
            let value = match self.take(":") {
                true => self.expr()?,
                // `**other`, or an item of a set.
                false => {
                    let kind = ExprKind::Unknown("this is not an entry of a mapping".to_owned());
                    Expr { start: key.start, end: key.end, kind }
                }
            };
            let value = self.comprehended(value);
            items.push((key, value));
            comma = self.take(",");
        }
        Ok(items)
    }

    /// The index of an item, after its opening bracket. Slices are not supported.
    fn index(&mut self) -> Result<Expr, Problem> {
        let start = self.here();
        let first = if self.peek_text() == ":" { None } else { Some(self.list_or_one()?) };
        match first {
            Some(index) if self.take("]") => Ok(index),
            _ if self.peek_text() == ":" => {
                self.skip_to_close();
                self.take("]");
                Ok(Expr {
                    start,
                    end: self.last_end,
                    kind: ExprKind::Unknown("slices are not supported".to_owned()),
                })
            }
            _ => Err(self.expected("`]`")),
        }
    }

    /// The value, or an unknown value if a comprehension follows.
    fn comprehended(&mut self, value: Expr) -> Expr {
        if !matches!(self.peek_text(), "for" | "async" | ":=") {
            return value;
        }
        self.skip_to_close();
        let kind = ExprKind::Unknown(
            "comprehensions are not supported: write the values out, as in [30, 60, 90]".to_owned(),
        );
        Expr { start: value.start, end: self.last_end, kind }
    }

    /// Skips all tokens before the closing bracket.
    fn skip_to_close(&mut self) {
        let mut depth = 0_usize;
        while self.peek().is_some() {
            match self.peek_text() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" if depth == 0 => return,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            self.next();
        }
    }

    /// Adjacent strings, which Python joins.
    fn strings(&mut self) -> Expr {
        let start = self.here();
        let mut text = String::new();
        let mut formatted = false;
        while let Some(token) = self.peek().filter(|token| token.kind == Kind::Text) {
            let word = self.text(token);
            formatted |= word.split(['"', '\'']).next().is_some_and(|prefix| prefix.contains(['f', 'F']));
            text.push_str(&unquoted(word));
            self.next();
        }
        let kind = match formatted {
            true => ExprKind::Unknown("f-strings are not supported: write the text out".to_owned()),
            false => ExprKind::Text(text),
        };
        Expr { start, end: self.last_end, kind }
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
            let unpacked = matches!(self.peek_text(), "*" | "**");
            if !unpacked && name.is_none() && arguments.iter().any(|argument| argument.name.is_some()) {
                return Err(self.expected("a keyword argument"));
            }
            let value = self.expr()?;
            arguments.push(Argument { name, value: self.comprehended(value) });
            comma = self.take(",");
        }
        Ok(arguments)
    }
}

const ARITHMETIC: [&str; 7] = ["**", "//", "+", "-", "*", "/", "%"];
const AUGMENTED: [&str; 7] = ["**=", "//=", "+=", "-=", "*=", "/=", "%="];
const COMPARISONS: [&str; 9] = ["<=", ">=", "==", "!=", "<", ">", "in", "not", "is"];

/// The indices of the tokens outside all brackets.
pub(crate) fn outside<'a>(words: &[Token], text: impl Fn(&Token) -> &'a str) -> Vec<usize> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (i, token) in words.iter().enumerate() {
        match (token.kind, text(token)) {
            (Kind::Sign, "(" | "[" | "{") => depth += 1,
            (Kind::Sign, ")" | "]" | "}") => depth = depth.saturating_sub(1),
            _ if depth == 0 => found.push(i),
            _ => {}
        }
    }
    found
}

fn literal(word: &str) -> Option<ExprKind> {
    let plain = word.replace('_', "");
    match plain.strip_suffix('x') {
        Some(factor) => factor.parse::<f64>().ok().map(|_| ExprKind::Text(plain.clone())),
        None => Number::literal(&plain).map(ExprKind::Number),
    }
}

/// The text of a string, without its prefix and quotes. A character after `\` is taken literally.
fn unquoted(word: &str) -> String {
    let body = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let quotes = if body.starts_with("\"\"\"") || body.starts_with("'''") { 3 } else { 1 };
    let inner = body.get(quotes..body.len().saturating_sub(quotes)).unwrap_or_default();
    let mut characters = inner.chars();
    let mut text = String::new();
    while let Some(c) = characters.next() {
        text.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    text
}
