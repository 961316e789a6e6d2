//! Problems of schedules: their messages, and their positions, which are those of the offending values.

use schedule::Horizon;
use schedule::problem::Problem;

/// The problems of a node in a run of 20 steps with unknown epochs and base lr 0.1.
fn problems(text: &str) -> Vec<Problem> {
    problems_in(text, Horizon { base_lr: 0.1, total: 20, steps_per_epoch: None })
}

fn problems_in(text: &str, horizon: Horizon) -> Vec<Problem> {
    let tree = spec::yaml::read(text).unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
    let mut problems = Vec::new();
    match interop::parse(&tree, "s", &mut problems) {
        Some(node) => node.resolve(&horizon).err().unwrap_or_default(),
        None => problems,
    }
}

/// The text at the position of a problem.
fn text_at<'a>(text: &'a str, problem: &Problem) -> &'a str {
    &text[problem.place.start..problem.place.end]
}

/// A schedule, the text that is wrong in it, and words of the message.
const REFUSALS: &[(&str, &str, &str)] = &[
    // lengths
    ("{kind: step, every: 0}", "0", "at least 1"),
    ("{kind: step, every: -3}", "-3", "expected a length"),
    ("{kind: step, every: 2.5}", "2.5", "expected a length"),
    ("{kind: step, every: 120%}", "120%", "expected a length"),
    ("{kind: step, every: 1%}", "1%", "too short"),
    ("{kind: step, every: 2 epochs}", "2 epochs", "length of an epoch"),
    ("{clock: epoch, kind: linear}", "epoch", "length of an epoch"),
    ("{kind: cosine, over: 0}", "0", "at least 1"),
    ("{restart: 1x, every: 0}", "0", "at least 1"),
    ("{kind: cyclic, min: 0, up: 0}", "0", "at least 1"),
    ("{kind: cyclic, min: 0, down: 0}", "0", "at least 1"),
    ("{kind: inverse_sqrt, timescale: 0}", "0", "at least 1"),
    ("{kind: noam, model_dim: 64, warmup: 0}", "0", "at least 1"),
    // learning rates
    ("{kind: linear, to: -0.1}", "-0.1", "at least 0"),
    ("{kind: linear, to: 1y}", "1y", "at least 0"),
    ("{kind: geometric, to: 0}", "0", "above 0"),
    ("{kind: geometric, to: 0x}", "0x", "above 0"),
    ("{kind: geometric, from: 0, to: 1}", "0", "above 0"),
    ("{kind: cyclic, min: 0.2, max: 1x}", "1x", "below `min`"),
    ("{kind: greedy, min: 0.2, max: 1x}", "1x", "below `min`"),
    ("{clamp: {min: 0.2, max: 1x}, of: 1x}", "{min: 0.2, max: 1x}", "above"),
    ("{body: 1x, cooldown: {over: 3, shape: geometric}}", "{over: 3, shape: geometric}", "above 0"),
    ("{body: 1x, cooldown: {over: 3, shape: geometric, to: 0}}", "0", "above 0"),
    ("{warmup: {over: 3, from: 0x, shape: exponential}, body: 1x}", "0x", "above 0"),
    ("{warmup: {over: 3, target: bodies}, body: 1x}", "bodies", "the word `body`"),
    // numbers
    ("{kind: polynomial, power: 0}", "0", "above 0"),
    ("{kind: cosine, cycles: 0}", "0", "above 0"),
    ("{kind: cosine, exponent: -1}", "-1", "above 0"),
    ("{kind: linear, k: 0}", "0", "above 0"),
    ("{kind: rex, d: 1}", "1", "below 1"),
    ("{kind: exp_norm, ratio: 1}", "1", "below 1"),
    ("{kind: tanh, lb: 3, ub: 3}", "3", "above `lb`"),
    ("{kind: power, b: 0}", "0", "below 0"),
    ("{kind: exponential, gamma: 0}", "0", "above 0"),
    ("{kind: inverse_time, rate: -1}", "-1", "at least 0"),
    ("{kind: chebyshev, epochs: 0}", "0", "at least 1"),
    ("{kind: chebyshev, epochs: 4611686018427387904}", "4611686018427387904", "at most"),
    ("{kind: plateau, factor: 1}", "1", "below 1"),
    ("{kind: plateau, patience: -1}", "-1", "at least 0"),
    ("{kind: plateau, apply: same, watch: valid_loss}", "valid_loss", "train_loss"),
    ("{kind: bold_driver, up: 0.9}", "0.9", "at least 1"),
    ("{kind: adaptive, divide: 1}", "1", "above 1"),
    ("{kind: one_cycle, momentum: {min: 0.9, max: 0.8}}", "{min: 0.9, max: 0.8}", "above `max`"),
    ("{kind: one_cycle, momentum: {min: 0.9, max: 1}}", "1", "below 1"),
    ("{restart: 1x, every: 5, mult: 0.5}", "0.5", "at least 1"),
    ("{restart: 1x, every: 5, decay: 0}", "0", "above 0"),
    ("{restart: 1x, every: 5, limit: 0}", "0", "at least 1"),
    ("{scale: -1, of: 1x}", "-1", "at least 0"),
    ("{kind: exponential, gamma: 1e60}", "{kind: exponential, gamma: 1e60}", "overflows single precision"),
    // steps and milestones
    ("{kind: piecewise, points: [[0, 1x], [5, 0], [5, 1x]]}", "5", "knots in strictly rising order"),
    ("{kind: piecewise, points: [[1%, 1x], [2%, 0]]}", "2%", "knots in strictly rising order"),
    ("{kind: piecewise, points: []}", "[]", "an empty list"),
    ("{kind: piecewise, points: [[1]]}", "[1]", "pair"),
    ("{kind: multistep, at: [75%, 50%]}", "50%", "milestones in rising order"),
    ("{kind: multistep, at: []}", "[]", "an empty list"),
    ("{kind: multistep, at: [3], gammas: [0.1, 0.2]}", "[0.1, 0.2]", "2 factors for 1 milestones"),
    ("{kind: multistep, at: [3], values: [1x]}", "[1x]", "need 2 values"),
    ("{kind: multistep, at: [3], gamma: 0.5, values: [1x, 0]}", "[3]", "only one of"),
    ("{kind: multistep, at: [3], offset: 0.5}", "0.5", "a whole number"),
    ("{kind: one_cycle, pct_start: 0.05}", "0.05", "0 steps long"),
    ("{kind: one_cycle, pct_start: 1.5}", "1.5", "from 0 to 1"),
    ("{kind: linear, over: 5, after: error}", "5", "no lr after"),
    // warmup, cooldown, phases
    ("{warmup: {over: 21}, body: 1x}", "21", "but only 20 is available"),
    ("{body: 1x, cooldown: {over: 21}}", "21", "but only 20 is available"),
    ("{warmup: {over: 11}, body: 1x, cooldown: {over: 10}}", "10", "take more than the"),
    ("{warmup: {over: 60%}, body: 1x, cooldown: {over: 9}}", "9", "take more than the"),
    ("{warmup: {over: 60%}, body: 1x, cooldown: {over: 50%}}", "50%", "take more than the"),
    ("{phases: [{for: 5, warmup: {over: 6}, body: 1x}, {value: 1x}]}", "6", "but only 5 is available"),
    ("{restart: {warmup: {over: 6}, body: 1x}, every: 5}", "6", "but only 5 is available"),
    ("{phases: []}", "[]", "at least one phase"),
    ("{phases: [{value: 1x}, {value: 0}]}", "{value: 1x}", "missing key `for`"),
    ("{phases: [{for: 3, value: -1}, {value: 0}]}", "-1", "at least 0"),
    ("{chain: []}", "[]", "a list of schedules"),
    ("{clamp: {}, of: 1x}", "{}", "`min`, `max` or both"),
    (
        "{warmup: {over: 3}, body: {kind: one_cycle}, cooldown: {over: 17}}",
        "{kind: one_cycle}",
        "at least one step",
    ),
    // names
    ("{kind: cosin}", "cosin", "unknown schedule `cosin`"),
    ("cosine", "cosine", "a learning rate"),
    ("{kind: linear, too: 0}", "too", "unknown key `too`"),
    ("{kind: linear, sample: middle}", "middle", "one of `left`"),
    ("{warmup: {over: 3}}", "{warmup: {over: 3}}", "a schedule with `kind` or one of"),
    ("{kind: linear, clock: hours}", "hours", "one of `step`"),
    ("{scale: 0.5, chain: [1x], of: 1x}", "of", "unknown key"),
    ("[1x]", "[1x]", "expected a schedule"),
];

#[test]
fn each_refusal_points_at_the_value() {
    for &(text, at, words) in REFUSALS {
        let found = problems(text);
        let all: Vec<String> = found.iter().map(ToString::to_string).collect();
        let hit = found.iter().any(|problem| problem.message.contains(words) && text_at(text, problem) == at);
        assert!(hit, "{text}: no `{words}` at `{at}` in {all:?}");
        assert!(
            found.iter().all(|problem| problem.place.line == 1 && problem.path.starts_with('s')),
            "{all:?}"
        );
    }
}

#[test]
fn several_mistakes_are_reported_together() {
    let text = "{phases: [{for: -1, kind: linear, to: -1, frm: 0}, {kind: step, gamma: 0}, {kind: nothing}]}";
    let found = problems(text);
    let places: Vec<&str> = found.iter().map(|problem| text_at(text, problem)).collect();
    // The second phase also lacks `for` and `every`, so two problems are at its mapping.
    for at in ["-1", "frm", "0", "nothing"] {
        assert!(places.contains(&at), "{places:?}");
    }
    assert_eq!(found.len(), 7, "{found:?}");
}

#[test]
fn legal_but_suspicious_schedules_give_warnings() {
    for (text, at, words) in [
        ("{restart: {kind: cosine, to: 0}, every: 21}", "21", "first cycle takes 21"),
        ("{kind: multistep, at: [20]}", "20", "never reached"),
        ("{kind: step, every: 20}", "20", "first drop"),
        ("{kind: linear, over: 21}", "21", "stops before its end"),
        ("{kind: one_cycle, over: 25}", "25", "stops before its end"),
        ("{kind: one_cycle, pct_start: 0.04}", "0.04", "after its peak"),
        ("{kind: one_cycle, pct_start: 0.6, three_phase: true}", "0.6", "fall does not end"),
        ("{kind: cyclic, min: 0.01, up: 20}", "20", "first peak"),
        ("{kind: piecewise, points: [[0, 1x], [30, 0]]}", "30", "after the end"),
        ("{phases: [{for: 15, value: 1x}, {for: 6, kind: linear}]}", "6", "from 15 to 21"),
        ("{warmup: {over: 2}, body: 1x}", "{over: 2}", "has lr 0"),
    ] {
        let tree = spec::yaml::read(text).expect("good YAML");
        let node = interop::parse(&tree, "s", &mut Vec::new()).expect(text);
        let schedule = node.resolve(&Horizon { base_lr: 0.1, total: 20, steps_per_epoch: None }).expect(text);
        let warnings = schedule.warnings(None);
        let hit = warnings.iter().any(|w| w.message.contains(words) && text_at(text, w) == at);
        assert!(hit, "{text}: {warnings:?}");
    }
}

/// No warmup, a warmup over the whole run, a run of one step, and two percentages that round up to one step too many.
#[test]
fn extreme_lengths_are_legal() {
    for (text, total) in [
        ("{warmup: {over: 0}, body: {kind: linear}}", 20),
        ("{warmup: {over: 20}, body: {kind: cosine}}", 20),
        ("{warmup: {over: 10}, body: 1x, cooldown: {over: 10}}", 20),
        ("{warmup: {over: 50%}, body: 1x, cooldown: {over: 50%}}", 5),
        ("{kind: cosine}", 1),
        ("{kind: linear, sample: closed}", 1),
        ("{kind: one_cycle}", 1),
        ("{body: 1x, cooldown: {over: 1}}", 1),
        ("{kind: multistep, at: [0, 0, 6]}", 20),
        ("{kind: piecewise, points: [[3, 1x]]}", 20),
        ("{phases: [{for: 0, value: 0}, {value: 1x}]}", 20),
    ] {
        let horizon = Horizon { base_lr: 0.1, total, steps_per_epoch: None };
        assert_eq!(problems_in(text, horizon), [], "{text}");
    }
}
