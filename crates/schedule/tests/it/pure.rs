//! A schedule is a pure value: its lrs have the same bits for any order of evaluation. An open-loop schedule
//! ignores its state.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;
use schedule::tree::Tree;
use schedule::{Feedback, Horizon, Schedule, State};

use crate::generate::{self, Run, Seen, check, step};

/// The bits of the lr and momentum of step `t`.
fn bits(schedule: &Schedule, t: u64, state: &State) -> (u64, Option<u64>) {
    (schedule.lr(t, state).to_bits(), schedule.momentum(t).map(f64::to_bits))
}

/// Evaluates a schedule in order, backwards, and in a random order, after its rules received `seen`. Returns
/// whether the schedule was valid.
fn pure(tree: &Tree, horizon: &Horizon, order: &[u64], seen: &Seen) -> Result<bool, TestCaseError> {
    let fit = || schedule::parse(tree, "", &mut Vec::new())?.resolve(horizon).ok();
    let (Some(schedule), Some(twin)) = (fit(), fit()) else { return Ok(false) };
    let start = schedule.start();
    let mut run = Run::new(&schedule);
    for (t, seen) in (0..horizon.total).zip(seen) {
        step(&schedule, &mut run, t, *seen);
    }
    let state = run.state;
    let state = if schedule.feedback() == Feedback::OpenLoop {
        prop_assert_eq!(&state, &start, "an open-loop schedule remembers something: {}", tree);
        start
    } else {
        state
    };
    let near = horizon.total + 5;
    let in_order: Vec<_> = (0..near).map(|t| bits(&schedule, t, &state)).collect();
    for t in (0..near).rev() {
        prop_assert_eq!(bits(&schedule, t, &state), in_order[t as usize], "backwards, {} of {}", t, tree);
    }
    for t in order {
        // Evaluating far steps in between has no effect.
        bits(&schedule, t.wrapping_mul(1_000_000_007), &state);
        let t = t % near;
        prop_assert_eq!(bits(&twin, t, &state.clone()), in_order[t as usize], "{} of {}", t, tree);
    }
    Ok(true)
}

fn pure_all(strategy: BoxedStrategy<Tree>, cases: u32, least: u32, what: &str) {
    let usable = Cell::new(0);
    let order = proptest::collection::vec(any::<u64>(), 30);
    let cases_of = (strategy, generate::horizon(), order, generate::seen(200));
    check(cases, &cases_of, |(tree, horizon, order, seen)| {
        usable.set(usable.get() + u32::from(pure(&tree, &horizon, &order, &seen)?));
        Ok(())
    });
    assert!(usable.get() >= least, "{what}: only {} of {cases} could be used", usable.get());
}

#[test]
fn every_kind_is_pure() {
    for entry in ENTRIES {
        pure_all(generate::kind(entry), 60, 10, entry.kind);
    }
}

#[test]
fn every_combinator_is_pure() {
    for each in COMBINATORS {
        pure_all(generate::combinator(each, generate::node(1)), 100, 15, each.key);
    }
}

#[test]
fn nested_schedules_are_pure() {
    pure_all(generate::node(3), 1000, 150, "nested");
}
