//! Replaces each name of another library in a schedule by its expansion, and keeps the information about the
//! original text that the reader needs. No learning rate is computed here.

use schedule::combine::{COMBINATORS, Form};
use schedule::document::{Document, Origins, OtherNames, StatedLength, with_epoch_clock};
use schedule::fields::join;
use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};

use crate::entry::{ExtraType, LibraryEntry};
use crate::program::{as_mapping, is_call, parse_inside};
use crate::table::{find, meant, names};
use crate::{arguments, trees};

/// The document of a schedule. Problems are added to `problems`; a schedule that can't be expanded is
/// replaced by a constant.
pub(crate) fn document(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Document {
    let mut walk = Walk { problems, origins: Origins::default(), torch: false };
    let (expanded, length) = match schedule::groups::entries(tree) {
        Some(groups) => walk.groups(tree, groups, path),
        None => walk.node(tree, path),
    };
    Document {
        tree: expanded,
        place: tree.place,
        length,
        origins: walk.origins,
        stepped_by_epoch: walk.torch,
        by_epochs: with_epoch_clock(&as_mapping(tree)).map(|tree| unquoted(&tree)),
        names: OtherNames { suggest: meant, suffix: ", and those of other libraries, as in `torch.StepLR`" },
    }
}

/// A schedule in the grammar of `schedule`.
fn expand(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Tree {
    Walk { problems, origins: Origins::default(), torch: false }.node(tree, path).0
}

/// A mapping in flow style, with names of other libraries unquoted.
fn unquoted(tree: &Tree) -> String {
    names().fold(tree.to_string(), |text, name| {
        text.replace(&format!("kind: \"{name}\""), &format!("kind: {name}"))
    })
}

struct Walk<'p> {
    problems: &'p mut Vec<Problem>,
    origins: Origins,
    torch: bool,
}

impl Walk<'_> {
    /// A schedule by parameter group with expanded schedules, and the length that the first of them sets.
    fn groups(&mut self, tree: &Tree, groups: &[(Key, Tree)], path: &str) -> (Tree, Option<StatedLength>) {
        let mut stated = None;
        let mut expand = |(key, tree): &(Key, Tree)| {
            let path = join(&join(path, "groups"), &key.name);
            let (expanded, length) = self.node(tree, &path);
            stated = stated.or(length);
            (key.clone(), expanded)
        };
        let expanded: Vec<(Key, Tree)> = groups.iter().map(&mut expand).collect();
        let rest = match &tree.value {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let entries = rest.iter().map(|(key, child)| match key.name.as_str() {
            "groups" => (key.clone(), Tree { place: child.place, value: Value::Map(expanded.clone()) }),
            _ => (key.clone(), child.clone()),
        });
        (Tree { place: tree.place, value: Value::Map(entries.collect()) }, stated)
    }

    /// An expanded node and the length that it sets.
    fn node(&mut self, tree: &Tree, path: &str) -> (Tree, Option<StatedLength>) {
        match &tree.value {
            Value::Text(text) if is_call(text) => match parse_inside(text, tree.place) {
                Ok(call) => self.node(&call, path),
                Err(mut problem) => {
                    problem.path = path.to_owned();
                    self.problems.push(problem);
                    (trees::constant(tree.place), None)
                }
            },
            Value::Map(entries) => match tree.get("kind").map(|kind| &kind.value) {
                Some(Value::Text(name)) => match find(name) {
                    Some(entry) => self.named(entry, tree, entries, path),
                    None => (tree.clone(), None),
                },
                Some(_) => (tree.clone(), None),
                None => (self.combinator(tree.place, entries, path), None),
            },
            _ => (tree.clone(), None),
        }
    }

    /// A mapping with expanded nodes.
    fn combinator(&mut self, place: Place, entries: &[(Key, Tree)], path: &str) -> Tree {
        let form = |name: &str| {
            let combinator = COMBINATORS.iter().find(|combinator| combinator.nodes.contains(&name))?;
            Some(combinator.form)
        };
        let entries = entries.iter().map(|(key, tree)| {
            let path = join(path, &key.name);
            let tree = match (form(&key.name), &tree.value) {
                (Some(Form::One), _) => self.node(tree, &path).0,
                (Some(_), Value::List(items)) => {
                    let item = |(i, tree)| self.node(tree, &format!("{path}[{i}]")).0;
                    let items = items.iter().enumerate().map(item).collect();
                    Tree { place: tree.place, value: Value::List(items) }
                }
                _ => tree.clone(),
            };
            (key.clone(), tree)
        });
        Tree { place, value: Value::Map(entries.collect()) }
    }

    fn named(
        &mut self,
        entry: &'static LibraryEntry,
        tree: &Tree,
        entries: &[(Key, Tree)],
        path: &str,
    ) -> (Tree, Option<StatedLength>) {
        self.remember(tree, path);
        self.torch |= entry.name.starts_with("torch.");
        let (kept, own): (Vec<_>, Vec<_>) =
            entries.iter().partition(|(key, _)| matches!(key.name.as_str(), "clock" | "for"));
        let mut children = Vec::new();
        for (key, list) in &own {
            let schedules =
                entry.extra.iter().any(|extra| extra.name == key.name && extra.ty == ExtraType::Schedules);
            if let (true, Value::List(items)) = (schedules, &list.value) {
                for (i, item) in items.iter().enumerate() {
                    let path = format!("{}[{i}]", join(path, &key.name));
                    let before = self.problems.len();
                    let (expanded, length) = self.node(item, &path);
                    let fine = self.problems.len() == before;
                    children.push(arguments::Child { written: as_mapping(item), expanded, length, fine });
                }
            }
        }
        let own: Vec<(Key, Tree)> = own
            .into_iter()
            .filter(|(key, value)| {
                key.name != "kind" && !(value.value == Value::Null && entry.takes_none(&key.name))
            })
            .cloned()
            .collect();
        let own = Tree { place: tree.place, value: Value::Map(own) };
        let before = self.problems.len();
        let (expanded, length) = arguments::read(entry, &own, children, path, self.problems, expand);
        let Some(expanded) = expanded.filter(|_| self.problems.len() == before) else {
            return (trees::constant(tree.place), None);
        };
        let mut expanded = trees::with_place(expanded, tree.place);
        let mut length = length;
        // A factory function expands to another schedule of a library, which is expanded again.
        if expanded
            .get("kind")
            .is_some_and(|kind| matches!(&kind.value, Value::Text(name) if find(name).is_some()))
        {
            let before = self.problems.len();
            let (again, stated) = self.node(&expanded, path);
            if let Some(problems) = self.problems.get_mut(before..) {
                self.origins.relabel(problems);
            }
            (expanded, length) = (again, length.or(stated));
        }
        (self.with(expanded, kept, path), length)
    }

    /// The expansion with the `clock` and `for` of the original node.
    fn with(&mut self, tree: Tree, kept: Vec<&(Key, Tree)>, path: &str) -> Tree {
        let place = tree.place;
        let mut entries = match tree.value {
            Value::Map(entries) => entries,
            value => vec![
                trees::entry("kind", trees::text("constant")),
                trees::entry("value", Tree { place, value }),
            ],
        };
        for (key, value) in kept {
            match entries.iter().find(|(known, _)| known.name == key.name) {
                None => entries.push((key.clone(), value.clone())),
                Some((_, own)) if own.value == value.value => {}
                Some(_) => {
                    let message =
                        "`clock` conflicts with `t_in_epochs`, which already sets the unit of lengths";
                    let problem = Problem::new(value.place, join(path, &key.name), message);
                    self.problems.push(problem.with_hint("remove `clock`, or write t_in_epochs: false"));
                }
            }
        }
        trees::with_place(Tree { place, value: Value::Map(entries) }, place)
    }

    /// Stores the original path of each value of a node.
    fn remember(&mut self, tree: &Tree, path: &str) {
        self.origins.remember(tree.place, path);
        match &tree.value {
            Value::Map(entries) => {
                for (key, value) in entries {
                    let path = join(path, &key.name);
                    self.origins.remember(key.place, &path);
                    self.remember(value, &path);
                }
            }
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.remember(item, &format!("{path}[{i}]"));
                }
            }
            _ => {}
        }
    }
}
