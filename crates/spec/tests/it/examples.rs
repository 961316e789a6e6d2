//! The examples of the tables must work when copied.

use schedule::catalogue::ENTRIES;
use schedule::combine::COMBINATORS;
use schedule::{Horizon, Node, Schedule};

fn parse(example: &str) -> Node {
    let tree = spec::yaml::read(example).unwrap_or_else(|problems| panic!("{example}: {problems:?}"));
    let mut problems = Vec::new();
    interop::parse(&tree, "", &mut problems).unwrap_or_else(|| panic!("{example}: {problems:?}"))
}

fn fit(example: &str) -> Schedule {
    let horizon = Horizon { base_lr: 0.1, total: 1000, steps_per_epoch: Some(100) };
    parse(example).resolve(&horizon).unwrap_or_else(|problems| panic!("{example}: {problems:?}"))
}

#[test]
fn every_example_of_a_kind_works_and_contains_its_kind() {
    for entry in ENTRIES {
        assert!(entry.example.contains(entry.kind), "{}", entry.example);
        let schedule = fit(entry.example);
        assert_eq!(schedule.feedback() == schedule::Feedback::ClosedLoop, entry.is_rule());
    }
}

#[test]
fn every_example_of_a_combinator_works_and_contains_its_key() {
    for each in COMBINATORS {
        assert!(each.example.contains(&format!("{}:", each.key)), "{}", each.example);
        fit(each.example);
    }
}

#[test]
fn nested_schedules_work() {
    for text in [
        "1x",
        "0.5x",
        "0.03",
        "{clock: epoch, kind: step, every: 3, gamma: 0.1}",
        "{restart: {kind: cosine, to: 0}, every: 10, mult: 2, decay: 0.8}",
        "{restart: {warmup: {over: 2, from: 0.001}, body: {kind: cosine, to: 0.001}}, every: 8, decay: 0.5}",
        "{warmup: {over: 4, from: 0}, body: {kind: inverse_sqrt, timescale: 4}, cooldown: {over: 20%, to: 0, mode: multiply}}",
        "{phases: [{for: 4, kind: linear, from: 0, to: 1x}, {for: 10, kind: cosine, to: 0.3x}, {for: 12, value: 0.3x}, \
         {kind: geometric, from: 0.3x, to: 0.03x}]}",
        "{restart: {body: 1x, cooldown: {over: 3, shape: one_minus_sqrt}}, every: 10}",
        "{warmup: {over: 3, from: 0.001}, body: {kind: plateau, patience: 2, factor: 0.5}}",
        "{kind: one_cycle, max: 1x, momentum: {min: 0.85, max: 0.95}}",
        "{warmup: {over: 5%, from: 0, shape: linear, sample: left, mode: prefix, target: 1x}, body: {kind: cosine, to: \
         0.1x}, cooldown: {over: 20%, to: 0, shape: one_minus_sqrt, sample: left, mode: anchor}}",
    ] {
        fit(text);
    }
}
