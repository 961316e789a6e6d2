//! Converts Python functions to expressions of `schedule`.

use super::Program;
use crate::python::{Body, Expr, Function};

/// Converts the text of a lambda or an expression to an expression.
pub(crate) fn expression(text: &str) -> Result<String, String> {
    let Some(rest) = text.trim_start().strip_prefix("lambda ") else { return Ok(text.to_owned()) };
    let Some((parameter, body)) = rest.split_once(':') else {
        return Err("expected `lambda t: ...`, found no `:`".to_owned());
    };
    let parameter = parameter.trim();
    if parameter.is_empty() || !parameter.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return Err("expected a lambda of one parameter, the step".to_owned());
    }
    rewrite(body, parameter, &|_| Ok(None))
}

/// Modules of plain numbers whose functions are supported.
const MATH: [&str; 2] = ["math", "bisect"];
const NUMPY: [&str; 2] = ["np", "numpy"];

/// Modules that work in single precision or only on tensors.
const TENSORS: [&str; 5] = ["torch", "jnp", "jax.numpy", "tf", "tf.math"];

/// Functions of `math` with another name here.
const MATH_NAMES: &[(&str, &str)] = &[("fabs", "abs"), ("pow", "power")];

/// Functions of numpy with another name here.
const NUMPY_NAMES: &[(&str, &str)] = &[
    ("absolute", "abs"),
    ("amax", "max"),
    ("amin", "min"),
    ("arccos", "acos"),
    ("arcsin", "asin"),
    ("arctan", "atan"),
    ("double", "float"),
    ("fix", "trunc"),
    ("float64", "float"),
    ("float_power", "power"),
    ("int64", "int"),
    ("pow", "power"),
    ("remainder", "mod"),
    ("rint", "around"),
    ("round", "around"),
];

/// Names with a meaning in an expression, but not in Python.
const RESERVED: [&str; 6] = ["t", "T", "epoch", "base", "e", "inf"];

/// The maximum length of a converted function.
const MAX_BYTES: usize = 20_000;

/// The name here of a name with its module; `None` for other modules and for names without a module.
fn local_name(path: &str) -> Option<&str> {
    let (module, name) = path.rsplit_once('.')?;
    let renamed = match module {
        module if MATH.contains(&module) => MATH_NAMES,
        module if NUMPY.contains(&module) => NUMPY_NAMES,
        _ => return None,
    };
    // This is a different function in `math`.
    if path == "math.remainder" {
        return None;
    }
    Some(renamed.iter().find(|(theirs, _)| *theirs == name).map_or(name, |(_, ours)| ours))
}

/// The name here of a function with this path.
pub(crate) fn known_function(path: &str) -> Option<&str> {
    if path.contains('.') { local_name(path) } else { Some(path) }
}

/// The constant with this path, as in `math.pi`.
pub(crate) fn constant(path: &str) -> Option<f64> {
    match (path, local_name(path)?) {
        (_, "pi") => Some(std::f64::consts::PI),
        (_, "e") => Some(std::f64::consts::E),
        (_, "inf") => Some(f64::INFINITY),
        (_, "tau") => Some(std::f64::consts::TAU),
        _ => None,
    }
}

/// Converts a function body to an expression: its parameter becomes `t`, modules are removed, and names are
/// replaced by their `value_of`. Characters keep their positions, so that errors have the right place.
pub(crate) fn rewrite(
    body: &str,
    parameter: &str,
    value_of: &dyn Fn(&str) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = body;
    while let Some(first) = rest.chars().next() {
        let word = |keep: fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let name = first.is_alphabetic() || first == '_';
        let length = if name {
            word(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
        } else if first.is_ascii_digit() {
            word(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
        } else if first == '#' {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (head, tail) = rest.split_at(length);
        let plain = match first {
            _ if head == parameter => "t".to_owned(),
            _ if name => named(head, value_of)?,
            '\n' | '\r' | '\\' | '#' => " ".to_owned(),
            _ => head.replace('_', ""),
        };
        text.push_str(&plain);
        text.extend(std::iter::repeat_n(' ', head.chars().count().saturating_sub(plain.chars().count())));
        rest = tail;
    }
    Ok(text)
}

/// The text of a Python name in an expression.
fn named(name: &str, value_of: &dyn Fn(&str) -> Result<Option<String>, String>) -> Result<String, String> {
    if let Some(value) = value_of(name)? {
        return Ok(value);
    }
    if let Some(ours) = local_name(name) {
        return Ok(match constant(name) {
            Some(tau) if ours == "tau" => format!("({tau:?})"),
            _ => ours.to_owned(),
        });
    }
    match name {
        "True" => Ok("1".to_owned()),
        "False" => Ok("0".to_owned()),
        name if RESERVED.contains(&name) => {
            Err(format!("the variable `{name}` has another meaning here: write its value into the lambda"))
        }
        name => match name.rsplit_once('.') {
            Some((module, function)) if TENSORS.contains(&module) => {
                Err(format!("`{name}` works on tensors in single precision: write `math.{function}`"))
            }
            Some(_) => Err(format!("the value of `{name}` is unknown: write its value into the function")),
            None => Ok(name.to_owned()),
        },
    }
}

impl Program<'_> {
    /// Converts a function to an expression, with variables replaced by their numbers and lists.
    pub(crate) fn rendered(&self, function: &Function) -> Result<String, String> {
        self.render(&function.body, &function.parameter, &mut Vec::new())
    }

    fn render(
        &self,
        body: &Body,
        parameter: &str,
        locals: &mut Vec<(String, String)>,
    ) -> Result<String, String> {
        let rewritten = |range: &std::ops::Range<usize>, locals: &[(String, String)]| {
            let text = self.source.text.get(range.clone()).unwrap_or_default();
            rewrite(text, parameter, &|name| match locals.iter().rev().find(|(local, _)| local == name) {
                Some((_, value)) => Ok(Some(value.clone())),
                None => self.value_of(name),
            })
        };
        let text = match body {
            Body::Return(range) => rewritten(range, locals)?,
            Body::Assign(name, range, next) => {
                let value = format!("({})", rewritten(range, locals)?);
                let name =
                    if name == parameter { return Err(parameter_reassigned(name)) } else { name.clone() };
                locals.push((name, value));
                let text = self.render(next, parameter, locals)?;
                locals.pop();
                text
            }
            Body::If(condition, yes, no) => {
                let condition = rewritten(condition, locals)?;
                let (yes, no) = (self.render(yes, parameter, locals)?, self.render(no, parameter, locals)?);
                format!("({yes}) if ({condition}) else ({no})")
            }
        };
        if text.len() > MAX_BYTES {
            return Err("this function is too long".to_owned());
        }
        Ok(text)
    }

    /// The text of a variable of the program in an expression.
    fn value_of(&self, name: &str) -> Result<Option<String>, String> {
        let path = self.full_path(name);
        if path != name {
            return Ok(Some(named(&path, &|_| Ok(None))?));
        }
        let Some(expr) = self.named(name) else { return Ok(None) };
        let plain = |expr: &Expr| {
            self.number(expr, 0).ok().map(|number| match number {
                schedule::number::Number::Int(i) => format!("({i})"),
                schedule::number::Number::Big(i) => format!("({i})"),
                schedule::number::Number::Float(x) => format!("({x:?})"),
            })
        };
        if let Ok(Some(items)) = self.list(expr, 0) {
            let items: Option<Vec<String>> = items.iter().map(plain).collect();
            return Ok(items.map(|items| format!("({},)", items.join(", "))));
        }
        match plain(expr) {
            Some(text) => Ok(Some(text)),
            None => match self.number(expr, 0) {
                Err(problem) => Err(format!("the value of `{name}` is unknown: {}", problem.message)),
                Ok(_) => Ok(None),
            },
        }
    }
}

fn parameter_reassigned(name: &str) -> String {
    format!("the parameter `{name}` is reassigned: write the function as a lambda")
}
