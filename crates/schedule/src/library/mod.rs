//! Schedules by the names that other libraries give them: `kind: torch.CosineAnnealingLR` with torch's own
//! parameters, or the call as it stands in a Python program. Each is a documented expansion into the grammar
//! of this crate, made before a document is read; nothing here works out a learning rate.
//!
//! One file or folder per library holds its table of entries. `python` reads the text of a pasted program,
//! `program` what its names stand for, `call` the call of a schedule, `optimizer` the base lr, `given` the parameters.

mod build;
mod call;
mod constant;
mod given;
mod keras;
mod lambda;
mod optax;
mod optimizer;
mod program;
mod python;
mod timm;
mod torch;
mod transformers;

use std::collections::HashMap;

use crate::catalogue::{Default, Holds, Param, param};
use crate::combine::{COMBINATORS, Form};
use crate::fields::join;
use crate::problem::{Problem, nearest};
use crate::tree::{Key, Place, Tree, Value};

pub use call::is_call;
use given::Given;
pub use optimizer::BaseLr;
pub use program::{Pasted, is_program, paste};

/// One schedule of another library.
#[derive(Debug)]
pub struct Named {
    /// Its name in `kind:`, which begins with that of its library.
    pub name: &'static str,
    /// Other names in `kind:`.
    pub aliases: &'static [&'static str],
    /// The parameters of the Python function, in its order; `=` stands behind those that have a default.
    /// One that is not in `params` or `extra` means something in Python only: a call may give it.
    pub signature: &'static [&'static str],
    /// Parameters, with the library's defaults. A learning rate that the library requires is `1x` where a
    /// sweep file leaves it out.
    pub params: &'static [Param],
    /// Parameters that hold schedules or mappings.
    pub extra: &'static [Extra],
    /// Parameters that may be a list with one value for each parameter group, which is one value here.
    pub per_group: &'static [&'static str],
    /// Parameters that must be one type of number in Python.
    pub typed: &'static [Typed],
    /// Parameters that can't be given, and why not.
    pub refused: &'static [(&'static str, &'static str)],
    /// What it stands for here.
    pub expansion: &'static str,
    /// What is particular about it; may be empty.
    pub note: &'static str,
    /// A call, as it stands in a Python program.
    pub example: &'static str,
    pub(crate) expand: fn(&mut Given<'_, '_>) -> Option<Tree>,
}

/// A parameter that no single value can hold.
#[derive(Debug, Clone, Copy)]
pub struct Extra {
    /// Its key.
    pub name: &'static str,
    /// What stands under it.
    pub holds: Within,
    /// Whether it must be given.
    pub required: bool,
    /// One line: what it does.
    pub doc: &'static str,
}

/// A parameter that must be one type of number in Python.
#[derive(Debug, Clone, Copy)]
pub struct Typed {
    /// Its key.
    pub name: &'static str,
    /// The type.
    pub number: NumberType,
    /// What the library does with another.
    pub otherwise: &'static str,
}

/// A type of number in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberType {
    /// `int`: 10, not 10.0.
    Int,
    /// `float`: 1.0, not 1.
    Float,
}

impl std::fmt::Display for NumberType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NumberType::Int => "an `int`, as in 10",
            NumberType::Float => "a `float`, as in 1.0",
        })
    }
}

/// What an [`Extra`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// A list of schedules.
    Schedules,
    /// A mapping from steps to factors.
    Scales,
    /// The parameters of another schedule.
    Parameters,
    /// A list of those.
    Each,
    /// A length, or the two ends of a stretch.
    Span,
    /// A word and a number.
    Pair,
    /// Any word.
    Word,
    /// A length, or a number of ticks that is not whole.
    Ticks,
    /// A share of the whole, or two in a list, or one.
    Shares,
}

/// What the parts of an entry's table are where it does not say.
const PLAIN: Named = Named {
    name: "",
    aliases: &[],
    signature: &[],
    params: &[],
    extra: &[],
    per_group: &[],
    typed: &[],
    refused: &[],
    expansion: "",
    note: "",
    example: "",
    expand: |_| None,
};

/// A parameter of which torch refuses every other type.
const fn torch_typed(name: &'static str, number: NumberType) -> Typed {
    Typed { name, number, otherwise: "torch refuses any other type" }
}

/// The `last_epoch` of torch and transformers.
const LAST_EPOCH: Param =
    param("last_epoch", Holds::Integer, "-1", "only -1, a new start: schedules here are seekable");

/// The `mode` of torch and transformers.
const MODE: Param = param("mode", Holds::Choice(&["min", "max"]), "min", "whether lower or higher is better");

/// Every name, by library.
pub const LIBRARIES: &[(&str, &[Named])] = &[
    ("torch", torch::ENTRIES),
    ("optax", optax::ENTRIES),
    ("keras", keras::ENTRIES),
    ("transformers", transformers::ENTRIES),
    ("timm", timm::ENTRIES),
];

/// Every entry.
pub fn entries() -> impl Iterator<Item = &'static Named> {
    LIBRARIES.iter().flat_map(|(_, entries)| entries.iter())
}

/// Every name that may stand in `kind:`.
pub fn names() -> impl Iterator<Item = &'static str> {
    entries().flat_map(Named::names)
}

/// The entry of a name.
pub fn find(name: &str) -> Option<&'static Named> {
    entries().find(|entry| entry.names().any(|known| known == name))
}

/// A name without its library.
fn bare(name: &'static str) -> &'static str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The name that was probably meant: of the same library, or the bare name of one.
pub(crate) fn meant(typed: &str) -> Option<&'static str> {
    let same = entries().find(|entry| bare(entry.name) == typed).map(|entry| entry.name);
    same.or_else(|| nearest(typed, names()).filter(|_| typed.contains('.')))
}

impl Named {
    /// Its name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// The library that it is of.
    fn library(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// Parameters in the order of the Python function, each with whether it has a default there.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = (&'static str, bool)> + use<> {
        self.signature.iter().map(|name| match name.strip_suffix('=') {
            Some(name) => (name, true),
            None => (*name, false),
        })
    }

    /// Whether `None` for a parameter is as if it were left out.
    fn takes_none(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name && param.default == Default::Absent)
            || self
                .extra
                .iter()
                .any(|extra| extra.name == name && !extra.required && extra.holds != Within::Word)
            || self.refused.iter().any(|(refused, _)| *refused == name)
    }

    /// Whether a parameter means something here.
    fn reads(&self, name: &str) -> bool {
        self.params.iter().any(|param| param.name == name)
            || self.extra.iter().any(|extra| extra.name == name)
            || self.refused.iter().any(|(refused, _)| *refused == name)
    }
}

/// A length that a schedule states: it is over after so much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stated {
    pub(crate) ticks: f64,
    /// Whether it counts epochs.
    pub(crate) epochs: bool,
}

/// Paths of keys by line, column and bytes.
pub(crate) type Origins = HashMap<(usize, usize, usize, usize), String>;

fn spot(place: Place) -> (usize, usize, usize, usize) {
    (place.line, place.column, place.start, place.end)
}

/// A document in which every name of another library has been replaced by what it stands for.
#[derive(Debug, Clone)]
pub(crate) struct Expanded {
    pub(crate) tree: Tree,
    /// The length that the document as a whole states.
    pub(crate) length: Option<Stated>,
    /// Which keys the values at these places were written under.
    pub(crate) origins: Origins,
    /// Whether a scheduler of torch is in it, which many programs step once an epoch.
    pub(crate) torch: bool,
    /// The document as it was written, with `clock: epoch`.
    pub(crate) by_epochs: Option<Tree>,
}

/// Expands a schedule. What is wrong is added to `problems`; a constant stands for what can't be expanded.
pub(crate) fn expand(tree: &Tree, path: &str, problems: &mut Vec<Problem>) -> Expanded {
    let mut walk = Walk { problems, origins: Origins::new(), torch: false };
    let by_epochs = by_epochs(tree);
    let (tree, length) = walk.node(tree, path);
    let (origins, torch) = (walk.origins, walk.torch);
    Expanded { tree, length, origins, torch, by_epochs }
}

/// A mapping, or a call as one, with `clock: epoch`.
fn by_epochs(tree: &Tree) -> Option<Tree> {
    let entries = match &tree.value {
        Value::Text(text) if is_call(text) => match program::read_inside(text, tree.place).ok()?.value {
            Value::Map(entries) => entries,
            _ => return None,
        },
        Value::Map(entries) => entries.clone(),
        _ => return None,
    };
    let clock = build::entry("clock", build::text("epoch"));
    Some(Tree::new(Value::Map([clock].into_iter().chain(entries).collect())))
}

impl Expanded {
    /// Says of each problem which key the user wrote.
    pub(crate) fn relabel(&self, problems: &mut [Problem]) {
        relabel(&self.origins, problems);
    }
}

fn relabel(origins: &Origins, problems: &mut [Problem]) {
    for problem in problems.iter_mut().filter(|problem| problem.place.line > 0) {
        if let Some(path) = origins.get(&spot(problem.place)) {
            problem.path.clone_from(path);
            let key = path.rsplit('.').next().unwrap_or(path);
            problem.hint = problem.hint.take().map(|hint| in_their_words(&hint, key));
        }
    }
}

/// A hint about `over` as one about the key that the user wrote.
fn in_their_words(hint: &str, key: &str) -> String {
    if key == "over" {
        return hint.to_owned();
    }
    hint.replace("leave out `over`, or write", "write").replace("`over: ", &format!("`{key}: "))
}

/// A schedule as a mapping, if it is a call that can be read.
fn as_mapping(tree: &Tree) -> Tree {
    match &tree.value {
        Value::Text(text) if is_call(text) => {
            program::read_inside(text, tree.place).unwrap_or_else(|_| tree.clone())
        }
        _ => tree.clone(),
    }
}

struct Walk<'p> {
    problems: &'p mut Vec<Problem>,
    origins: Origins,
    torch: bool,
}

impl Walk<'_> {
    /// A node, expanded, and the length it states.
    fn node(&mut self, tree: &Tree, path: &str) -> (Tree, Option<Stated>) {
        match &tree.value {
            Value::Text(text) if is_call(text) => match program::read_inside(text, tree.place) {
                Ok(call) => self.node(&call, path),
                Err(mut problem) => {
                    problem.path = path.to_owned();
                    self.problems.push(problem);
                    (build::constant(tree.place), None)
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

    /// A mapping whose nodes are expanded.
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
        entry: &'static Named,
        tree: &Tree,
        entries: &[(Key, Tree)],
        path: &str,
    ) -> (Tree, Option<Stated>) {
        self.remember(tree, path);
        self.torch |= entry.name.starts_with("torch.");
        let (kept, own): (Vec<_>, Vec<_>) =
            entries.iter().partition(|(key, _)| matches!(key.name.as_str(), "clock" | "for"));
        let mut children = Vec::new();
        for (key, list) in &own {
            let schedules =
                entry.extra.iter().any(|extra| extra.name == key.name && extra.holds == Within::Schedules);
            if let (true, Value::List(items)) = (schedules, &list.value) {
                for (i, item) in items.iter().enumerate() {
                    let path = format!("{}[{i}]", join(path, &key.name));
                    let before = self.problems.len();
                    let (expanded, length) = self.node(item, &path);
                    let fine = self.problems.len() == before;
                    children.push(given::Child { written: as_mapping(item), expanded, length, fine });
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
        let (expanded, length) = given::expand(entry, &own, children, path, self.problems);
        let Some(expanded) = expanded.filter(|_| self.problems.len() == before) else {
            return (build::constant(tree.place), None);
        };
        let mut expanded = build::placed(expanded, tree.place);
        let mut length = length;
        // A function that chooses among others is one of those in its turn.
        if expanded
            .get("kind")
            .is_some_and(|kind| matches!(&kind.value, Value::Text(name) if find(name).is_some()))
        {
            let before = self.problems.len();
            let (again, stated) = self.node(&expanded, path);
            if let Some(problems) = self.problems.get_mut(before..) {
                relabel(&self.origins, problems);
            }
            (expanded, length) = (again, length.or(stated));
        }
        (self.with(expanded, kept, path), length)
    }

    /// The expansion with the clock and the length that the user gave the node.
    fn with(&mut self, tree: Tree, kept: Vec<&(Key, Tree)>, path: &str) -> Tree {
        let place = tree.place;
        let mut entries = match tree.value {
            Value::Map(entries) => entries,
            value => vec![
                build::entry("kind", build::text("constant")),
                build::entry("value", Tree { place, value }),
            ],
        };
        for (key, value) in kept {
            match entries.iter().find(|(known, _)| known.name == key.name) {
                None => entries.push((key.clone(), value.clone())),
                Some((_, own)) if own.value == value.value => {}
                Some(_) => {
                    let message = "`t_in_epochs` already says what the lengths count";
                    let problem = Problem::new(value.place, join(path, &key.name), message);
                    self.problems.push(problem.with_hint("leave out `clock`, or write t_in_epochs: false"));
                }
            }
        }
        build::placed(Tree { place, value: Value::Map(entries) }, place)
    }

    /// Keeps under which keys the values of a node stand.
    fn remember(&mut self, tree: &Tree, path: &str) {
        self.remember_place(tree.place, path);
        match &tree.value {
            Value::Map(entries) => {
                for (key, value) in entries {
                    let path = join(path, &key.name);
                    self.remember_place(key.place, &path);
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

    fn remember_place(&mut self, place: Place, path: &str) {
        if place.line > 0 {
            self.origins.entry(spot(place)).or_insert_with(|| path.to_owned());
        }
    }
}
