//! Builds the trees of expansions, and calculates with lengths and learning rates as written.

use schedule::lr_value::LrValue;
use schedule::tree::{Key, Place, Tree, Value};

pub(crate) fn entry(name: &str, tree: Tree) -> (Key, Tree) {
    (Key { place: Place::default(), name: name.to_owned() }, tree)
}

pub(crate) fn map<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::new(Value::Map(entries.into_iter().map(|(name, tree)| entry(name, tree)).collect()))
}

/// The mapping with one more key.
pub(crate) fn with(tree: Tree, name: &str, value: Tree) -> Tree {
    match tree.value {
        Value::Map(mut entries) => {
            entries.push(entry(name, value));
            Tree { value: Value::Map(entries), ..tree }
        }
        _ => tree,
    }
}

/// The mapping with one more key, if it has a value.
pub(crate) fn with_some(tree: Tree, name: &str, value: Option<Tree>) -> Tree {
    match value {
        Some(value) => with(tree, name, value),
        None => tree,
    }
}

/// The mapping with another value for a key.
pub(crate) fn replaced(tree: Tree, name: &str, value: Tree) -> Tree {
    with(without(tree, name), name, value)
}

/// The mapping without a key.
pub(crate) fn without(tree: Tree, name: &str) -> Tree {
    match tree.value {
        Value::Map(mut entries) => {
            entries.retain(|(key, _)| key.name != name);
            Tree { value: Value::Map(entries), ..tree }
        }
        _ => tree,
    }
}

pub(crate) fn text(text: &str) -> Tree {
    Tree::new(Value::Text(text.to_owned()))
}

pub(crate) fn float(x: f64) -> Tree {
    Tree::new(Value::Float(x))
}

pub(crate) fn whole(x: f64) -> Tree {
    Tree::new(Value::Int(x as i64))
}

pub(crate) fn list(items: Vec<Tree>) -> Tree {
    Tree::new(Value::List(items))
}

/// A factor of the base lr.
pub(crate) fn times_base(factor: f64) -> Tree {
    text(&format!("{factor}x"))
}

/// A learning rate as a user would write it.
pub(crate) fn lr(lr: LrValue) -> Tree {
    match lr {
        LrValue::Absolute(lr) => float(lr),
        LrValue::Multiple(factor) => times_base(factor),
    }
}

pub(crate) fn scaled(lr: LrValue, by: f64) -> LrValue {
    match lr {
        LrValue::Absolute(lr) => LrValue::Absolute(lr * by),
        LrValue::Multiple(factor) => LrValue::Multiple(factor * by),
    }
}

/// The base lr for the whole run.
pub(crate) fn constant(place: Place) -> Tree {
    with_place(map([("kind", text("constant"))]), place)
}

/// A constant lr.
pub(crate) fn constant_lr(lr: Tree) -> Tree {
    map([("value", lr), ("kind", text("constant"))])
}

/// A schedule with this base lr (`1x`).
pub(crate) fn with_base(base: LrValue, of: Tree) -> Tree {
    match base {
        LrValue::Multiple(1.0) => of,
        // With a base lr of 0 the lr is always 0.
        base if base.is_zero() => constant_lr(float(0.0)),
        base => map([("base", lr(base)), ("of", of)]),
    }
}

/// Phases one after another; the last takes the rest. Phases of length 0 are left out.
pub(crate) fn phases(first: Vec<(Tree, Tree)>, last: Tree) -> Tree {
    let mut items: Vec<Tree> = first
        .into_iter()
        .filter(|(length, _)| ticks(length) != Some(0.0))
        .map(|(length, of)| with(of, "for", length))
        .collect();
    if items.is_empty() {
        return last;
    }
    items.push(last);
    map([("phases", list(items))])
}

/// A warmup from `from` to the base lr, then `body`, whose clock starts after it.
pub(crate) fn with_warmup(over: Tree, from: Tree, body: Tree) -> Tree {
    phases(vec![(over, map([("kind", text("linear")), ("from", from), ("to", text("1x"))]))], body)
}

/// The number of a length in plain ticks.
pub(crate) fn ticks(length: &Tree) -> Option<f64> {
    match length.value {
        Value::Int(i) => Some(i as f64),
        Value::Float(x) if x.fract() == 0.0 => Some(x),
        _ => None,
    }
}

/// The sum or difference of two lengths with the same unit, with that unit, and its number.
pub(crate) fn combine_lengths(a: &Tree, b: &Tree, of: fn(f64, f64) -> f64) -> Option<(Tree, f64)> {
    let amount = |tree: &Tree| match &tree.value {
        Value::Text(text) => {
            let (number, unit) =
                text.trim().split_at(text.trim().find(|c: char| !matches!(c, '0'..='9' | '.'))?);
            Some((number.parse::<f64>().ok()?, unit.trim().trim_end_matches('s').to_owned()))
        }
        _ => ticks(tree).map(|ticks| (ticks, String::new())),
    };
    let ((x, unit), (y, other)) = (amount(a)?, amount(b)?);
    if y == 0.0 {
        return Some((a.clone(), x));
    }
    let result = of(x, y);
    let value = match unit.as_str() {
        _ if unit != other => return None,
        "" => Value::Int(result as i64),
        "%" => Value::Text(format!("{result}%")),
        unit => Value::Text(format!("{result} {unit}s")),
    };
    Some((Tree { place: a.place, value }, result))
}

/// The tree with this place for all values that have none.
pub(crate) fn with_place(mut tree: Tree, place: Place) -> Tree {
    set_place(&mut tree, place);
    tree
}

fn set_place(tree: &mut Tree, place: Place) {
    if tree.place == Place::default() {
        tree.place = place;
    }
    match &mut tree.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                if key.place == Place::default() {
                    key.place = place;
                }
                set_place(value, place);
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| set_place(item, place)),
        _ => {}
    }
}
