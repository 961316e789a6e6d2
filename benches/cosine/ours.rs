//! The part of `benches/cosine/compare` for sweep: evaluates a cosine with warmup at N steps, with one call per step. Prints the
//! seconds, and the lr at a few steps for the comparison.

#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program for a script")]

use std::hint::black_box;
use std::time::Instant;

use schedule::tree::{Key, Place, Tree, Value};
use schedule::{Horizon, Schedule};

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let key = |name: &str| Key { place: Place::default(), name: name.to_owned() };
    Value::Map(entries.into_iter().map(|(name, value)| (key(name), Tree::new(value))).collect())
}

/// `{warmup: {over: "1%", from: 0}, body: {kind: cosine, to: 0}}`
fn schedule(total: u64) -> Schedule {
    let text = |text: &str| Value::Text(text.to_owned());
    let warmup = map([("over", text("1%")), ("from", Value::Int(0))]);
    let body = map([("kind", text("cosine")), ("to", Value::Int(0))]);
    let tree = Tree::new(map([("warmup", warmup), ("body", body)]));
    let node = schedule::parse(&tree, "", &mut Vec::new()).expect("a schedule");
    node.resolve(&Horizon { base_lr: 0.1, total, steps_per_epoch: None }).expect("it fits")
}

fn main() {
    // Cargo adds its own words, as in `--bench`.
    let total = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let schedule = schedule(total);
    let state = schedule.start();
    let begin = Instant::now();
    let sum: f64 = (0..total).map(|t| schedule.lr(black_box(t), &state)).sum();
    let seconds = begin.elapsed().as_secs_f64();
    black_box(sum);
    let lrs: Vec<String> = [0, total / 200, total / 2, total - 1]
        .into_iter()
        .map(|t| schedule.lr(t, &state).to_string())
        .collect();
    println!("{seconds} {}", lrs.join(" "));
}
