//! Every input is either refused or gives finite lrs of at least 0 at any step, at the same cost.

use std::cell::Cell;
use std::sync::mpsc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;
use schedule::tree::{Tree, Value};
use schedule::{Feedback, Horizon, Schedule};

use crate::generate::{self, check, float, int, list, map, text, trajectory};

/// Steps far beyond every run.
const FAR: [u64; 6] = [1_000_000, 1_000_000_000, 1_000_000_000_000, (1 << 53) + 1, 1 << 63, u64::MAX];

fn good(schedule: &Schedule, t: u64, lr: f64) -> Result<(), TestCaseError> {
    prop_assert!(lr.is_finite() && lr >= 0.0, "lr({t}) is {lr}");
    if let Some(momentum) = schedule.momentum(t) {
        prop_assert!((0.0..1.0).contains(&momentum), "momentum({t}) is {momentum}");
    }
    Ok(())
}

/// Reads a node, fits it and checks its lrs. Returns whether it was accepted.
fn numbers(tree: &Tree, horizon: &Horizon) -> Result<bool, TestCaseError> {
    let mut problems = Vec::new();
    let Some(node) = schedule::parse(tree, "", &mut problems) else {
        prop_assert!(!problems.is_empty(), "refused without a word: {tree}");
        return Ok(false);
    };
    let schedule = match node.resolve(horizon) {
        Ok(schedule) => schedule,
        Err(problems) => {
            prop_assert!(!problems.is_empty(), "refused without a word: {tree}");
            return Ok(false);
        }
    };
    let state = schedule.start();
    let near = 0..horizon.total + 5;
    for t in near.chain([2 * horizon.total, 10 * horizon.total]).chain(FAR) {
        good(&schedule, t, schedule.lr(t, &state))?;
        schedule.wants_validation(t);
    }
    for warning in schedule.warnings(Some(horizon.total.div_ceil(10))) {
        let known = warning.lint.is_some_and(|lint| schedule::lint::find(lint).is_some());
        prop_assert!(known && !warning.message.contains("NaN"), "{warning} of {tree}");
    }
    Ok(true)
}

/// Runs [`numbers`] on many nodes. At least `least` of them must be accepted, otherwise refusing all would
/// pass.
fn numbers_of(strategy: BoxedStrategy<Tree>, cases: u32, least: u32, what: &str) {
    let usable = Cell::new(0);
    check(cases, &(strategy, generate::horizon()), |(tree, horizon)| {
        usable.set(usable.get() + u32::from(numbers(&tree, &horizon)?));
        Ok(())
    });
    assert!(usable.get() >= least, "{what}: only {} of {cases} nodes could be used", usable.get());
}

#[test]
fn every_kind_gives_numbers_or_a_problem() {
    for entry in ENTRIES {
        numbers_of(generate::kind(entry), 200, 40, entry.kind);
    }
}

#[test]
fn every_combinator_gives_numbers_or_a_problem() {
    for each in COMBINATORS {
        numbers_of(generate::combinator(each, generate::node(0)), 200, 40, each.key);
    }
}

#[test]
fn nested_schedules_give_numbers_or_a_problem() {
    numbers_of(generate::node(3), 3000, 600, "nested");
}

#[test]
fn inputs_of_rules_never_give_invalid_lrs() {
    let rules: Vec<_> = ENTRIES.iter().copied().filter(|entry| entry.is_rule()).collect();
    let rule = prop::sample::select(rules).prop_flat_map(generate::kind);
    let node = prop_oneof![rule, generate::node(2)];
    let looked = Cell::new(0);
    check(1500, &(node, generate::horizon(), generate::seen(120)), |(tree, horizon, seen)| {
        let Some(node) = schedule::parse(&tree, "", &mut Vec::new()) else { return Ok(()) };
        let Ok(schedule) = node.resolve(&horizon) else { return Ok(()) };
        if schedule.feedback() == Feedback::ClosedLoop {
            looked.set(looked.get() + 1);
            for (t, lr) in (0..).zip(trajectory(&schedule, &seen)) {
                good(&schedule, t, lr)?;
            }
        }
        Ok(())
    });
    assert!(looked.get() > 400, "only {} closed-loop schedules", looked.get());
}

/// A loop over all earlier steps would never end.
#[test]
fn far_steps_cost_the_same_as_near_ones() {
    let (done, waiting) = mpsc::channel();
    std::thread::spawn(move || {
        let kinds = ENTRIES.iter().map(|entry| generate::kind(entry)).collect::<Vec<_>>();
        let node = prop_oneof![prop::strategy::Union::new(kinds), generate::node(2)];
        check(1000, &(node, generate::horizon()), |(tree, horizon)| {
            let total = 10 * horizon.total;
            numbers(&tree, &Horizon { total, ..horizon }).map(|_| ())
        });
        done.send(())
    });
    waiting.recv_timeout(Duration::from_secs(120)).expect("numbers at once");
}

/// Random trees of the words of schedules.
fn nonsense(depth: usize) -> BoxedStrategy<Tree> {
    let mut words: Vec<&'static str> =
        vec!["kind", "for", "value", "shape", "clock", "min", "max", "1x", "5%", "-"];
    words.extend([
        "1 epochs",
        "3 steps",
        "1000%",
        "nanx",
        "-1x",
        "1e999x",
        "é",
        "",
        "body",
        "step",
        "0.5 epochs",
    ]);
    for entry in ENTRIES {
        words.push(entry.kind);
        words.extend(entry.all_params().map(|param| param.name));
    }
    for each in COMBINATORS {
        words.push(each.key);
        words.extend(each.nodes);
        words.extend(each.params.iter().map(|param| param.name));
        words.extend(each.groups.iter().flat_map(|group| group.params).map(|param| param.name));
    }
    let word = prop::sample::select(words);
    let number = prop_oneof![
        prop::num::f64::NORMAL.prop_map(float),
        any::<i64>().prop_map(int),
        (-2_i64..40).prop_map(int),
        (-1.0..3.0).prop_map(float),
        prop::sample::select(vec![f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e308, -0.0, -f64::MAX])
            .prop_map(float),
    ];
    let scalar = prop_oneof![
        1 => Just(Tree::new(Value::Null)),
        1 => any::<bool>().prop_map(|b| Tree::new(Value::Bool(b))),
        4 => number,
        4 => word.clone().prop_map(text),
    ]
    .boxed();
    if depth == 0 {
        return scalar;
    }
    let inner = nonsense(depth - 1);
    let entries = proptest::collection::hash_map(word, inner.clone(), 0..5);
    prop_oneof![
        1 => scalar,
        1 => proptest::collection::vec(inner, 0..4).prop_map(list),
        3 => entries.prop_map(|entries| {
            let mut entries: Vec<_> = entries.into_iter().collect();
            entries.sort_by_key(|(name, _)| *name);
            map(entries)
        }),
    ]
    .boxed()
}

/// A valid node with one value replaced.
fn broken() -> impl Strategy<Value = Tree> {
    (generate::node(2), nonsense(1), any::<prop::sample::Index>()).prop_map(|(node, value, place)| {
        let mut tree = node;
        let last = count(&tree) - 1;
        replace(&mut tree, &mut place.index(last + 1), &value);
        tree
    })
}

fn count(tree: &Tree) -> usize {
    1 + match &tree.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|(_, tree)| count(tree)).sum(),
        _ => 0,
    }
}

/// Replaces the value with the index `left`, counted from the root.
fn replace(tree: &mut Tree, left: &mut usize, value: &Tree) -> bool {
    if *left == 0 {
        *tree = value.clone();
        return true;
    }
    *left -= 1;
    match &mut tree.value {
        Value::List(items) => items.iter_mut().any(|item| replace(item, left, value)),
        Value::Map(entries) => entries.iter_mut().any(|(_, item)| replace(item, left, value)),
        _ => false,
    }
}

#[test]
fn nonsense_is_refused_without_a_panic() {
    check(6000, &(nonsense(3), generate::horizon()), |(tree, horizon)| numbers(&tree, &horizon).map(|_| ()));
}

#[test]
fn a_broken_schedule_is_refused_or_gives_lrs() {
    check(6000, &(broken(), generate::horizon()), |(tree, horizon)| numbers(&tree, &horizon).map(|_| ()));
}
