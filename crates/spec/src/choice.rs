//! Reads a mapping that chooses a model or an optimizer: its `kind`, and the parameters in the table of that kind.

use schedule::fields::{Field, Fields, boolean, choice, number_where, whole};
use schedule::problem::Problem;
use schedule::tree::{Tree, Value};
use serde_json::{Map, Value as Json};

use crate::catalogue::{Kind, Param, ParamType};
use crate::trial::Choice;

/// The most widths in a list of layer widths.
const MAX_LAYERS: usize = 16;

/// Reads a mapping whose `kind` is one of these.
pub(crate) fn read(field: &Field<'_>, kinds: &[&Kind], problems: &mut Vec<Problem>) -> Option<Choice> {
    let mut fields = Fields::new(field.tree, &field.path, problems)?;
    let names: Vec<(&'static str, &Kind)> = kinds.iter().map(|kind| (kind.name, *kind)).collect();
    let kind = fields.read("kind", problems, choice(&names));
    let chosen = params(kind, kinds, field, &mut fields, problems);
    fields.finish(problems);
    chosen
}

/// Reads the parameters of a kind. If the kind is unknown, the parameters of all kinds are accepted and checked, so that they are
/// not reported as unknown keys.
pub(crate) fn params(
    kind: Option<&Kind>,
    kinds: &[&Kind],
    field: &Field<'_>,
    fields: &mut Fields<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Choice> {
    match kind {
        Some(kind) => params_of(kind, field, fields, problems),
        None => {
            for kind in kinds {
                params_of(kind, field, fields, problems);
            }
            None
        }
    }
}

fn params_of(
    kind: &Kind,
    field: &Field<'_>,
    fields: &mut Fields<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Choice> {
    let before = problems.len();
    let mut values = Map::new();
    for param in kind.params {
        let default: Json = serde_json::from_str(param.default).unwrap_or_default();
        let value = fields.read_or(param.name, default.clone(), problems, |field| value(param, field));
        let Some(value) = value else { continue };
        if !(param.omits_default && value == default) {
            store(param, value, &mut values);
        }
    }
    if let Err(conflict) = (kind.check)(&values) {
        let place = field.tree.get(conflict.param).unwrap_or(field.tree).place;
        let problem = Problem::new(place, fields.path_of(conflict.param), conflict.message);
        problems.push(match conflict.hint {
            Some(hint) => problem.with_hint(hint),
            None => problem,
        });
    }
    (problems.len() == before).then(|| Choice { kind: kind.name.to_owned(), values })
}

/// Stores a value in the form that a trial's id depends on: numbers as floats, a pair under its two names.
fn store(param: &Param, value: Json, values: &mut Map<String, Json>) {
    let number = |value: &Json| value.as_f64().map_or(Json::Null, Json::from);
    match (&param.ty, &value) {
        (ParamType::Number(_), value) => {
            values.insert(param.name.to_owned(), number(value));
        }
        (ParamType::Pair(_, names), Json::Array(pair)) => {
            values.extend(names.iter().zip(pair).map(|(name, value)| ((*name).to_owned(), number(value))));
        }
        _ => {
            values.insert(param.name.to_owned(), value);
        }
    }
}

fn value(param: &Param, field: &Field<'_>) -> Result<Json, Problem> {
    match &param.ty {
        ParamType::Number(range) => number_where(range.words, |x| range.contains(x))(field).map(Json::from),
        ParamType::Pair(range, _) => pair(param, |x| range.contains(x), range.words, field),
        ParamType::Count(max) => match whole(1)(field)? {
            n if n <= *max => Ok(Json::from(n)),
            n => Err(field.problem(format!("expected at most {max}, found {n}"))),
        },
        ParamType::Widths => widths(field),
        ParamType::Flag => boolean(field).map(Json::from),
        ParamType::Word(words) => {
            let words: Vec<(&'static str, &str)> = words.iter().map(|word| (*word, *word)).collect();
            choice(&words)(field).map(Json::from)
        }
    }
}

/// A list of two numbers within a range.
fn pair(
    param: &Param,
    contains: impl Fn(f64) -> bool,
    range: &str,
    field: &Field<'_>,
) -> Result<Json, Problem> {
    let read = |tree: &Tree| {
        let number = match tree.value {
            Value::Float(x) => x,
            Value::Int(i) => i as f64,
            _ => return None,
        };
        contains(number).then(|| Json::from(number))
    };
    let numbers: Option<Vec<Json>> = match &field.tree.value {
        Value::List(items) if items.len() == 2 => items.iter().map(read).collect(),
        _ => None,
    };
    numbers.map(Json::from).ok_or_else(|| {
        let range = range.trim_start_matches("a number ");
        field.expected(&format!("a list of two numbers {range}, as in {}", param.default))
    })
}

/// Layer widths: a list of whole numbers.
fn widths(field: &Field<'_>) -> Result<Json, Problem> {
    const FORM: &str = "a list of at most 16 layer widths from 1 to 65536";
    let items = match &field.tree.value {
        Value::List(items) => items,
        Value::Int(width) => return Err(field.expected(FORM).with_hint(format!("one layer is [{width}]"))),
        Value::Text(text) if text.trim().parse::<u64>().is_ok() => {
            return Err(field.expected(FORM).with_hint(format!("one layer is [{}]", text.trim())));
        }
        _ => return Err(field.expected(FORM)),
    };
    let width = |item: &Tree| item.integer().filter(|width| (1..=65_536).contains(width));
    let widths: Option<Vec<_>> = items.iter().map(width).collect();
    widths.filter(|widths| widths.len() <= MAX_LAYERS).map(Json::from).ok_or_else(|| {
        let found = field.problem(format!("expected {FORM}, found {}", field.tree));
        if found.message.len() > 300 { field.expected(FORM) } else { found }
    })
}
