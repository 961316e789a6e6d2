//! Schedules of torch that contain other schedules, and sequences of optax.

use crate::arguments::Arguments;
use crate::program::as_mapping;
use crate::trees::{combine_lengths, constant, constant_lr, list, map, phases, replaced, text, ticks, whole};
use schedule::tree::{Tree, Value};

/// The name of a schedule, if it has one.
fn kind(tree: &Tree) -> &str {
    match tree.get("kind").map(|kind| &kind.value) {
        Some(Value::Text(name)) => name,
        _ => "",
    }
}

/// The child schedules of a schedule.
fn parts(tree: &Tree) -> Vec<Tree> {
    match tree.get("schedulers").map(|list| &list.value) {
        Some(Value::List(items)) => items.iter().map(as_mapping).collect(),
        _ => Vec::new(),
    }
}

/// Whether a schedule contains other schedules.
fn is_nest(tree: &Tree) -> bool {
    matches!(kind(tree), "torch.SequentialLR" | "torch.ChainedScheduler")
}

pub(crate) fn sequential(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    let milestones = given.items("milestones");
    let n = given.children.len();
    if milestones.len() + 1 != n {
        let message = format!("{n} schedules need {} milestones, found {}", n.max(1) - 1, milestones.len());
        return given.refuse("milestones", message);
    }
    if given.children.iter().any(|child| !child.fine) {
        return Some(constant(Default::default()));
    }
    for i in 0..n {
        let child = given.children.get(i)?.written.clone();
        if let Err((name, reason)) = fits(&child, i > 0) {
            let message =
                format!("`{name}` is not supported inside `torch.SequentialLR`: {reason}; use `phases`");
            return given.refuse("schedulers", message);
        }
        let expanded = match kind(&child) {
            // After a milestone torch uses its closed form, which is the base lr.
            "torch.ConstantLR" if i > 0 && is_empty(&child) => Some(constant_lr(text("1x"))),
            _ if is_nest(&child) => Some(given.expanded(&stepped(&child)?, "schedulers")?),
            _ => None,
        };
        if let (Some(expanded), Some(child)) = (expanded, given.children.get_mut(i)) {
            child.expanded = expanded;
        }
    }
    sequence(given, "milestones", &milestones)
}

fn is_empty(tree: &Tree) -> bool {
    tree.get("total_iters").and_then(ticks) == Some(0.0)
}

/// Checks that a schedule in torch's SequentialLR behaves as on its own. The error has its name and the
/// reason.
fn fits(tree: &Tree, late: bool) -> Result<(), (String, &'static str)> {
    let reason = match kind(tree) {
        "torch.OneCycleLR" | "torch.CyclicLR" => "in torch it changes the initial lr of the others",
        "torch.ReduceLROnPlateau" => "torch does not pass it a metric there",
        "torch.MultiplicativeLR" if late => {
            "in torch it continues from the previous lr, not from the base lr"
        }
        "torch.LinearLR" | "torch.PolynomialLR" if late && is_empty(tree) => {
            "torch divides by its total_iters of 0 at its start"
        }
        "torch.SequentialLR" | "torch.ChainedScheduler" if late => "torch fails at its start",
        "torch.SequentialLR" | "torch.ChainedScheduler" => return begins(tree),
        _ => return Ok(()),
    };
    Err((kind(tree).to_owned(), reason))
}

/// Checks a nested schedule in the first place of a SequentialLR. torch steps it once more before the first
/// update: its milestones come one step early, and schedules that multiply the lr have done so once.
fn begins(tree: &Tree) -> Result<(), (String, &'static str)> {
    let parts = parts(tree);
    let first = if kind(tree) == "torch.SequentialLR" { 1 } else { parts.len() };
    for part in parts.iter().take(first) {
        let reason = match kind(part) {
            _ if is_nest(part) => {
                begins(part)?;
                continue;
            }
            "torch.ExponentialLR"
            | "torch.PolynomialLR"
            | "torch.CosineAnnealingLR"
            | "torch.MultiplicativeLR" => {
                "in torch it takes one step before the first update, so its first lr is not the base lr"
            }
            _ => {
                fits(part, false)?;
                continue;
            }
        };
        return Err((kind(part).to_owned(), reason));
    }
    let early = |tree: &Tree| ticks(tree).is_none_or(|m| m < 1.0);
    match tree.get("milestones").map(|list| &list.value) {
        Some(Value::List(items)) if items.iter().any(early) => Err((
            kind(tree).to_owned(),
            "in torch its milestones come one step early, so they must be at least 1 step",
        )),
        _ => Ok(()),
    }
}

/// A nested schedule in the first place of a SequentialLR, with its milestones one step earlier.
fn stepped(tree: &Tree) -> Option<Tree> {
    let mut parts = parts(tree);
    let first = if kind(tree) == "torch.SequentialLR" { 1 } else { parts.len() };
    for part in parts.iter_mut().take(first).filter(|part| is_nest(part)) {
        *part = stepped(part)?;
    }
    let mut stepped = replaced(tree.clone(), "schedulers", list(parts));
    if let Some(Value::List(items)) = tree.get("milestones").map(|list| &list.value) {
        let early = items.iter().map(|m| Some(Tree { place: m.place, ..whole(ticks(m)? - 1.0) }));
        stepped = replaced(stepped, "milestones", list(early.collect::<Option<_>>()?));
    }
    Some(stepped)
}

/// The child schedules one after another, each from its milestone.
pub(crate) fn sequence(
    given: &mut Arguments<'_, '_>,
    name: &'static str,
    milestones: &[Tree],
) -> Option<Tree> {
    let children = std::mem::take(&mut given.children);
    let mut lengths = Vec::new();
    let mut before: Option<&Tree> = None;
    for milestone in milestones {
        let length = match before {
            None => Some((milestone.clone(), 0.0)),
            Some(before) => combine_lengths(milestone, before, |a, b| a - b),
        };
        match length {
            Some((length, number)) if number >= 0.0 => lengths.push(length),
            Some(_) => return given.refuse(name, "expected rising values"),
            None => {
                return given.refuse(name, "expected values in one unit: all in steps or all in percent");
            }
        }
        before = Some(milestone);
    }
    let last = children.last()?;
    let stated = last.length.filter(|stated| !stated.epochs).map(|stated| stated.ticks);
    let begin = milestones.last().map_or(Some(0.0), ticks);
    given.set_length_ticks(stated.zip(begin).map(|(length, begin)| length + begin));
    let last = node(&last.expanded);
    let first = children.iter().map(|child| node(&child.expanded));
    Some(phases(lengths.into_iter().zip(first).collect(), last))
}

/// A schedule as a mapping.
fn node(tree: &Tree) -> Tree {
    match tree.value {
        Value::Map(_) => tree.clone(),
        _ => constant_lr(tree.clone()),
    }
}

/// The schedules of a chain, with nested chains flattened.
fn links(tree: &Tree) -> Vec<Tree> {
    match kind(tree) {
        "torch.ChainedScheduler" => parts(tree).iter().flat_map(links).collect(),
        _ => vec![tree.clone()],
    }
}

pub(crate) fn chained(given: &mut Arguments<'_, '_>) -> Option<Tree> {
    given.length =
        given.children.iter().filter_map(|child| child.length).max_by(|a, b| a.ticks.total_cmp(&b.ticks));
    if given.children.iter().any(|child| !child.fine) {
        return Some(constant(Default::default()));
    }
    let links: Vec<Tree> = given.children.iter().flat_map(|child| links(&child.written)).collect();
    if let [_] = links.as_slice()
        && kind(links.first()?) != "torch.ReduceLROnPlateau"
    {
        let members = given.children.iter().map(|child| child.expanded.clone()).collect();
        return Some(map([("chain", list(members))]));
    }
    let mut factors = Vec::new();
    for link in &links {
        if let Some(reason) = undoes(link) {
            let message = format!(
                "`{}` is not supported inside `torch.ChainedScheduler`: {reason}; use `chain`",
                kind(link)
            );
            return given.refuse("schedulers", message);
        }
        let factor = given.expanded(link, "schedulers")?;
        // After its minimum torch's recursive form rises without the factors of the others.
        factors.push(match kind(link) {
            "torch.CosineAnnealingLR" => replaced(factor, "after", text("error")),
            _ => factor,
        });
    }
    Some(map([("chain", list(factors))]))
}

/// Why torch's ChainedScheduler is not a product if it contains this schedule.
fn undoes(link: &Tree) -> Option<&'static str> {
    let floor = link.get("eta_min").is_some_and(|min| match &min.value {
        Value::Int(i) => *i != 0,
        Value::Float(x) => *x != 0.0,
        Value::Text(text) => text.trim_end_matches('x').trim().parse::<f64>() != Ok(0.0),
        _ => false,
    });
    match kind(link) {
        "torch.CosineAnnealingLR" if floor => {
            Some("with an eta_min above 0 torch's recursive form is not a product of factors")
        }
        "torch.StepLR"
        | "torch.MultiStepLR"
        | "torch.ConstantLR"
        | "torch.LinearLR"
        | "torch.ExponentialLR"
        | "torch.PolynomialLR"
        | "torch.CosineAnnealingLR"
        | "torch.MultiplicativeLR" => None,
        "torch.ReduceLROnPlateau" => Some("torch does not pass it a metric there"),
        name if name.starts_with("torch.") => Some("in torch it sets the lr and overrides the others"),
        _ => None,
    }
}
