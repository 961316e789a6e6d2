//! Reads a call as it stands in a Python program and gives the mapping that says the same: `kind:` and the
//! arguments under their names. Lambdas become expressions.

use std::collections::HashMap;

use super::arithmetic::arithmetic;
use super::python::{Argument, Expr, Source, Statement, What, statements};
use super::{LIBRARIES, Named, entries, lambda};
use crate::catalogue::Holds;
use crate::problem::{Problem, listed, nearest};
use crate::tree::{Key, Place, Tree, Value};

/// What a pasted program says.
#[derive(Debug, Clone)]
pub struct Pasted {
    /// The schedule.
    pub schedule: Tree,
    /// The lr of the optimiser, if its call stands there too.
    pub lr: Option<f64>,
}

/// Whether a value that is text is a call: no other schedule that is text has a bracket.
pub fn is_call(text: &str) -> bool {
    text.contains('(')
}

/// Whether a whole document is a Python program, not YAML: its first words are a name and then a bracket, an
/// assignment or a second name.
pub fn is_program(text: &str) -> bool {
    let mut lines =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(line) = lines.next() else { return false };
    if line.starts_with("import ") || line.starts_with("from ") {
        return true;
    }
    let name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let rest = line.trim_start_matches(name);
    rest.len() < line.len() && rest.trim_start().starts_with(['(', '=', ','])
}

/// Reads a text that is a call and nothing else: the last schedule in it.
///
/// # Errors
/// The first thing in it that can't be read, with its place.
pub fn paste(text: &str) -> Result<Pasted, Problem> {
    Program { source: Source { text, inside: None }, names: HashMap::new(), depth: 0 }.read()
}

/// Reads a call that is a value of a document.
pub(super) fn read_inside(text: &str, place: Place) -> Result<Tree, Problem> {
    let source = Source { text, inside: Some(place) };
    Program { source, names: HashMap::new(), depth: 0 }.read().map(|pasted| pasted.schedule)
}

/// The libraries' own names of the modules that schedules stand in.
const MODULES: &[(&str, &[&str])] = &[
    ("torch", &["torch", "lr_scheduler"]),
    ("optax", &["optax", "contrib"]),
    ("keras", &["keras", "tf", "tensorflow", "tf_keras", "callbacks"]),
    ("transformers", &["transformers", "optimization"]),
    ("timm", &["timm", "scheduler"]),
];

/// Modules that say nothing of the library.
const SILENT: [&str; 4] = ["optim", "optimizers", "schedules", "schedule"];

/// The deepest chain of variables that stand for each other.
const MOST_DEPTH: usize = 60;

struct Program<'a> {
    source: Source<'a>,
    /// What the names stand for that were assigned to so far.
    names: HashMap<String, Expr>,
    depth: usize,
}

impl Program<'_> {
    fn read(mut self) -> Result<Pasted, Problem> {
        let mut found = None;
        let mut unknown = None;
        let mut lr = None;
        for Statement { names, value } in statements(&self.source)? {
            if let Some(call) = self.schedule_in(&value) {
                found = Some(self.schedule(&call)?);
            } else if let What::Call(of, arguments) = &value.what {
                lr = self.optimizer_lr(of, arguments).or(lr);
                unknown = unknown.or_else(|| Some(value.clone()));
            }
            for name in names {
                self.names.insert(name, value.clone());
            }
        }
        match (found, unknown) {
            (Some(schedule), _) => Ok(Pasted { schedule, lr }),
            (None, Some(call)) => Err(self.unknown(&call)),
            (None, None) => {
                let end = self.source.text.len();
                let problem = self.source.problem(0, end, "expected a call of a schedule");
                Err(problem.with_hint("as in torch.OneCycleLR(max_lr=0.1, total_steps=100)"))
            }
        }
    }

    /// The call of a schedule that an expression is: as it stands, with something taken of it, or as the
    /// learning rate of an optimiser.
    fn schedule_in(&self, expr: &Expr) -> Option<Expr> {
        match &expr.what {
            What::Part(of) => self.schedule_in(of),
            What::Call(of, arguments) => match self.entry(of) {
                Ok(Some(_)) | Err(_) => Some(expr.clone()),
                Ok(None) => arguments.iter().find_map(|argument| match &argument.name {
                    Some((name, _)) if name == "learning_rate" => self.schedule_in(&argument.value),
                    _ => None,
                }),
            },
            _ => None,
        }
    }

    /// The path of a callee, its first name replaced by what was imported under it.
    fn path(&self, callee: &Expr) -> Option<Vec<String>> {
        let What::Path(path) = &callee.what else { return None };
        let (first, rest) = path.split_first()?;
        match self.names.get(first).map(|expr| &expr.what) {
            Some(What::Path(module)) if module.first() != Some(first) || rest.is_empty() => {
                Some(module.iter().chain(rest).cloned().collect())
            }
            _ => Some(path.clone()),
        }
    }

    /// The entry that is called; a problem if the name is in several libraries.
    fn entry(&self, callee: &Expr) -> Result<Option<&'static Named>, Problem> {
        let Some(path) = self.path(callee) else { return Ok(None) };
        let Some((name, modules)) = path.split_last() else { return Ok(None) };
        let bare = |full: &'static str| full.rsplit('.').next().unwrap_or(full);
        let named: Vec<&'static Named> =
            entries().filter(|entry| entry.names().any(|full| bare(full) == name)).collect();
        let library = modules.iter().find_map(|module| {
            MODULES.iter().find(|(_, known)| known.contains(&module.as_str())).map(|(library, _)| *library)
        });
        let of_library = |entry: &&Named| match library {
            Some(library) => entry.name.split('.').next() == Some(library),
            // A module of one's own may hold anything.
            None => modules.iter().all(|module| SILENT.contains(&module.as_str())),
        };
        let found: Vec<&'static Named> = named.into_iter().filter(of_library).collect();
        match found.as_slice() {
            [] => Ok(None),
            [entry] => Ok(Some(entry)),
            several => {
                let names = listed(several.iter().map(|entry| entry.name));
                let message = format!("`{name}` stands in several libraries");
                let problem = self.source.problem(callee.start, callee.end, message);
                Err(problem.with_hint(format!("write one of {names}")))
            }
        }
    }

    /// What is said of a call of something else.
    fn unknown(&self, call: &Expr) -> Problem {
        let What::Call(callee, _) = &call.what else {
            return self.source.problem(call.start, call.end, "expected a call of a schedule");
        };
        let Some(path) = self.path(callee) else {
            return self.source.problem(callee.start, callee.end, "expected the name of a schedule");
        };
        let written = path.join(".");
        let problem =
            self.source.problem(callee.start, callee.end, format!("there is no schedule `{written}`"));
        let last = path.last().map_or("", String::as_str);
        let bare = |full: &'static str| full.rsplit('.').next().unwrap_or(full);
        let same = super::names().find(|full| bare(full) == last);
        let near = same.or_else(|| {
            let of_library = path.first().filter(|first| LIBRARIES.iter().any(|(name, _)| name == first));
            let candidates = || {
                super::names().filter(|full| of_library.is_none_or(|first| full.starts_with(first.as_str())))
            };
            let name = nearest(last, candidates().map(bare))?;
            candidates().find(|full| bare(full) == name)
        });
        match near {
            Some(name) => problem.with_hint(format!("did you mean `{name}`?")),
            None => problem.with_hint(format!(
                "known are the schedules of {}",
                listed(LIBRARIES.iter().map(|(name, _)| *name))
            )),
        }
    }

    /// The lr of a call of an optimiser.
    fn optimizer_lr(&self, callee: &Expr, arguments: &[Argument]) -> Option<f64> {
        let path = self.path(callee)?;
        path.last().filter(|name| name.starts_with(|c: char| c.is_uppercase()))?;
        let named = |argument: &&Argument| argument.name.as_ref().is_some_and(|(name, _)| name == "lr");
        let given = arguments.iter().find(named).or_else(|| match arguments {
            [_, second, ..] if second.name.is_none() => Some(second),
            _ => None,
        })?;
        match self.folded(&given.value).ok()?.value {
            Value::Int(i) => Some(i as f64),
            Value::Float(x) => Some(x),
            _ => None,
        }
    }

    /// The mapping that says what a call says.
    fn schedule(&mut self, call: &Expr) -> Result<Tree, Problem> {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(self.source.problem(call.start, call.end, "nested too deeply"));
        }
        let What::Call(callee, arguments) = &call.what else {
            return Err(self.source.problem(call.start, call.end, "expected a call of a schedule"));
        };
        let Some(entry) = self.entry(callee)? else { return Err(self.unknown(call)) };
        let mut map = vec![self.keyed("kind", callee, Value::Text(entry.name.to_owned()))];
        let mut order = entry.arguments();
        let mut given: Vec<&str> = Vec::new();
        for argument in arguments {
            let value = &argument.value;
            let (name, at) = match &argument.name {
                Some((name, at)) => (self.known(entry, name, *at)?, *at),
                None => match order.next() {
                    Some((name, _)) => (name, value.start),
                    None => {
                        let most = entry.signature.len();
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
                let message = format!("`{}`: the argument `{name}` is missing", entry.name);
                let problem = self.source.problem(call.start, call.end, message);
                let lr =
                    entry.params.iter().any(|param| param.name == name && matches!(param.holds, Holds::Lr));
                return Err(if lr {
                    problem.with_hint(format!("{name}=1x is the base lr"))
                } else {
                    problem
                });
            }
        }
        self.depth -= 1;
        Ok(Tree { place: self.source.place(call.start, call.end), value: Value::Map(map) })
    }

    /// The parameter of this name.
    fn known(&self, entry: &'static Named, name: &str, at: usize) -> Result<&'static str, Problem> {
        let own = entry.params.iter().map(|param| param.name);
        let known: Vec<&'static str> = entry.arguments().map(|(name, _)| name).chain(own).collect();
        known.iter().copied().find(|known| *known == name).ok_or_else(|| {
            let message = format!("`{}` has no argument `{name}`", entry.name);
            let problem = self.source.problem(at, at + name.len(), message);
            match nearest(name, known.iter().copied()) {
                Some(name) => problem.with_hint(format!("did you mean `{name}`?")),
                None => {
                    let mut all: Vec<&str> = Vec::new();
                    known.iter().for_each(|name| {
                        if !all.contains(name) {
                            all.push(name);
                        }
                    });
                    problem.with_hint(format!("known: {}", listed(all)))
                }
            }
        })
    }

    /// An argument that is left out. A number in place of the optimiser was meant for another one.
    fn python_only(&self, entry: &Named, name: &str, value: &Expr) -> Result<(), Problem> {
        let literal = matches!(
            value.what,
            What::Int(_) | What::Float(_) | What::Text(_) | What::List(_) | What::Lambda(..) | What::Minus(_)
        );
        if name != "optimizer" || !literal {
            return Ok(());
        }
        let next = entry.arguments().map(|(name, _)| name).find(|name| entry.reads(name)).unwrap_or_default();
        let message = format!("the argument at this place of `{}` is the optimizer", entry.name);
        let problem = self.source.problem(value.start, value.end, message);
        Err(problem.with_hint(format!("give the others by name, as in {next}=...")))
    }

    fn keyed(&self, name: &str, at: &Expr, value: Value) -> (Key, Tree) {
        let place = self.source.place(at.start, at.end);
        (Key { place, name: name.to_owned() }, Tree { place, value })
    }

    /// The value of an argument. One in a list of its own is that of the only parameter group.
    fn argument(&mut self, entry: &Named, name: &str, value: &Expr) -> Result<Tree, Problem> {
        let param = entry.params.iter().find(|param| param.name == name);
        match &value.what {
            What::List(items) if entry.per_group.contains(&name) => match items.as_slice() {
                [one] => self.value(one, param.is_none()),
                _ => {
                    let message = format!("expected one value, found a list of {}", items.len());
                    let problem = self.source.problem(value.start, value.end, message);
                    Err(problem.with_hint("there is one parameter group here"))
                }
            },
            What::Text(_) if param.is_some_and(|param| matches!(param.holds, Holds::Expression)) => {
                let message = "expected a lambda of the step, found text";
                Err(self.source.problem(value.start, value.end, message))
            }
            _ => self.value(value, param.is_none()),
        }
    }

    /// A value; a call in it is that of a schedule where `nodes` may stand.
    fn value(&mut self, expr: &Expr, nodes: bool) -> Result<Tree, Problem> {
        let place = self.source.place(expr.start, expr.end);
        let value = match &expr.what {
            What::None => Value::Null,
            What::Bool(b) => Value::Bool(*b),
            What::Text(text) => Value::Text(text.clone()),
            What::List(items) => {
                Value::List(items.iter().map(|item| self.value(item, nodes)).collect::<Result<_, _>>()?)
            }
            What::Dict(items) => {
                let mut entries: Vec<(Key, Tree)> = Vec::new();
                for (key, value) in items {
                    let name = match self.value(key, false)?.value {
                        Value::Text(text) => text,
                        Value::Int(i) => i.to_string(),
                        _ => {
                            let message = "expected a key that is text or a whole number";
                            return Err(self.source.problem(key.start, key.end, message));
                        }
                    };
                    let value = self.value(value, nodes)?;
                    // As in Python, the last of equal keys counts.
                    entries.retain(|(known, _)| known.name != name);
                    let place = self.source.place(key.start, key.end);
                    entries.push((Key { place, name }, value));
                }
                Value::Map(entries)
            }
            What::Lambda(parameter, body) => {
                let text = self.source.text.get(*body..expr.end).unwrap_or_default();
                let place = self.source.place(*body, expr.end);
                let text = self
                    .rewritten(text, parameter)
                    .map_err(|message| self.source.problem(*body, expr.end, message))?;
                return Ok(Tree { place, value: Value::Text(text) });
            }
            What::Call(..) if nodes => return self.schedule(expr),
            What::Call(..) => return self.folded(expr),
            What::Part(of) => return self.value(of, nodes),
            What::Path(path) => match (self.names.get(&path.join(".")).cloned(), path.as_slice()) {
                (Some(expr), _) => {
                    self.depth += 1;
                    if self.depth > MOST_DEPTH {
                        return Err(self.source.problem(expr.start, expr.end, "this name stands for itself"));
                    }
                    let value = self.value(&expr, nodes);
                    self.depth -= 1;
                    return value;
                }
                (None, [.., of, member]) if of == "SchedulerType" => Value::Text(scheduler_type(member)),
                (None, _) => return self.folded(expr),
            },
            What::Int(_) | What::Float(_) | What::Minus(_) | What::Binary(..) => return self.folded(expr),
        };
        Ok(Tree { place, value })
    }

    /// A number, worked out as Python does.
    fn folded(&self, expr: &Expr) -> Result<Tree, Problem> {
        let value = self.number(expr, 0)?;
        match value {
            Value::Float(x) if !x.is_finite() => Err(self.source.problem(
                expr.start,
                expr.end,
                format!("this is {x}, which is no number to train with"),
            )),
            value => Ok(Tree { place: self.source.place(expr.start, expr.end), value }),
        }
    }

    fn number(&self, expr: &Expr, depth: usize) -> Result<Value, Problem> {
        let problem = |message: String| self.source.problem(expr.start, expr.end, message);
        if depth > MOST_DEPTH {
            return Err(problem("this name stands for itself".to_owned()));
        }
        match &expr.what {
            What::Int(i) => Ok(Value::Int(*i)),
            What::Float(x) => Ok(Value::Float(*x)),
            What::Minus(of) => match self.number(of, depth + 1)? {
                Value::Int(i) => Ok(Value::Int(i.saturating_neg())),
                Value::Float(x) => Ok(Value::Float(-x)),
                other => Ok(other),
            },
            What::Binary(sign, a, b) => {
                let (a, b) = (self.number(a, depth + 1)?, self.number(b, depth + 1)?);
                arithmetic(sign, &a, &b).ok_or_else(|| problem("this has no value".to_owned()))
            }
            What::Path(path) => {
                let name = path.join(".");
                match (self.names.get(&name), name.as_str()) {
                    (Some(value), _) => self.number(value, depth + 1),
                    (None, "math.pi" | "np.pi" | "numpy.pi" | "torch.pi" | "jnp.pi") => {
                        Ok(Value::Float(std::f64::consts::PI))
                    }
                    (None, _) => {
                        let message =
                            format!("`{name}` is a variable: a literal is needed here, as in 0.1 or 100");
                        Err(problem(message))
                    }
                }
            }
            What::Call(..) | What::Part(_) => Err(problem(
                "this is worked out by Python: a literal is needed here, as in 0.1 or 100".to_owned(),
            )),
            _ => Err(problem("expected a number".to_owned())),
        }
    }

    /// A lambda's body as an expression, the numbers that were assigned to names put in.
    fn rewritten(&self, body: &str, parameter: &str) -> Result<String, String> {
        lambda::rewrite(body, parameter, &|name| {
            let expr = self.names.get(name)?;
            match self.folded(expr).ok()?.value {
                Value::Int(i) => Some(format!("({i})")),
                Value::Float(x) => Some(format!("({x})")),
                _ => None,
            }
        })
    }
}

/// The value of a member of transformers' enum.
fn scheduler_type(member: &str) -> String {
    match member {
        "REDUCE_ON_PLATEAU" => "reduce_lr_on_plateau".to_owned(),
        member => member.to_lowercase(),
    }
}
