//! Interprets a Python program: the values of its names, the schedule that it uses and the base lr.

mod base_lr;
mod call;
mod constant;
mod function;

use std::collections::HashMap;

use crate::entry::{LibraryEntry, bare};
use crate::python::{Argument, Expr, ExprKind, Function, Source, Statement, Target, statements};
use crate::table::entries;
use schedule::problem::Problem;
use schedule::tree::{Place, Tree, Value};

pub use base_lr::BaseLr;
pub use call::is_call;
pub(crate) use function::expression;

/// The schedule and the base lr of a program.
#[derive(Debug, Clone)]
pub struct ParsedProgram {
    /// The schedule.
    pub schedule: Tree,
    /// The lr of the optimizer.
    pub lr: BaseLr,
}

/// Reads a program and returns the schedule that it uses last.
///
/// # Errors
/// The first part that the schedule needs and that can't be read, with its place.
pub fn parse_program(text: &str) -> Result<ParsedProgram, Problem> {
    Program::new(Source { text, inside: None }).read()
}

/// Reads a call in a value of a document.
pub(crate) fn parse_inside(text: &str, place: Place) -> Result<Tree, Problem> {
    Program::new(Source { text, inside: Some(place) }).read().map(|parsed| parsed.schedule)
}

/// A schedule as a mapping, if it is a call that can be read.
pub(crate) fn as_mapping(tree: &Tree) -> Tree {
    match &tree.value {
        Value::Text(text) if is_call(text) => parse_inside(text, tree.place).unwrap_or_else(|_| tree.clone()),
        _ => tree.clone(),
    }
}

/// Keywords that begin a Python statement, with the following character (`for:` is a key of a sweep file).
const WORDS: [&str; 12] = [
    "import ", "from ", "def ", "class ", "for ", "while ", "if ", "with ", "try:", "async ", "assert ",
    "return ",
];

/// Whether a document is a Python program instead of YAML: its first statement begins with a keyword, a
/// decorator or a docstring, or with names followed by a bracket, an assignment, a type or a comma.
pub fn is_program(text: &str) -> bool {
    let mut lines =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(line) = lines.next() else { return false };
    if WORDS.iter().any(|word| line.starts_with(word))
        || line.starts_with(['@', '('])
        || line.starts_with("\"\"\"")
    {
        return true;
    }
    let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let rest = line.trim_start_matches(name);
    if rest.len() == line.len() {
        return false;
    }
    let rest = rest.trim_start();
    let augmented = ["+=", "-=", "*=", "/="].iter().any(|sign| rest.starts_with(sign));
    rest.starts_with(['(', '[', '=', ',']) || augmented || rest.strip_prefix(':').is_some_and(is_annotation)
}

/// Whether a type and a value follow the colon after a name: `s: LRScheduler = StepLR(...)`.
fn is_annotation(rest: &str) -> bool {
    let Some((annotation, value)) = rest.split_once('=') else { return false };
    let annotation = annotation.trim();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | ',' | ' ' | '|');
    annotation.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && annotation.chars().all(word)
        && !value.starts_with('=')
}

pub(crate) struct Program<'a> {
    pub(crate) source: Source<'a>,
    /// The index of the current value of each name.
    names: HashMap<String, usize>,
    /// All assigned values, with names bound.
    pub(crate) values: Vec<Expr>,
    pub(crate) depth: usize,
    /// The last used schedule and its call.
    found: Option<(Tree, Expr)>,
    /// Calls that are not schedules.
    others: Vec<Expr>,
    /// The first statement that could not be read.
    unread: Option<Problem>,
    /// A statement that sets the lr directly.
    pub(crate) sets_lr: Option<Problem>,
}

impl<'a> Program<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            source,
            names: HashMap::new(),
            values: Vec::new(),
            depth: 0,
            found: None,
            others: Vec::new(),
            unread: None,
            sets_lr: None,
        }
    }

    fn read(mut self) -> Result<ParsedProgram, Problem> {
        let statements = statements(&self.source)?;
        self.run(statements)?;
        match (self.found.take(), self.unread.take(), self.others.first()) {
            (Some((schedule, call)), ..) => Ok(ParsedProgram { schedule, lr: self.base_lr(&call) }),
            (None, Some(problem), _) => Err(problem),
            (None, None, Some(call)) => Err(self.unknown_call(call)),
            (None, None, None) => {
                let end = self.source.text.len();
                let problem = self.source.problem(0, end, "expected a call of a schedule");
                Err(problem.with_hint("as in torch.OneCycleLR(max_lr=0.1, total_steps=100)"))
            }
        }
    }

    fn run(&mut self, statements: Vec<Statement>) -> Result<(), Problem> {
        for statement in statements {
            match statement {
                Statement::Value(targets, value) => self.assigned(&targets, value)?,
                Statement::Def(name, function, inside) => {
                    let reads = name == "__init__" || self.call_in_all(&inside).is_some();
                    if reads {
                        self.run(inside)?;
                    } else {
                        self.define(name, function);
                    }
                }
                Statement::Block(head, inside) => self.block(&head, &inside)?,
                Statement::Unread(targets, problem) => {
                    if self.names_schedule(&problem) {
                        return Err(problem);
                    }
                    let reason = format!("this statement is not supported: {}", problem.message);
                    self.forget(&targets, &reason);
                    self.unread.get_or_insert(problem);
                }
            }
        }
        Ok(())
    }

    /// Whether the line of a problem mentions a schedule.
    fn names_schedule(&self, problem: &Problem) -> bool {
        let start = problem.place.start.min(self.source.text.len());
        let before = self.source.text.get(..start).and_then(|text| text.rfind('\n')).map_or(0, |i| i + 1);
        let line = self.source.text.get(before..).unwrap_or_default();
        let line = line.split('\n').next().unwrap_or_default();
        self.source.inside.is_some()
            || entries().flat_map(LibraryEntry::names).any(|name| line.contains(bare(name)))
    }

    fn define(&mut self, name: String, function: Result<Function, Problem>) {
        let (kind, place) = match function {
            Ok(function) => (ExprKind::Function(function), None),
            Err(problem) => (ExprKind::Unknown(problem.message.clone()), Some(problem.place)),
        };
        let (start, end) = place.map_or((0, self.source.text.len()), |place| (place.start, place.end));
        self.bind_name(name, Expr { start, end, kind });
    }

    fn assigned(&mut self, targets: &[Target], mut value: Expr) -> Result<(), Problem> {
        self.bind(&mut value);
        if let Some(call) = self.schedule_in(&value) {
            let schedule = self.schedule(&call)?;
            self.found = Some((schedule, call));
        } else if let ExprKind::Call(..) = &value.kind {
            self.others.push(value.clone());
        }
        // Evaluates a number now, because its names may change later.
        if let Ok(number) = self.number(&value, 0) {
            value.kind = ExprKind::Number(number);
        }
        for target in targets {
            self.assign(target, &value);
        }
        Ok(())
    }

    fn assign(&mut self, target: &Target, value: &Expr) {
        match target {
            Target::Name(name) => self.bind_name(name.clone(), value.clone()),
            Target::Names(names) => {
                let items = self.unpacked(value, names.len());
                for (i, name) in names.iter().enumerate() {
                    let unknown = || Expr {
                        kind: ExprKind::Unknown(
                            "this value is unknown before the program runs: write a literal".to_owned(),
                        ),
                        ..*value
                    };
                    let item = items.as_ref().and_then(|items| items.get(i).cloned());
                    self.bind_name(name.clone(), item.unwrap_or_else(unknown));
                }
            }
            Target::Other(target) => {
                if let ExprKind::Item(_, key) = &target.kind
                    && key.kind == ExprKind::Text("lr".to_owned())
                {
                    let message = "the program sets the lr directly here";
                    let problem = self.source.problem(target.start, target.end, message);
                    self.sets_lr = Some(problem.with_hint("remove this line, or pass --lr"));
                }
            }
        }
    }

    /// The values for several names. `prepare` of an Accelerator returns its arguments in order.
    fn unpacked(&self, value: &Expr, count: usize) -> Option<Vec<Expr>> {
        let items = match &self.resolve(value).kind {
            ExprKind::Call(callee, arguments) if self.prepares(callee) => {
                arguments.iter().map(|argument| argument.value.clone()).collect()
            }
            _ => self.list(value, 0).ok().flatten()?,
        };
        (items.len() == count).then_some(items)
    }

    /// Whether a callee is `prepare` of an Accelerator.
    pub(crate) fn prepares(&self, callee: &Expr) -> bool {
        match &callee.kind {
            ExprKind::Path(path) => path.last().is_some_and(|name| name == "prepare") && path.len() > 1,
            ExprKind::Attribute(_, name) => name == "prepare",
            _ => false,
        }
    }

    fn bind_name(&mut self, name: String, value: Expr) {
        self.names.insert(name, self.values.len());
        self.values.push(value);
    }

    /// Marks the values of names as unknown.
    fn forget(&mut self, targets: &[Target], reason: &str) {
        for target in targets {
            let names = match target {
                Target::Name(name) => std::slice::from_ref(name),
                Target::Names(names) => names.as_slice(),
                Target::Other(_) => {
                    self.assign(target, &Expr { start: 0, end: 0, kind: ExprKind::None });
                    continue;
                }
            };
            for name in names {
                let kind = ExprKind::Unknown(format!("`{name}`: {reason}"));
                self.bind_name(name.clone(), Expr { start: 0, end: 0, kind });
            }
        }
    }

    /// A loop or a branch: values assigned in it are unknown, and a schedule in it is an error.
    fn block(&mut self, head: &Expr, inside: &[Statement]) -> Result<(), Problem> {
        let ExprKind::Unknown(word) = &head.kind else { return Ok(()) };
        if let Some(call) = self.call_in_all(inside) {
            let message = format!("a schedule inside a {word} block is not supported");
            let problem = self.source.problem(call.start, call.end, message);
            return Err(problem.with_hint("move it out of the block"));
        }
        let line = self.source.place(head.start, head.end).line;
        let reason = match line {
            0 => format!("it is set inside a {word} block"),
            line => format!("it is set inside the {word} block of line {line}"),
        };
        for statement in inside {
            match statement {
                Statement::Value(targets, _) | Statement::Unread(targets, _) => self.forget(targets, &reason),
                Statement::Def(name, ..) => self.forget(&[Target::Name(name.clone())], &reason),
                Statement::Block(_, inside) => self.block(head, inside)?,
            }
        }
        Ok(())
    }

    /// The first call of a schedule in statements, without running them.
    fn call_in_all(&self, statements: &[Statement]) -> Option<Expr> {
        statements.iter().find_map(|statement| match statement {
            Statement::Value(_, value) => {
                let mut value = value.clone();
                self.bind(&mut value);
                self.schedule_in(&value)
            }
            Statement::Def(_, _, inside) | Statement::Block(_, inside) => self.call_in_all(inside),
            Statement::Unread(..) => None,
        })
    }

    /// The value of a name.
    pub(crate) fn named(&self, name: &str) -> Option<&Expr> {
        self.names.get(name).and_then(|i| self.values.get(*i))
    }

    /// A path with its first name replaced by its import.
    pub(crate) fn full_path(&self, path: &str) -> String {
        let (first, rest) = path.split_once('.').map_or((path, ""), |(first, rest)| (first, rest));
        match self.named(first).map(|expr| &expr.kind) {
            Some(ExprKind::Path(module)) if rest.is_empty() => module.join("."),
            Some(ExprKind::Path(module)) => format!("{}.{rest}", module.join(".")),
            _ => path.to_owned(),
        }
    }

    /// Replaces names by their current values.
    fn bind(&self, expr: &mut Expr) {
        match &mut expr.kind {
            ExprKind::Path(path) => {
                let name = path.join(".");
                match self.names.get(&name).map(|i| (*i, self.values.get(*i).map(|value| &value.kind))) {
                    Some((_, Some(ExprKind::Path(module)))) => expr.kind = ExprKind::Path(module.clone()),
                    Some((i, _)) => expr.kind = ExprKind::Bound(i),
                    None => {
                        *path = self.full_path(&name).split('.').map(str::to_owned).collect();
                        self.bind_first(expr);
                    }
                }
            }
            ExprKind::Call(callee, arguments) => {
                match &mut callee.kind {
                    // A method of a value is not a function of a module.
                    ExprKind::Path(path) => {
                        let full = self.full_path(&path.join("."));
                        *path = full.split('.').map(str::to_owned).collect();
                    }
                    _ => self.bind(callee),
                }
                arguments.iter_mut().for_each(|argument| self.bind(&mut argument.value));
            }
            ExprKind::List(items) => items.iter_mut().for_each(|item| self.bind(item)),
            ExprKind::Dict(entries) => {
                for (key, value) in entries {
                    self.bind(key);
                    self.bind(value);
                }
            }
            ExprKind::Sign(_, of) | ExprKind::Attribute(of, _) => self.bind(of),
            ExprKind::Binary(_, a, b) | ExprKind::Item(a, b) => {
                self.bind(a);
                self.bind(b);
            }
            ExprKind::Compare(first, rest) => {
                self.bind(first);
                rest.iter_mut().for_each(|(_, value)| self.bind(value));
            }
            ExprKind::Choice(terms) => terms.iter_mut().for_each(|term| self.bind(term)),
            ExprKind::None
            | ExprKind::Bool(_)
            | ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Bound(_)
            | ExprKind::Function(_)
            | ExprKind::Unknown(_) => {}
        }
    }

    /// Binds the first name of `name.attribute`.
    fn bind_first(&self, expr: &mut Expr) {
        let ExprKind::Path(path) = &expr.kind else { return };
        let [first, rest @ ..] = path.as_slice() else { return };
        let Some(i) = self.names.get(first).filter(|_| !rest.is_empty()) else { return };
        let of = Expr { start: expr.start, end: expr.end, kind: ExprKind::Bound(*i) };
        expr.kind = ExprKind::Attribute(Box::new(of), rest.join("."));
    }

    /// The call of a schedule that an expression uses: the expression itself, a call inside it, or the
    /// learning rate of an optimizer.
    pub(crate) fn schedule_in(&self, expr: &Expr) -> Option<Expr> {
        let in_any =
            |items: &mut dyn Iterator<Item = &Expr>| items.filter_map(|item| self.schedule_in(item)).last();
        match &expr.kind {
            ExprKind::Item(of, _) | ExprKind::Attribute(of, _) => self.schedule_in(of),
            ExprKind::Call(callee, arguments) => match self.entry(callee, arguments) {
                Ok(Some(_)) | Err(_) => Some(expr.clone()),
                Ok(None) => in_any(&mut arguments.iter().map(|argument| &argument.value))
                    .or_else(|| self.learning_rate(callee, arguments))
                    .or_else(|| self.schedule_in(callee)),
            },
            ExprKind::List(items) => in_any(&mut items.iter()),
            ExprKind::Dict(entries) => in_any(&mut entries.iter().map(|(_, value)| value)),
            _ => None,
        }
    }

    /// The schedule that is passed to an optimizer by a variable.
    fn learning_rate(&self, callee: &Expr, arguments: &[Argument]) -> Option<Expr> {
        let lr = self.lr_argument(callee, arguments)?;
        match &self.resolve(lr).kind {
            ExprKind::Call(..) if matches!(lr.kind, ExprKind::Bound(_)) => self.schedule_in(self.resolve(lr)),
            _ => None,
        }
    }

    /// Calls that are not schedules, such as optimizers.
    pub(crate) fn others(&self) -> &[Expr] {
        &self.others
    }
}
