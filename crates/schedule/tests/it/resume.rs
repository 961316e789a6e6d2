//! The state of a rule survives a checkpoint: after a round trip through JSON the run continues with the same
//! bits.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use schedule::catalogue::{ENTRIES, Entry};
use schedule::tree::Tree;
use schedule::{Feedback, Horizon, State};

use crate::generate::{self, Run, Seen, check, float, int, list, map, step, text};

const STEPS: usize = 60;

/// Runs a schedule with and without an interruption. Returns whether it is valid and has a state.
fn interrupted(tree: &Tree, seen: &Seen, at: usize) -> Result<bool, TestCaseError> {
    let Some(node) = schedule::parse(tree, "", &mut Vec::new()) else { return Ok(false) };
    let horizon = Horizon { base_lr: 0.1, total: STEPS as u64, steps_per_epoch: Some(10) };
    let Ok(schedule) = node.resolve(&horizon) else { return Ok(false) };
    let (mut whole, mut resumed) = (Run::new(&schedule), Run::new(&schedule));
    for (t, seen) in seen.iter().enumerate() {
        if t == at {
            let json = serde_json::to_string(&resumed.state).expect("JSON");
            resumed.state = serde_json::from_str::<State>(&json).expect("a state");
        }
        let (wanted, found) =
            (step(&schedule, &mut whole, t as u64, *seen), step(&schedule, &mut resumed, t as u64, *seen));
        prop_assert_eq!(wanted.to_bits(), found.to_bits(), "step {}", t);
    }
    // Compares as text, because the state can contain NaN.
    prop_assert_eq!(format!("{:?}", whole.state), format!("{:?}", resumed.state));
    Ok(schedule.feedback() == Feedback::ClosedLoop)
}

fn every_rule(around: impl Fn(&'static Entry) -> BoxedStrategy<Tree>) {
    for entry in ENTRIES.iter().copied().filter(|entry| entry.is_rule()) {
        let usable = Cell::new(0);
        check(150, &(around(entry), generate::seen(STEPS), 0..STEPS), |(tree, seen, at)| {
            usable.set(usable.get() + u32::from(interrupted(&tree, &seen, at)?));
            Ok(())
        });
        assert!(usable.get() > 40, "{}: only {} runs", entry.kind, usable.get());
    }
}

#[test]
fn every_rule_resumes_with_the_same_bits() {
    every_rule(generate::kind);
}

#[test]
fn rules_resume_inside_combinators() {
    every_rule(|entry| {
        let around = |node: Tree, which: usize| match which {
            0 => map([("restart", node), ("every", int(9)), ("decay", float(0.7))]),
            1 => map([("phases", list(vec![map([("for", int(20)), ("value", text("0.5x"))]), node]))]),
            _ => map([
                ("warmup", map([("over", int(7))])),
                ("body", node),
                ("cooldown", map([("over", int(12)), ("to", int(0))])),
            ]),
        };
        (generate::kind(entry), 0_usize..3).prop_map(move |(node, which)| around(node, which)).boxed()
    });
}

#[test]
fn nested_schedules_resume_with_the_same_bits() {
    check(400, &(generate::node(3), generate::seen(STEPS), 0..STEPS), |(tree, seen, at)| {
        interrupted(&tree, &seen, at).map(|_| ())
    });
}
