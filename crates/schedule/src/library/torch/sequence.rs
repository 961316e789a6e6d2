//! Schedules of torch that are made of others, and optax's sequences.

use super::super::build::{held, list, map, phases, reckoned, text, ticks};
use super::super::given::{Child, Given};
use crate::tree::{Tree, Value};

/// The name of a schedule inside another, if it is one of ours.
fn kind(child: &Child) -> &str {
    match child.written.get("kind").map(|kind| &kind.value) {
        Some(Value::Text(name)) => name,
        _ => "",
    }
}

pub(super) fn sequential(given: &mut Given<'_, '_>) -> Option<Tree> {
    let milestones = given.items("milestones");
    let names: Vec<String> = given.children.iter().map(|child| kind(child).to_owned()).collect();
    if milestones.len() + 1 != names.len() {
        let message = format!(
            "{} schedules need {} milestones, found {}",
            names.len(),
            names.len().max(1) - 1,
            milestones.len()
        );
        return given.refuse("milestones", message);
    }
    for (i, name) in names.iter().enumerate() {
        let child = given.children.get_mut(i).filter(|_| i > 0);
        let empty = child.filter(|child| child.written.get("total_iters").and_then(ticks) == Some(0.0));
        let reason = match name.as_str() {
            "torch.OneCycleLR" | "torch.CyclicLR" => "in torch it changes the lr that the others start from",
            "torch.ReduceLROnPlateau" => "torch gives it no metric there",
            "torch.MultiplicativeLR" if i > 0 => {
                "in torch it goes on from the lr before it, not from the base lr"
            }
            "torch.LinearLR" | "torch.PolynomialLR" if empty.is_some() => {
                "torch divides by its total_iters of 0 where it begins"
            }
            "torch.ConstantLR" => {
                // Here torch takes its closed form, which is the base lr.
                if let Some(child) = empty {
                    child.expanded = held(text("1x"));
                }
                continue;
            }
            "torch.SequentialLR" | "torch.ChainedScheduler" if i > 0 => "torch fails where it begins",
            _ => continue,
        };
        let message = format!("`{name}` can't stand inside `torch.SequentialLR`: {reason}; write `phases`");
        return given.refuse("schedulers", message);
    }
    sequence(given, "milestones", &milestones)
}

/// The schedules inside, one after another, each from its milestone.
pub(in crate::library) fn sequence(
    given: &mut Given<'_, '_>,
    name: &'static str,
    milestones: &[Tree],
) -> Option<Tree> {
    let children = std::mem::take(&mut given.children);
    let mut lengths = Vec::new();
    let mut before: Option<&Tree> = None;
    for milestone in milestones {
        let length = match before {
            None => Some((milestone.clone(), 0.0)),
            Some(before) => reckoned(milestone, before, |a, b| a - b),
        };
        match length {
            Some((length, number)) if number >= 0.0 => lengths.push(length),
            Some(_) => return given.refuse(name, "expected places one after another"),
            None => {
                return given.refuse(name, "expected places in one unit: all in steps, or all in percent");
            }
        }
        before = Some(milestone);
    }
    let last = children.last()?;
    let stated = last.length.filter(|stated| !stated.epochs).map(|stated| stated.ticks);
    let begin = milestones.last().map_or(Some(0.0), ticks);
    given.states_ticks(stated.zip(begin).map(|(length, begin)| length + begin));
    let last = node(&last.expanded);
    let first = children.iter().map(|child| node(&child.expanded));
    Some(phases(lengths.into_iter().zip(first).collect(), last))
}

/// A schedule as a mapping.
fn node(tree: &Tree) -> Tree {
    match tree.value {
        Value::Map(_) => tree.clone(),
        _ => held(tree.clone()),
    }
}

pub(super) fn chained(given: &mut Given<'_, '_>) -> Option<Tree> {
    for child in std::mem::take(&mut given.children) {
        let name = kind(&child);
        let floor = child.written.get("eta_min").is_some_and(|min| match &min.value {
            Value::Int(i) => *i != 0,
            Value::Float(x) => *x != 0.0,
            Value::Text(text) => text.trim_end_matches('x').trim().parse::<f64>() != Ok(0.0),
            _ => false,
        });
        let reason = match name {
            "torch.CosineAnnealingLR" if floor => {
                "with an eta_min above 0 torch's step-by-step form is no product of factors"
            }
            "torch.StepLR"
            | "torch.MultiStepLR"
            | "torch.ConstantLR"
            | "torch.LinearLR"
            | "torch.ExponentialLR"
            | "torch.PolynomialLR"
            | "torch.CosineAnnealingLR"
            | "torch.MultiplicativeLR" => "",
            "torch.ReduceLROnPlateau" => "torch gives it no metric there",
            _ if name.starts_with("torch.") => "in torch it sets the lr anew and undoes the others",
            _ => "",
        };
        let alone = given.items("schedulers").len() == 1 && name != "torch.ReduceLROnPlateau";
        if !reason.is_empty() && !alone {
            let message =
                format!("`{name}` can't stand inside `torch.ChainedScheduler`: {reason}; write `chain`");
            return given.refuse("schedulers", message);
        }
        let longest = match (given.length, child.length) {
            (Some(a), Some(b)) if b.ticks > a.ticks => Some(b),
            (a, b) => a.or(b),
        };
        given.length = longest;
        given.children.push(child);
    }
    let links = given.children.iter().map(|child| child.expanded.clone()).collect();
    Some(map([("chain", list(links))]))
}
