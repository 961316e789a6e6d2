//! Converts a call of a schedule to a mapping: `kind:` and the arguments by name. Functions become
//! expressions.

use super::Program;
use crate::entry::{LibraryEntry, bare};
use crate::python::{Argument, Body, Expr, ExprKind};
use crate::table::{LIBRARIES, entries, names};
use schedule::catalogue::ParamType;
use schedule::problem::{Problem, listed, nearest};
use schedule::tree::{Key, Tree, Value};

/// Whether a text value is a call. No other text schedule contains a bracket.
pub fn is_call(text: &str) -> bool {
    text.contains('(')
}

/// The names of the modules that contain schedules, by library.
const MODULES: &[(&str, &[&str])] = &[
    ("torch", &["torch", "lr_scheduler"]),
    ("optax", &["optax", "contrib"]),
    ("keras", &["keras", "tf", "tensorflow", "tf_keras", "callbacks"]),
    ("transformers", &["transformers", "optimization"]),
    ("timm", &["timm", "scheduler"]),
];

/// Module names that do not identify the library.
const GENERIC_MODULES: [&str; 4] = ["optim", "optimizers", "schedules", "schedule"];

/// The maximum nesting of values.
const MAX_DEPTH: usize = 60;

/// Arguments that never affect the lr.
const IGNORED_ARGUMENTS: [&str; 1] = ["verbose"];

impl Program<'_> {
    /// The entry that is called. A problem if the name exists in several libraries and the arguments do not
    /// identify one.
    pub(crate) fn entry(
        &self,
        callee: &Expr,
        arguments: &[Argument],
    ) -> Result<Option<&'static LibraryEntry>, Problem> {
        let ExprKind::Path(path) = &callee.kind else { return Ok(None) };
        let Some((name, modules)) = path.split_last() else { return Ok(None) };
        let named = entries().filter(|entry| entry.names().any(|full| bare(full) == name));
        let library = modules.iter().find_map(|module| {
            MODULES.iter().find(|(_, known)| known.contains(&module.as_str())).map(|(library, _)| *library)
        });
        let of_library = |entry: &&LibraryEntry| match library {
            Some(library) => entry.library() == library,
            // A custom module may contain anything.
            None => modules.iter().all(|module| GENERIC_MODULES.contains(&module.as_str())),
        };
        let found: Vec<&'static LibraryEntry> = named.filter(of_library).collect();
        let fitting: Vec<&'static LibraryEntry> =
            found.iter().copied().filter(|entry| self.fits(entry, arguments)).collect();
        match (found.as_slice(), fitting.as_slice()) {
            ([], _) => Ok(None),
            ([entry], _) | (_, [entry]) => Ok(Some(entry)),
            (several, _) => {
                let names = listed(several.iter().map(|entry| entry.name));
                let message = format!("`{name}` exists in several libraries");
                let problem = self.source.problem(callee.start, callee.end, message);
                Err(problem.with_hint(format!("write one of {names}")))
            }
        }
    }

    /// Whether a call can be a call of an entry: it passes an optimizer if and only if the entry takes one,
    /// and it has no unknown arguments.
    fn fits(&self, entry: &LibraryEntry, arguments: &[Argument]) -> bool {
        let known = |name: &str| {
            IGNORED_ARGUMENTS.contains(&name)
                || entry.arguments().any(|(known, _)| known == name)
                || entry.params.iter().any(|param| param.name == name)
        };
        let place = entry.arguments().position(|(name, _)| name == "optimizer");
        let mut named = arguments.iter().filter_map(|argument| argument.name.as_ref());
        let by_name = named.clone().any(|(name, _)| name == "optimizer");
        let first = arguments.first().filter(|argument| argument.name.is_none());
        let is_object = |argument: &Argument| {
            matches!(
                self.resolve(&argument.value).kind,
                ExprKind::Path(_) | ExprKind::Call(..) | ExprKind::Attribute(..)
            )
        };
        let takes = match place {
            Some(_) => by_name || first.is_some_and(is_object),
            None => !first.is_some_and(is_object),
        };
        takes && named.all(|(name, _)| known(name))
    }

    /// The library of a call of a schedule.
    pub(crate) fn library_of(&self, call: &Expr) -> &'static str {
        match &self.resolve(call).kind {
            ExprKind::Call(callee, arguments) => {
                self.entry(callee, arguments).ok().flatten().map_or("torch", LibraryEntry::library)
            }
            _ => "torch",
        }
    }

    /// The problem of a call that is not a schedule.
    pub(crate) fn unknown_call(&self, call: &Expr) -> Problem {
        let ExprKind::Call(callee, _) = &call.kind else {
            return self.source.problem(call.start, call.end, "expected a call of a schedule");
        };
        let ExprKind::Path(path) = &callee.kind else {
            return self.source.problem(callee.start, callee.end, "expected the name of a schedule");
        };
        let written = path.join(".");
        let problem = self.source.problem(callee.start, callee.end, format!("unknown schedule `{written}`"));
        let last = path.last().map_or("", String::as_str);
        let same = names().find(|full| bare(full) == last);
        let near = same.or_else(|| {
            let of_library = path.first().filter(|first| LIBRARIES.iter().any(|(name, _)| name == first));
            let candidates =
                || names().filter(|full| of_library.is_none_or(|first| full.starts_with(first.as_str())));
            let name = nearest(last, candidates().map(bare))?;
            candidates().find(|full| bare(full) == name)
        });
        match near {
            Some(name) => problem.with_hint(format!("did you mean `{name}`?")),
            None => problem
                .with_hint(format!("known libraries: {}", listed(LIBRARIES.iter().map(|(name, _)| *name)))),
        }
    }

    /// Converts a call to a mapping.
    pub(crate) fn schedule(&mut self, call: &Expr) -> Result<Tree, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.source.problem(call.start, call.end, "nested too deeply"));
        }
        let ExprKind::Call(callee, arguments) = &call.kind else {
            return Err(self.source.problem(call.start, call.end, "expected a call of a schedule"));
        };
        let Some(entry) = self.entry(callee, arguments)? else { return Err(self.unknown_call(call)) };
        self.check_momentum(call, entry)?;
        let mut map = vec![self.entry_at("kind", callee, Value::Text(entry.name.to_owned()))];
        let mut order = entry.arguments();
        let mut given: Vec<&str> = Vec::new();
        for argument in arguments {
            let value = &argument.value;
            if let (None, ExprKind::Unknown(reason)) = (&argument.name, &value.kind) {
                return Err(self.source.problem(value.start, value.end, reason));
            }
            let (name, at) = match &argument.name {
                Some((name, _)) if IGNORED_ARGUMENTS.contains(&name.as_str()) => continue,
                Some((name, at)) => (self.known(entry, name, *at)?, *at),
                None => match order.next() {
                    Some((name, _)) => (name, value.start),
                    None => {
                        let most = entry.arguments().count();
                        let message = format!("`{}` takes at most {most} arguments", entry.name);
                        return Err(self.source.problem(value.start, value.end, message));
                    }
                },
            };
            if given.contains(&name) {
                let message = format!("the argument `{name}` is given twice");
                return Err(self.source.problem(at, value.end, message));
            }
            given.push(name);
            if !entry.reads(name) {
                self.python_only(entry, name, value)?;
                continue;
            }
            let tree = self.argument(entry, name, value)?;
            let place =
                if argument.name.is_some() { self.source.place(at, at + name.len()) } else { tree.place };
            map.push((Key { place, name: name.to_owned() }, tree));
        }
        for (name, has_default) in entry.arguments() {
            if !has_default && !given.contains(&name) && entry.reads(name) {
                let message = format!("`{}`: missing argument `{name}`", entry.name);
                let problem = self.source.problem(call.start, call.end, message);
                let lr =
                    entry.params.iter().any(|param| param.name == name && matches!(param.ty, ParamType::Lr));
                return Err(if lr {
                    problem.with_hint(format!("write {name}=1x for the base lr"))
                } else {
                    problem
                });
            }
        }
        self.depth -= 1;
        let written = Tree { place: self.source.place(call.start, call.end), value: Value::Map(map) };
        self.check_optimizer_lr(call, &written)?;
        Ok(written)
    }

    /// The parameter with this name.
    fn known(&self, entry: &'static LibraryEntry, name: &str, at: usize) -> Result<&'static str, Problem> {
        let arguments: Vec<&'static str> = entry.arguments().map(|(name, _)| name).collect();
        let own = entry.params.iter().map(|param| param.name).filter(|name| !arguments.contains(name));
        let known: Vec<&'static str> = arguments.iter().copied().chain(own).collect();
        known.iter().copied().find(|known| *known == name).ok_or_else(|| {
            let message = format!("`{}`: unknown argument `{name}`", entry.name);
            let problem = self.source.problem(at, at + name.len(), message);
            match nearest(name, known.iter().copied()) {
                Some(name) => problem.with_hint(format!("did you mean `{name}`?")),
                None => problem.with_hint(format!("known: {}", listed(known.iter().copied()))),
            }
        })
    }

    /// Checks an argument that only matters in Python. A literal as the optimizer was probably
    /// meant for another argument.
    fn python_only(&self, entry: &LibraryEntry, name: &str, value: &Expr) -> Result<(), Problem> {
        let literal = matches!(
            value.kind,
            ExprKind::Number(_)
                | ExprKind::Text(_)
                | ExprKind::List(_)
                | ExprKind::Function(_)
                | ExprKind::Sign(..)
        );
        if name == "name"
            && !matches!(value.kind, ExprKind::Text(_) | ExprKind::None | ExprKind::Path(_))
            && literal
        {
            return Err(self.source.problem(value.start, value.end, "expected a text for `name`"));
        }
        if name != "optimizer" || !literal {
            return Ok(());
        }
        let next = entry.arguments().map(|(name, _)| name).find(|name| entry.reads(name)).unwrap_or_default();
        let message = format!("expected the optimizer as this argument of `{}`", entry.name);
        let problem = self.source.problem(value.start, value.end, message);
        Err(problem.with_hint(format!("pass the others by name, as in {next}=...")))
    }

    fn entry_at(&self, name: &str, at: &Expr, value: Value) -> (Key, Tree) {
        let place = self.source.place(at.start, at.end);
        (Key { place, name: name.to_owned() }, Tree { place, value })
    }

    /// The value of an argument. A list with one value is the value of the only parameter group.
    fn argument(&mut self, entry: &LibraryEntry, name: &str, value: &Expr) -> Result<Tree, Problem> {
        let param = entry.params.iter().find(|param| param.name == name);
        match &self.resolve(value).kind {
            ExprKind::List(items) if entry.per_group.contains(&name) => match items.clone().as_slice() {
                [one] => self.value(one, param.is_none()),
                _ => {
                    let message = format!("expected one value, found a list of {}", items.len());
                    let problem = self.source.problem(value.start, value.end, message);
                    Err(problem.with_hint("only one parameter group is supported"))
                }
            },
            ExprKind::Text(_) if param.is_some_and(|param| matches!(param.ty, ParamType::Expression)) => {
                let message = "expected a lambda of the step, found text";
                Err(self.source.problem(value.start, value.end, message))
            }
            _ => self.value(value, param.is_none()),
        }
    }

    /// Converts a value. If `nodes` is true, calls in it are schedules.
    pub(crate) fn value(&mut self, expr: &Expr, nodes: bool) -> Result<Tree, Problem> {
        let place = self.source.place(expr.start, expr.end);
        let value = match &expr.kind {
            ExprKind::None => Value::Null,
            ExprKind::Bool(b) => Value::Bool(*b),
            ExprKind::Text(text) => Value::Text(text.clone()),
            ExprKind::Function(function) => {
                let (start, end) = match &function.body {
                    Body::Return(range) => (range.start, range.end),
                    _ => (expr.start, expr.end),
                };
                let text =
                    self.rendered(function).map_err(|message| self.source.problem(start, end, message))?;
                return Ok(Tree { place: self.source.place(start, end), value: Value::Text(text) });
            }
            ExprKind::Bound(i) => {
                let Some(bound) = self.values.get(*i).cloned() else { return self.constant_tree(expr) };
                if let ExprKind::Unknown(reason) = &bound.kind {
                    return Err(self.source.problem(expr.start, expr.end, reason));
                }
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.source.problem(expr.start, expr.end, "nested too deeply"));
                }
                let value = self.value(&bound, nodes);
                self.depth -= 1;
                return value;
            }
            // A number may also be a schedule, as in the parameters of one.
            ExprKind::Call(..) if nodes && self.entries(expr)?.is_none() => {
                return self.constant_tree(expr).or_else(|_| self.schedule(expr));
            }
            ExprKind::Item(of, _) | ExprKind::Attribute(of, _) if nodes && self.schedule_in(of).is_some() => {
                return self.value(of, nodes);
            }
            ExprKind::Choice(terms) => {
                let [condition, yes, no] = terms.as_ref();
                let holds = self.number(condition, 0)?.is_true();
                return self.value(if holds { yes } else { no }, nodes);
            }
            ExprKind::Item(of, index) => {
                let item = self.item(expr, of, index, 0)?;
                return self.value(&item, nodes);
            }
            ExprKind::Path(path) => match path.as_slice() {
                [.., of, member] if of == "SchedulerType" => Value::Text(scheduler_type(member)),
                _ => return self.constant_tree(expr),
            },
            _ => match (self.entries(expr)?, self.list(expr, 0)?) {
                (Some(entries), _) => self.mapping(&entries, nodes)?,
                (None, Some(items)) => {
                    Value::List(items.iter().map(|item| self.value(item, nodes)).collect::<Result<_, _>>()?)
                }
                (None, None) => return self.constant_tree(expr),
            },
        };
        Ok(Tree { place, value })
    }
}

/// The value of a member of the enum of transformers.
fn scheduler_type(member: &str) -> String {
    match member {
        "REDUCE_ON_PLATEAU" => "reduce_lr_on_plateau".to_owned(),
        member => member.to_lowercase(),
    }
}
