//! Base lrs by parameter group: `lr` as a mapping from the groups of a schedule to numbers or axes. The first group's values are the
//! base lrs of the grid; those of another group are an axis of the schedule, and each of its values is written into it, as
//! `lr: {rest: 0.3}` next to `groups`.

use std::sync::Arc;

use schedule::fields::{Field, join, number_where};
use schedule::groups::{entries, unknown_group};
use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};

use crate::axes::{self, Variant, is_axis};

/// The most combinations of the lrs of groups.
const MOST: u64 = 1_000_000;

/// The path of the axis of a group's base lr begins with this.
pub(crate) const AXIS: &str = "lr.";

/// The base lrs of some parameter groups.
#[derive(Debug, Clone)]
pub struct GroupLrs {
    path: String,
    /// The first group of the mapping.
    first: (Key, Tree),
    /// The names of the others.
    others: Vec<Key>,
    /// Each combination of the lrs of the others, as a mapping, with the values of their axes.
    variants: Vec<Variant>,
}

/// Whether a schedule has groups, or, if it is an axis of complete schedules, one of them.
pub(crate) fn has_groups(tree: &Tree) -> bool {
    match &tree.value {
        Value::Map(all) if is_axis(tree) => all.iter().any(|(_, values)| match &values.value {
            Value::List(items) => items.iter().any(has_groups),
            _ => false,
        }),
        _ => tree.get("groups").is_some(),
    }
}

/// Whether an `lr` names groups.
pub fn names_groups(lr: &Tree) -> bool {
    matches!(&lr.value, Value::Map(entries) if !entries.is_empty()) && !is_axis(lr)
}

impl GroupLrs {
    /// Reads an `lr` that names groups. `None` after a problem. The lr of the first group is not checked.
    pub fn read(lr: &Tree, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let Value::Map(all) = &lr.value else { return None };
        let (first, others) = all.split_first()?;
        let before = problems.len();
        let mapping = Tree { place: lr.place, value: Value::Map(others.to_vec()) };
        let found = axes::find(&mapping, path, problems);
        if problems.len() > before {
            return None;
        }
        let variants = match axes::size(&found) {
            Some(size) if size <= MOST => axes::variants(&mapping, &found),
            _ => {
                problems.push(Problem::new(
                    lr.place,
                    path,
                    "the lrs of the parameter groups have too many values",
                ));
                return None;
            }
        };
        let variants: Vec<Variant> = variants.into_iter().map(at_lr).collect();
        for variant in &variants {
            check_lrs(&variant.tree, path, problems);
        }
        let others = others.iter().map(|(key, _)| key.clone()).collect();
        let found = Self { path: path.to_owned(), first: first.clone(), others, variants };
        (problems.len() == before).then_some(found)
    }

    /// The name of the first group.
    pub(crate) fn first_name(&self) -> &str {
        &self.first.0.name
    }

    /// The lrs of the first group.
    pub fn of_first(&self) -> &Tree {
        &self.first.1
    }

    /// Problems of a base lr as problems of the first group's lr.
    pub(crate) fn relabel(&self, problems: &mut [Problem]) {
        for problem in problems {
            let rest = problem.path.strip_prefix(&self.path);
            if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])) {
                problem.path = format!("{}{rest}", join(&self.path, &self.first.0.name));
            }
        }
    }

    /// A schedule with each combination of the lrs of the groups after the first. `None` if the names are not those of its groups.
    pub fn applied(&self, schedule: &Tree, problems: &mut Vec<Problem>) -> Option<Vec<Variant>> {
        let groups: Vec<Arc<str>> =
            entries(schedule)?.iter().map(|(key, _)| Arc::from(key.name.as_str())).collect();
        let before = problems.len();
        let unknown = |key: &Key| (!groups.iter().any(|name| **name == *key.name)).then_some(key.place);
        for key in std::iter::once(&self.first.0).chain(&self.others) {
            let found = unknown(key).map(|place| unknown_group(&key.name, place, &self.path, &groups));
            problems.extend(found);
        }
        if problems.len() == before
            && let Some(first) = groups.first().filter(|first| ***first != *self.first.0.name)
        {
            let message = format!(
                "the first group of `lr` is `{}`, that of the schedule is `{first}`: the lr of the first group is the base lr",
                self.first.0.name
            );
            let problem = Problem::new(self.first.0.place, self.path.clone(), message);
            problems.push(problem.with_hint("write the groups in the same order"));
        }
        let with =
            |lrs: &Variant| Variant { tree: with_lrs(schedule, &lrs.tree), chosen: lrs.chosen.clone() };
        (problems.len() == before).then(|| self.variants.iter().map(with).collect())
    }
}

/// The paths of its axes begin with `lr.`.
fn at_lr(variant: Variant) -> Variant {
    let chosen = variant.chosen.into_iter().map(|(path, value)| (format!("{AXIS}{path}"), value));
    Variant { tree: variant.tree, chosen: chosen.collect() }
}

fn check_lrs(mapping: &Tree, path: &str, problems: &mut Vec<Problem>) {
    let Value::Map(all) = &mapping.value else { return };
    for (key, tree) in all {
        let field = Field { tree, path: join(path, &key.name) };
        let checked = number_where("a number above 0, or an axis of such numbers", |x| x > 0.0)(&field);
        problems.extend(checked.err().filter(|problem| !problems.contains(problem)));
    }
}

/// A schedule with the base lrs of its groups after the first.
fn with_lrs(schedule: &Tree, lrs: &Tree) -> Tree {
    match (&schedule.value, &lrs.value) {
        (Value::Map(all), Value::Map(given)) if !given.is_empty() => {
            let key = Key { place: Place::default(), name: "lr".to_owned() };
            let all = all.iter().cloned().chain([(key, lrs.clone())]).collect();
            Tree { place: schedule.place, value: Value::Map(all) }
        }
        _ => schedule.clone(),
    }
}
