//! Evaluates constant expressions of a program as Python does: numbers, lists and mappings.

use super::Program;
use super::function;
use crate::python::{Argument, Expr, ExprKind};
use schedule::expression::comparison;
use schedule::formula::Binary;
use schedule::number::{ArithmeticError, Function, Number, function};
use schedule::problem::Problem;
use schedule::tree::{Key, Tree, Value};

/// The maximum nesting of values.
const MAX_DEPTH: usize = 60;

/// The maximum length of a list from `range` or a product.
const MAX_ITEMS: usize = 10_000;

const LITERAL: &str = "write a literal, as in 0.1 or 100";

impl Program<'_> {
    /// The number as a value of a document.
    pub(crate) fn constant_tree(&self, expr: &Expr) -> Result<Tree, Problem> {
        let problem = |message: String| Err(self.source.problem(expr.start, expr.end, message));
        let value = match self.number(expr, 0)? {
            Number::Int(i) => Value::Int(i),
            Number::Float(x) if x.is_finite() => Value::Float(x),
            Number::Float(x) => return problem(format!("expected a finite number, found {x}")),
            Number::Big(_) => {
                return problem("expected a whole number below 2^63".to_owned());
            }
        };
        Ok(Tree { place: self.source.place(expr.start, expr.end), value })
    }

    /// The value of a constant expression.
    pub(crate) fn number(&self, expr: &Expr, depth: usize) -> Result<Number, Problem> {
        let problem = |message: &str| self.source.problem(expr.start, expr.end, message);
        let fault = |ArithmeticError(error)| {
            self.source.problem(expr.start, expr.end, format!("this has no value: {error}"))
        };
        if depth > MAX_DEPTH {
            return Err(problem("nested too deeply"));
        }
        let number = |expr: &Expr| self.number(expr, depth + 1);
        match &expr.kind {
            ExprKind::Number(number) => Ok(number.clone()),
            ExprKind::Bool(b) => Ok(Number::from(*b)),
            ExprKind::Sign("-", of) => Ok(number(of)?.minus()),
            ExprKind::Sign("not", of) => Ok(Number::from(!number(of)?.is_true())),
            ExprKind::Sign(_, of) => number(of),
            ExprKind::Binary("and", a, b) => {
                number(a).and_then(|a| if a.is_true() { number(b) } else { Ok(a) })
            }
            ExprKind::Binary("or", a, b) => {
                number(a).and_then(|a| if a.is_true() { Ok(a) } else { number(b) })
            }
            ExprKind::Binary(sign, a, b) => match arithmetic(sign) {
                Some(sign) => Number::binary(sign, &number(a)?, &number(b)?).map_err(fault),
                None => Err(problem("expected a number")),
            },
            ExprKind::Compare(first, rest) => self.compared(expr, first, rest, depth + 1),
            ExprKind::Choice(terms) => {
                let [condition, yes, no] = terms.as_ref();
                if number(condition)?.is_true() { number(yes) } else { number(no) }
            }
            ExprKind::Bound(i) => match self.values.get(*i) {
                // The reason is reported where the name is used.
                Some(Expr { kind: ExprKind::Unknown(reason), .. }) => Err(problem(reason)),
                Some(value) => number(value),
                None => Err(problem("expected a number")),
            },
            ExprKind::Path(path) => match function::constant(&path.join(".")) {
                Some(x) => Ok(Number::Float(x)),
                None => Err(problem(&format!(
                    "the value of the variable `{}` is unknown: {LITERAL}",
                    path.join(".")
                ))),
            },
            ExprKind::Call(callee, arguments) => self.call_number(expr, callee, arguments, depth + 1),
            ExprKind::Item(of, index) => number(&self.item(expr, of, index, depth + 1)?),
            ExprKind::Attribute(..) => {
                Err(problem(&format!("this value is unknown before the program runs: {LITERAL}")))
            }
            ExprKind::Unknown(reason) => Err(problem(reason)),
            ExprKind::None
            | ExprKind::Text(_)
            | ExprKind::List(_)
            | ExprKind::Dict(_)
            | ExprKind::Function(_) => Err(problem("expected a number")),
        }
    }

    fn compared(
        &self,
        expr: &Expr,
        first: &Expr,
        rest: &[(&'static str, Expr)],
        depth: usize,
    ) -> Result<Number, Problem> {
        let mut left = self.number(first, depth)?;
        for (sign, right) in rest {
            let Some(sign) = comparison(sign) else {
                let message = format!("`{sign}` is only supported inside a lambda");
                return Err(self.source.problem(expr.start, expr.end, message));
            };
            let right = self.number(right, depth)?;
            if !Number::binary(sign, &left, &right).is_ok_and(|holds| holds.is_true()) {
                return Ok(Number::from(false));
            }
            left = right;
        }
        Ok(Number::from(true))
    }

    /// The result of a function of numbers: `int(0.1 * 5000)`, `math.ceil(...)`, `len([...])`.
    fn call_number(
        &self,
        expr: &Expr,
        callee: &Expr,
        arguments: &[Argument],
        depth: usize,
    ) -> Result<Number, Problem> {
        let problem = |message: String| self.source.problem(expr.start, expr.end, message);
        let unknown = || problem(format!("this value is unknown before the program runs: {LITERAL}"));
        let ExprKind::Path(path) = &callee.kind else { return Err(unknown()) };
        let path = path.join(".");
        let known: Option<&'static Function> = function::known_function(&path).and_then(function);
        let Some(function) = known.filter(|_| arguments.iter().all(|argument| argument.name.is_none()))
        else {
            return Err(unknown());
        };
        let (least, most) = function.arity();
        if arguments.len() < least || arguments.len() > most {
            return Err(problem(format!("`{path}` does not take {} arguments", arguments.len())));
        }
        let list = match (function.takes_list(arguments.len()), arguments.first()) {
            (Some(_), Some(first)) => self.list(&first.value, depth)?,
            _ => None,
        };
        if function.takes_list(arguments.len()) == Some(true) && list.is_none() {
            return Err(unknown());
        }
        let rest = arguments.get(usize::from(list.is_some())..).unwrap_or_default();
        // `len` does not need the values of the items.
        if path == "len" {
            return Ok(Number::Int(list.map_or(0, |list| list.len() as i64)));
        }
        let numbers = |exprs: &mut dyn Iterator<Item = &Expr>| -> Result<Vec<Number>, Problem> {
            exprs.map(|expr| self.number(expr, depth)).collect()
        };
        let list = numbers(&mut list.unwrap_or_default().iter())?;
        let rest = numbers(&mut rest.iter().map(|argument| &argument.value))?;
        function
            .value(&list, &rest)
            .map_err(|ArithmeticError(error)| problem(format!("this has no value: {error}")))
    }

    /// The items of a list; `None` if it is not a list.
    pub(crate) fn list(&self, expr: &Expr, depth: usize) -> Result<Option<Vec<Expr>>, Problem> {
        let problem = |message: &str| Err(self.source.problem(expr.start, expr.end, message));
        if depth > MAX_DEPTH {
            return problem("nested too deeply");
        }
        let too_long = |count: usize| count > MAX_ITEMS;
        Ok(match &expr.kind {
            ExprKind::List(items) => Some(items.clone()),
            ExprKind::Bound(i) => match self.values.get(*i) {
                Some(value) => self.list(value, depth + 1)?,
                None => None,
            },
            ExprKind::Binary("+", a, b) => match (self.list(a, depth + 1)?, self.list(b, depth + 1)?) {
                (Some(a), Some(b)) if too_long(a.len() + b.len()) => return problem("this list is too long"),
                (Some(a), Some(b)) => Some(a.into_iter().chain(b).collect()),
                _ => None,
            },
            ExprKind::Binary("*", a, b) => {
                let (list, times) = match self.list(a, depth + 1)? {
                    Some(list) => (Some(list), b),
                    None => (self.list(b, depth + 1)?, a),
                };
                let Some(list) = list else { return Ok(None) };
                let times = match self.number(times, depth + 1)? {
                    Number::Int(times) => usize::try_from(times).unwrap_or(0),
                    _ => return problem("expected a whole number as the factor of a list"),
                };
                if too_long(list.len().saturating_mul(times)) {
                    return problem("this list is too long");
                }
                Some(list.iter().cycle().take(list.len() * times).cloned().collect())
            }
            ExprKind::Call(callee, arguments) => match &callee.kind {
                ExprKind::Path(path) => self.called_list(expr, path, arguments, depth)?,
                _ => None,
            },
            _ => None,
        })
    }

    /// `range(...)`, and `list`, `tuple` and `sorted` of a list.
    fn called_list(
        &self,
        expr: &Expr,
        path: &[String],
        arguments: &[Argument],
        depth: usize,
    ) -> Result<Option<Vec<Expr>>, Problem> {
        let problem = |message: &str| self.source.problem(expr.start, expr.end, message);
        match (path, arguments) {
            ([name], [of]) if matches!(name.as_str(), "list" | "tuple") => self.list(&of.value, depth + 1),
            ([name], []) if matches!(name.as_str(), "list" | "tuple") => Ok(Some(Vec::new())),
            ([name], arguments) if name == "range" && arguments.len() <= 3 => {
                let mut ends = Vec::new();
                for argument in arguments {
                    match self.number(&argument.value, depth + 1)? {
                        Number::Int(i) => ends.push(i),
                        _ => return Err(problem("`range` takes whole numbers")),
                    }
                }
                let (mut at, end, step) = match ends.as_slice() {
                    [end] => (0, *end, 1),
                    [begin, end] => (*begin, *end, 1),
                    [begin, end, step] if *step != 0 => (*begin, *end, *step),
                    _ => return Err(problem("`range` takes 1 to 3 numbers, its step not 0")),
                };
                let mut items = Vec::new();
                while if step > 0 { at < end } else { at > end } {
                    if items.len() >= MAX_ITEMS {
                        return Err(problem("this list is too long"));
                    }
                    items.push(Expr {
                        start: expr.start,
                        end: expr.end,
                        kind: ExprKind::Number(Number::Int(at)),
                    });
                    at = at.saturating_add(step);
                }
                Ok(Some(items))
            }
            _ => Ok(None),
        }
    }

    /// An item of a list or a mapping.
    pub(crate) fn item(&self, expr: &Expr, of: &Expr, index: &Expr, depth: usize) -> Result<Expr, Problem> {
        let problem = |message: &str| self.source.problem(expr.start, expr.end, message);
        if let Some(list) = self.list(of, depth + 1)? {
            let index = self.number(index, depth + 1)?.index(list.len());
            return index
                .ok()
                .and_then(|i| list.into_iter().nth(i))
                .ok_or_else(|| problem("this item does not exist"));
        }
        let entries = match self.entries(of)? {
            Some(entries) => entries,
            None => {
                return Err(problem(&format!("this value is unknown before the program runs: {LITERAL}")));
            }
        };
        let same = |key: &Expr| match (&key.kind, &self.resolve(index).kind) {
            (ExprKind::Text(a), ExprKind::Text(b)) => a == b,
            (ExprKind::Number(a), ExprKind::Number(b)) => a == b,
            _ => false,
        };
        let found = entries.into_iter().rev().find(|(key, _)| same(key));
        found.map(|(_, value)| value).ok_or_else(|| problem("this item does not exist"))
    }

    /// The entries of a mapping: `{...}` or `dict(...)`.
    pub(crate) fn entries(&self, expr: &Expr) -> Result<Option<Vec<(Expr, Expr)>>, Problem> {
        Ok(match &self.resolve(expr).kind {
            ExprKind::Dict(entries) => Some(entries.clone()),
            ExprKind::Call(callee, arguments) if callee.kind == ExprKind::Path(vec!["dict".to_owned()]) => {
                let entry = |argument: &Argument| {
                    let (name, start) = argument.name.clone().ok_or_else(|| {
                        let value = &argument.value;
                        self.source.problem(value.start, value.end, "expected a keyword argument")
                    })?;
                    let end = start + name.len();
                    Ok((Expr { start, end, kind: ExprKind::Text(name) }, argument.value.clone()))
                };
                Some(arguments.iter().map(entry).collect::<Result<_, Problem>>()?)
            }
            _ => None,
        })
    }

    /// Follows names to their value.
    pub(crate) fn resolve<'e>(&'e self, mut expr: &'e Expr) -> &'e Expr {
        // Values only refer to earlier ones, so this ends.
        while let ExprKind::Bound(i) = &expr.kind {
            match self.values.get(*i) {
                Some(value) => expr = value,
                None => break,
            }
        }
        expr
    }

    /// The mapping as a value of a document.
    pub(crate) fn mapping(&mut self, entries: &[(Expr, Expr)], nodes: bool) -> Result<Value, Problem> {
        let mut map: Vec<(Key, Tree)> = Vec::new();
        for (key, value) in entries {
            let name = match self.value(key, false)?.value {
                Value::Text(text) => text,
                Value::Int(i) => i.to_string(),
                _ => {
                    let message = "expected a key that is text or a whole number";
                    return Err(self.source.problem(key.start, key.end, message));
                }
            };
            let value = self.value(value, nodes)?;
            // As in Python, the last of equal keys wins.
            map.retain(|(known, _)| known.name != name);
            map.push((Key { place: self.source.place(key.start, key.end), name }, value));
        }
        Ok(Value::Map(map))
    }
}

fn arithmetic(sign: &str) -> Option<Binary> {
    Some(match sign {
        "+" => Binary::Add,
        "-" => Binary::Subtract,
        "*" => Binary::Multiply,
        "/" => Binary::Divide,
        "//" => Binary::DivideDown,
        "%" => Binary::Remainder,
        "**" => Binary::Power,
        _ => return None,
    })
}
