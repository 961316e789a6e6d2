//! Writing and reading a tree gives the same tree, as YAML and as JSON.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use proptest::test_runner::{Config, RngSeed};
use schedule::Horizon;
use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;
use schedule::tree::{Key, Place, Tree, Value};
use spec::{json, yaml};

use crate::generate;

pub(crate) fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(19_470_206), ..Config::default() }
}

/// Texts that YAML could read as another value.
const TRICKY: &[&str] = &[
    "",
    " ",
    "null",
    "NULL",
    "~",
    "true",
    "False",
    "yes",
    "no",
    "on",
    "1",
    "-1",
    "1.5",
    "1e3",
    ".inf",
    ".nan",
    "0x1f",
    "0o7",
    "1_000",
    "-",
    "--",
    "---",
    "...",
    "?",
    ":",
    "a: b",
    "a:b",
    "# c",
    "a #b",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a",
    "*a",
    "!t",
    "|",
    ">",
    "'",
    "\"",
    "%",
    "@",
    "`",
    "\\",
    "\n",
    "\t",
    "\r",
    "\r\n",
    "\u{0}",
    "\u{7f}",
    "\u{80}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffe}",
    "\u{ffff}",
    "é",
    "日本",
    "🦀",
    "0.1x",
    "10%",
    "2 epochs",
    "<<",
    "=",
    " a",
    "a ",
    "\u{1b}[31m",
    "e5",
    "+1",
    "1:30",
    "2024-01-01",
];

/// Texts that YAML could read as another value, and any text.
fn text() -> BoxedStrategy<String> {
    let tricky = prop::sample::select(TRICKY.to_vec()).prop_map(str::to_owned);
    prop_oneof![3 => tricky, 1 => ".{0,20}", 1 => "[a-z_]{1,8}", 1 => any::<String>()].boxed()
}

/// Any tree that a document can contain.
pub(crate) fn tree(depth: usize) -> BoxedStrategy<Tree> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO).prop_map(Value::Float),
        (-1000_i32..1000).prop_map(|x| Value::Float(f64::from(x) / 8.0)),
        text().prop_map(Value::Text),
    ]
    .prop_map(Tree::new)
    .boxed();
    if depth == 0 {
        return scalar;
    }
    let inner = tree(depth - 1);
    let entries = proptest::collection::hash_map(text(), inner.clone(), 0..5);
    prop_oneof![
        2 => scalar,
        1 => proptest::collection::vec(inner, 0..5).prop_map(|items| Tree::new(Value::List(items))),
        2 => entries.prop_map(|entries| {
            let mut entries: Vec<(String, Tree)> = entries.into_iter().collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let key = |name| Key { place: Place::default(), name };
            Tree::new(Value::Map(entries.into_iter().map(|(name, tree)| (key(name), tree)).collect()))
        }),
    ]
    .boxed()
}

/// The tree without positions.
pub(crate) fn bare(tree: &Tree) -> Tree {
    Tree::new(match &tree.value {
        Value::List(items) => Value::List(items.iter().map(bare).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, tree)| (Key { place: Place::default(), name: key.name.clone() }, bare(tree)))
                .collect(),
        ),
        other => other.clone(),
    })
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn a_tree_written_and_read_is_the_same(tree in tree(3)) {
        // A document can't be only null.
        prop_assume!(tree.value != Value::Null);
        let written = tree.to_string();
        prop_assert!(!written.contains('\n'), "{written}");
        let read = yaml::read(&written);
        let read = read.map_err(|problems| TestCaseError::fail(format!("{written}: {problems:?}")))?;
        prop_assert_eq!(bare(&read), tree, "{}", written);
    }

    #[test]
    fn a_tree_goes_through_json_and_back(tree in tree(3)) {
        let json = json::tree_to_json(&tree).to_string();
        let back = json::json_to_tree(&serde_json::from_str(&json).expect("JSON"));
        prop_assert_eq!(back, tree);
    }
}

/// The bits of lr and momentum at every step of a run and beyond, or the messages of its problems.
fn numbers(tree: &Tree, horizon: &Horizon) -> Result<Vec<(u64, Option<u64>)>, Vec<String>> {
    let mut problems = Vec::new();
    let node = interop::parse(tree, "", &mut problems);
    let schedule = node.ok_or(problems).and_then(|node| node.resolve(horizon));
    // Only messages are compared: a generated tree has no positions.
    let schedule =
        schedule.map_err(|found| found.into_iter().map(|problem| problem.message).collect::<Vec<_>>())?;
    let start = schedule.start();
    let bits = |t| (schedule.lr(t, &start).to_bits(), schedule.momentum(t).map(f64::to_bits));
    Ok((0..horizon.total + 5).chain([1_000_000_000, u64::MAX]).map(bits).collect())
}

/// Writes and reads generated schedules, and compares their numbers.
fn same_when_read(strategy: BoxedStrategy<Tree>, cases: u32, least: u32, what: &str) {
    let usable = std::cell::Cell::new(0);
    let test = |(tree, horizon): (Tree, Horizon)| {
        let before = numbers(&tree, &horizon);
        usable.set(usable.get() + u32::from(before.is_ok()));
        for written in [tree.to_string(), json::tree_to_json(&tree).to_string()] {
            let read = yaml::read(&written);
            let read = read.map_err(|problems| TestCaseError::fail(format!("{written}: {problems:?}")))?;
            prop_assert_eq!(numbers(&read, &horizon), before.clone(), "{}", written);
        }
        Ok(())
    };
    let result = TestRunner::new(config(cases)).run(&(strategy, generate::horizon()), test);
    result.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(usable.get() >= least, "{what}: only {} of {cases} are usable", usable.get());
}

#[test]
fn every_schedule_is_the_same_when_written_and_read() {
    for entry in ENTRIES {
        same_when_read(generate::kind(entry), 60, 10, entry.kind);
    }
    for each in COMBINATORS {
        same_when_read(generate::combinator(each, generate::node(1)), 60, 10, each.key);
    }
    same_when_read(generate::node(3), 1000, 150, "nested");
}
