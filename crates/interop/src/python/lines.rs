//! Parses lines into statements, with blocks by indentation.

use super::parse::{Parser, outside};
use super::tokens::{Kind, Token, tokens};
use super::{Body, Expr, ExprKind, Function, Source, Statement};
use schedule::problem::Problem;

/// The tokens of one statement and its indentation.
#[derive(Debug, Clone, Copy)]
struct Line<'t> {
    tokens: &'t [Token],
    indent: usize,
}

/// Reads statements. A statement that can't be read becomes [`Statement::Unread`].
///
/// # Errors
/// An invalid token, string or bracket.
pub(crate) fn statements(source: &Source<'_>) -> Result<Vec<Statement>, Problem> {
    let tokens = tokens(source)?;
    let lines = lines(source, &tokens);
    Ok(Reader { source, depth: 0 }.block(&lines))
}

fn lines<'t>(source: &Source<'_>, tokens: &'t [Token]) -> Vec<Line<'t>> {
    let mut lines: Vec<Line<'t>> = Vec::new();
    for tokens in tokens.split(|token| token.kind == Kind::End) {
        let Some(first) = tokens.first() else { continue };
        let before = source.text.get(..first.start).unwrap_or_default();
        let margin = before.rsplit('\n').next().unwrap_or_default();
        // A statement after `;` has the indentation of the one before it.
        let indent = match margin.trim().is_empty() {
            true => margin.chars().count(),
            false => lines.last().map_or(0, |line| line.indent),
        };
        lines.push(Line { tokens, indent });
    }
    lines
}

/// Keywords of statements that do not change values.
const IGNORED: [&str; 9] = ["pass", "break", "continue", "global", "nonlocal", "del", "assert", "raise", "@"];

const BLOCKS: [&str; 10] =
    ["class", "for", "while", "if", "elif", "else", "try", "except", "finally", "with"];

/// The maximum nesting of blocks.
const MAX_DEPTH: usize = 40;

/// The maximum number of statements of a function; the statements after a branch count once per branch.
const MAX_STATEMENTS: usize = 300;

struct Reader<'a> {
    source: &'a Source<'a>,
    depth: usize,
}

/// The statements that follow a block in a function.
struct Continuation<'l> {
    lines: &'l [Line<'l>],
    then: Option<&'l Continuation<'l>>,
}

impl<'a> Reader<'a> {
    fn word(&self, line: &Line<'_>, i: usize) -> &'a str {
        let token = line.tokens.get(i).filter(|token| token.kind != Kind::Text);
        token.map_or("", |token| self.text(token))
    }

    fn text(&self, token: &Token) -> &'a str {
        self.source.text.get(token.start..token.end).unwrap_or_default()
    }

    fn problem(&self, tokens: &[Token], message: impl Into<String>) -> Problem {
        let start = tokens.first().map_or(0, |token| token.start);
        self.source.problem(start, tokens.last().map_or(start, |token| token.end), message)
    }

    fn block(&mut self, lines: &[Line<'_>]) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut rest = lines;
        while let Some((line, after)) = rest.split_first() {
            rest = after;
            let mut line = *line;
            while matches!(self.word(&line, 0), "async" | "return" | "await" | "yield") {
                line.tokens = line.tokens.get(1..).unwrap_or_default();
            }
            let word = self.word(&line, 0);
            if line.tokens.is_empty() || IGNORED.contains(&word) {
                continue;
            }
            if matches!(word, "import" | "from") {
                statements.extend(Parser::new(self.source, line.tokens).import());
                continue;
            }
            let header = if word == "def" || BLOCKS.contains(&word) { self.header(&line) } else { None };
            let Some((header, inline)) = header else {
                statements.extend(self.simple(&line));
                continue;
            };
            let length = after.iter().position(|other| other.indent <= line.indent).unwrap_or(after.len());
            let (inside, after) = after.split_at(length);
            rest = after;
            let inline = (!inline.is_empty()).then_some(Line { tokens: inline, indent: line.indent + 1 });
            let inside: Vec<Line<'_>> = inline.into_iter().chain(inside.iter().copied()).collect();
            self.compound(word, header, &inside, &mut statements);
        }
        statements
    }

    /// A single-line statement.
    fn simple(&self, line: &Line<'_>) -> Option<Statement> {
        match Parser::new(self.source, line.tokens).statement() {
            Ok(statement) => statement,
            Err(problem) => Some(Statement::Unread(Parser::new(self.source, line.tokens).targets(), problem)),
        }
    }

    /// The tokens before and after the colon that opens a block.
    fn header<'t>(&self, line: &Line<'t>) -> Option<(&'t [Token], &'t [Token])> {
        let colon = outside(line.tokens, |token| self.text(token))
            .into_iter()
            .find(|i| line.tokens.get(*i).is_some_and(|token| self.text(token) == ":"))?;
        Some((line.tokens.get(..colon)?, line.tokens.get(colon + 1..)?))
    }

    fn compound(
        &mut self,
        word: &str,
        header: &[Token],
        lines: &[Line<'_>],
        statements: &mut Vec<Statement>,
    ) {
        self.depth += 1;
        let inside = if self.depth > MAX_DEPTH { Vec::new() } else { self.block(lines) };
        self.depth -= 1;
        let second = header.get(1).map_or("", |token| self.text(token));
        match word {
            // These blocks run exactly once.
            "with" | "try" | "finally" | "class" => statements.extend(inside),
            "if" if second == "__name__" => statements.extend(inside),
            "def" => {
                let function = self.function(header, lines);
                statements.push(Statement::Def(second.to_owned(), function, inside));
            }
            word => {
                let (start, end) = (
                    header.first().map_or(0, |token| token.start),
                    header.last().map_or(0, |token| token.end),
                );
                let kind = ExprKind::Unknown(format!("`{word}`"));
                statements.push(Statement::Block(Expr { start, end, kind }, inside));
            }
        }
    }

    /// A function of one number, from `def name(parameter)` and the lines inside.
    fn function(&self, header: &[Token], lines: &[Line<'_>]) -> Result<Function, Problem> {
        let one = "expected a function of one number, the step";
        let parameter = match header {
            [_, _, open, name, rest @ ..] if self.text(open) == "(" && name.kind == Kind::Name => {
                let next = rest.first().map_or("", |token| self.text(token));
                let several = rest.iter().any(|token| self.text(token) == ",");
                if several || !matches!(next, ")" | ":") {
                    return Err(self.problem(header, one));
                }
                self.text(name).to_owned()
            }
            _ => return Err(self.problem(header, one)),
        };
        let mut left = MAX_STATEMENTS;
        let body = self.body(lines, None, &mut left).ok_or_else(|| {
            let problem = self.problem(header, "this function can't be converted");
            problem.with_hint("only assignments, `if` and `return` are supported; write it as a lambda")
        })?;
        Ok(Function { parameter, body })
    }

    fn body(&self, lines: &[Line<'_>], then: Option<&Continuation<'_>>, left: &mut usize) -> Option<Body> {
        *left = left.checked_sub(1)?;
        let Some((line, rest)) = lines.split_first() else {
            return self.body(then?.lines, then?.then, left);
        };
        let range = |tokens: &[Token]| Some(tokens.first()?.start..tokens.last()?.end);
        match (self.word(line, 0), line.tokens) {
            (_, [text]) if text.kind == Kind::Text => self.body(rest, then, left),
            ("return", [_, value @ ..]) => Some(Body::Return(range(value)?)),
            ("if" | "elif", _) => {
                let (header, inline) = self.header(line)?;
                let condition = range(header.get(1..)?)?;
                let (yes, rest) = inner(line, inline, rest);
                let follows = rest.first().map_or("", |next| self.word(next, 0));
                // The branch continues after the other branches of this `if`.
                let remaining = rest.get(self.branches(line, rest)..)?;
                let after = Continuation { lines: remaining, then };
                let yes = self.body(&yes, Some(&after), left)?;
                let no = match follows {
                    "elif" if rest.first()?.indent == line.indent => self.body(rest, then, left)?,
                    "else" if rest.first()?.indent == line.indent => {
                        let (other, _) = rest.split_first()?;
                        let (_, inline) = self.header(other)?;
                        let (no, _) = inner(other, inline, rest.get(1..)?);
                        self.body(&no, Some(&after), left)?
                    }
                    _ => self.body(rest, then, left)?,
                };
                Some(Body::If(condition, Box::new(yes), Box::new(no)))
            }
            (_, [name, sign, ..]) if name.kind == Kind::Name && matches!(self.text(sign), "=" | ":") => {
                let equals = outside(line.tokens, |token| self.text(token))
                    .into_iter()
                    .find(|i| line.tokens.get(*i).is_some_and(|token| self.text(token) == "="))?;
                let value = range(line.tokens.get(equals + 1..)?)?;
                let next = self.body(rest, then, left)?;
                Some(Body::Assign(self.text(name).to_owned(), value, Box::new(next)))
            }
            _ => None,
        }
    }

    /// The number of lines that belong to the `elif` and `else` of an `if`.
    fn branches(&self, line: &Line<'_>, rest: &[Line<'_>]) -> usize {
        let ends = |other: &Line<'_>| {
            other.indent < line.indent
                || (other.indent == line.indent && !matches!(self.word(other, 0), "elif" | "else"))
        };
        rest.iter().position(ends).unwrap_or(rest.len())
    }
}

/// The lines inside a block, starting with the code after its colon, and the lines after the block.
fn inner<'t, 'r>(
    line: &Line<'_>,
    inline: &'t [Token],
    rest: &'r [Line<'t>],
) -> (Vec<Line<'t>>, &'r [Line<'t>]) {
    let length = rest.iter().position(|other| other.indent <= line.indent).unwrap_or(rest.len());
    let (inside, after) = rest.split_at(length);
    let inline = (!inline.is_empty()).then_some(Line { tokens: inline, indent: line.indent + 1 });
    (inline.into_iter().chain(inside.iter().copied()).collect(), after)
}
