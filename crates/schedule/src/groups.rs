//! Schedules by parameter group: one schedule for each group, under `groups` at the top of a schedule. Reads them, and holds what
//! distinguishes the groups. Evaluation is that of each group's own tree.

use std::sync::Arc;

use crate::fields::{AXIS_KEYS, Field, Fields, number_where};
use crate::lint;
use crate::name::check_name;
use crate::node::{GROUPS, ScheduleNode};
use crate::problem::{Problem, listed, nearest};
use crate::reader::Reading;
use crate::tree::{Key, Place, Tree, Value};

/// The schedule of one parameter group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: Arc<str>,
    /// Its base lr; `None`: that of the first group.
    pub(crate) base_lr: Option<f64>,
    /// Whether it is not the first group and has no base lr.
    pub(crate) keeps_ratio: bool,
    pub(crate) root: Arc<ScheduleNode>,
    /// Whether its lr depends on training.
    pub(crate) is_closed_loop: bool,
    pub(crate) place: Place,
    pub(crate) path: String,
}

/// A parameter group of a schedule that is fitted to a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupInfo<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its base lr, `1x` in its schedule.
    pub base_lr: f64,
    /// Whether the first group's base lr is used because the file has none for this group. A program then keeps the ratio of its
    /// initial lrs. False for the first group.
    pub keeps_ratio: bool,
    /// Whether its lr depends on training.
    pub is_closed_loop: bool,
}

/// The entries of `groups` of a schedule as written; `None` if it has no groups.
pub fn entries(tree: &Tree) -> Option<&[(Key, Tree)]> {
    match &tree.get(GROUPS)?.value {
        Value::Map(entries) => Some(entries),
        _ => None,
    }
}

/// Reads the groups of a schedule; `None` if it has no key `groups`. After a problem the list is empty.
pub(crate) fn read(
    tree: &Tree,
    path: &str,
    problems: &mut Vec<Problem>,
    reading: &mut Reading,
) -> Option<Vec<Group>> {
    tree.get(GROUPS)?;
    let before = problems.len();
    let mut fields = Fields::new(tree, path, problems)?;
    fields.read_or("allow", Vec::new(), problems, lint::allow_list);
    let groups = fields.required(GROUPS, problems)?;
    let mut all: Vec<Group> = match &groups.tree.value {
        Value::Map(entries) if !entries.is_empty() => {
            let mut read = |entry| read_group(entry, &groups, problems, reading);
            entries.iter().filter_map(&mut read).collect()
        }
        _ => {
            let problem = groups.expected("a mapping from names of parameter groups to schedules");
            problems.push(problem.with_hint("as in `groups: {matrices: {kind: cosine, to: 0}, rest: 1x}`"));
            Vec::new()
        }
    };
    let lrs = fields.optional("lr");
    // After a problem the groups are not complete.
    if let Some(field) = lrs.filter(|_| problems.len() == before) {
        read_base_lrs(&field, &mut all, problems);
    }
    for group in all.iter_mut().skip(1) {
        group.keeps_ratio = group.base_lr.is_none();
    }
    fields.finish(problems);
    if problems.len() > before {
        all.clear();
    }
    Some(all)
}

fn read_group(
    (key, tree): &(Key, Tree),
    groups: &Field<'_>,
    problems: &mut Vec<Problem>,
    reading: &mut Reading,
) -> Option<Group> {
    if let Err(message) = check_name(&key.name) {
        problems.push(Problem::new(key.place, groups.path.clone(), message));
    }
    // A mapping of groups must be distinguishable from an axis.
    if AXIS_KEYS.contains(&key.name.as_str()) {
        let message =
            format!("a parameter group can't have the name `{}`, which is that of an axis", key.name);
        problems.push(Problem::new(key.place, groups.path.clone(), message));
    }
    let path = format!("{}.{}", groups.path, key.name);
    let rules = reading.rules;
    let root = ScheduleNode::read(tree, &path, problems, reading)?;
    let is_closed_loop = reading.rules > rules;
    let (name, root) = (key.name.as_str().into(), Arc::new(root));
    Some(Group { name, base_lr: None, keeps_ratio: false, root, is_closed_loop, place: tree.place, path })
}

/// Reads the base lrs of the groups after the first: a mapping from names to numbers.
fn read_base_lrs(field: &Field<'_>, groups: &mut [Group], problems: &mut Vec<Problem>) {
    let Value::Map(entries) = &field.tree.value else {
        problems.push(field.expected("a mapping from parameter groups to base lrs"));
        return;
    };
    let names: Vec<Arc<str>> = groups.iter().map(|group| Arc::clone(&group.name)).collect();
    for (key, tree) in entries {
        let entry = Field { tree, path: format!("{}.{}", field.path, key.name) };
        let lr = match number_where("a number above 0", |x| x > 0.0)(&entry) {
            Ok(lr) => lr,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match groups.iter_mut().skip(1).find(|group| *group.name == *key.name) {
            Some(group) => group.base_lr = Some(lr),
            None => problems.push(unknown_group(&key.name, key.place, &field.path, &names)),
        }
    }
}

/// The problem of a name that is none of the groups.
pub fn unknown_group(typed: &str, place: Place, path: &str, names: &[Arc<str>]) -> Problem {
    let problem = Problem::new(place, path, format!("this schedule has no parameter group `{typed}`"));
    problem.with_hint(name_hint(typed, names.iter().map(|name| &**name)))
}

/// The hint for a name that is none of these groups: the nearest one, or all.
pub fn name_hint<'a>(typed: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(typed, names.iter().copied()) {
        Some(near) if near != typed => format!("did you mean `{near}`?"),
        _ => format!("its groups: {}", listed(names)),
    }
}
