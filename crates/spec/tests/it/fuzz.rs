//! No text makes the readers panic: it gives a sweep, or problems that are distinct and have positions inside the text.

use proptest::prelude::*;
use schedule::problem::Problem;
use spec::{Spec, plan, yaml};

use crate::round_trip::{config, tree};
use crate::schema;

/// A file with many features.
const GOOD: &str = r#"# a question
name: fuzz
data: {dataset: digits, batch_size: 100, limit: 500}
model: {kind: mlp, hidden: [8, {values: [4, 6]}]}
optimizer: {kind: sgd, momentum: 0.9, nesterov: true, weight_decay: 1e-4}
budget: {steps: 20}
clip_norm: 1.0
diverge_above: 50
evaluate: {every: 5}
seeds: [1, 2]
lr: {logspace: [0.01, 1, 3]}
schedules:
  constant: {kind: constant}
  linear: &linear {kind: linear, to: 0}
  same: *linear
  axis: {kind: step, every: {values: [5, "25%"]}, gamma: {linspace: [0.1, 0.5, 3]}}
  wsd:
    warmup: {over: "10%", from: 0.01x}
    body: 1x
    cooldown: {over: 5, shape: one_minus_power, power: 2}
  "wide name é": {phases: [{for: 5, value: 0.1x}, {kind: cosine}]}
  rule: {restart: {kind: plateau, patience: 1}, every: 8}
"#;

/// Checks what must hold for every text; returns whether it is a good sweep file.
fn read(text: &str) -> Result<bool, TestCaseError> {
    match trainer::read(text, "fuzz") {
        Ok(spec) => {
            // If the schema rejected what the reader accepts, editors would show false errors.
            let tree = yaml::read(text).expect("read before");
            prop_assert!(schema::takes_file(&tree), "the schema rejects {tree}");
            planned(text, &spec).map(|()| true)
        }
        Err(problems) => check_problems(text, &problems).map(|()| false),
    }
}

fn planned(text: &str, spec: &Spec) -> Result<(), TestCaseError> {
    match plan(spec) {
        Ok(plan) => {
            prop_assert!(!plan.trials.is_empty() && plan.cells.len() >= plan.trials.len());
            check_places(text, &plan.warnings)
        }
        Err(problems) => check_problems(text, &problems),
    }
}

fn check_problems(text: &str, problems: &[Problem]) -> Result<(), TestCaseError> {
    prop_assert!(!problems.is_empty(), "refused without a problem");
    for (i, problem) in problems.iter().enumerate() {
        let again = |other: &Problem| {
            other.place == problem.place && other.path == problem.path && other.message == problem.message
        };
        prop_assert!(!problems[..i].iter().any(again), "reported twice: {problem}");
    }
    check_places(text, problems)
}

fn check_places(text: &str, problems: &[Problem]) -> Result<(), TestCaseError> {
    for problem in problems {
        let place = problem.place;
        prop_assert!(place.start <= place.end && place.end <= text.len(), "{problem}: {place:?}");
        let sliced = text.get(place.start..place.end);
        prop_assert!(sliced.is_some(), "{problem}: {place:?} cuts a character");
        // YAML's lines end with LF, CR or both.
        let lines = 1 + text.replace("\r\n", "\n").matches(['\n', '\r']).count();
        prop_assert!((1..=lines).contains(&place.line) && place.column >= 1, "{problem}: {place:?}");
        prop_assert!(!problem.message.is_empty() && !problem.message.ends_with('.'), "{problem}");
    }
    Ok(())
}

#[test]
fn the_good_file_is_good() {
    assert_eq!(trainer::read(GOOD, "fuzz").err(), None);
    assert!(read(GOOD).expect("good"));
}

const PIECES: &[&str] = &[
    ":",
    " ",
    "\n",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!!str ",
    "? ",
    "| ",
    ">\n",
    "%",
    "---\n",
    "...\n",
    "\t",
    "\u{feff}",
    "é",
    "\r\n",
    "\r",
    "\u{2028}",
    "name",
    "data",
    "lr",
    "schedules",
    "seeds",
    "values",
    "linspace",
    "logspace",
    "kind",
    "cosine",
    "1x",
    "0.1",
    "-1",
    "1e999",
    "99999999999999999999",
    "10%",
    "null",
    "~",
    "true",
    "body",
    "warmup",
    "over",
    "over: 5%",
    "lr: {values: [1, 2]}",
    "seeds: 0",
    "\u{0}",
    "\\",
    "\u{7f}",
    "<<",
    "a: b",
];

/// Pieces of YAML and of sweep files.
fn pieces() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

/// The good file after some edits.
fn edited() -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_usize..30, pieces());
    proptest::collection::vec(edit, 1..4).prop_map(|edits| {
        let mut chars: Vec<char> = GOOD.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(chars.len() + 1);
            let end = (at + removed).min(chars.len());
            // Short insertions leave more of the file intact.
            chars.splice(at..end, inserted.chars().take(12));
        }
        chars.into_iter().collect()
    })
}

/// The good file with one value replaced by any tree, or one line missing or doubled.
fn mutated() -> impl Strategy<Value = String> {
    let lines = GOOD.lines().count();
    let value = (0..lines, tree(2)).prop_map(|(at, tree)| {
        let replace = |(i, line): (usize, &str)| match line.split_once(": ") {
            Some((key, _)) if i == at => format!("{key}: {tree}\n"),
            _ => format!("{line}\n"),
        };
        GOOD.lines().enumerate().map(replace).collect::<String>()
    });
    let missing = (0..lines).prop_map(|at| {
        GOOD.lines().enumerate().filter(|(i, _)| *i != at).map(|(_, line)| format!("{line}\n")).collect()
    });
    let twice = (0..lines, 0..lines).prop_map(|(from, to)| {
        let mut lines: Vec<&str> = GOOD.lines().collect();
        let line = lines[from];
        lines.insert(to, line);
        lines.join("\n")
    });
    prop_oneof![4 => value, 1 => missing, 1 => twice]
}

proptest! {
    #![proptest_config(config(1500))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        read(&text)?;
        let _ = yaml::read(&text);
    }

    #[test]
    fn any_pieces_of_yaml_are_read_or_refused(text in pieces()) {
        read(&text)?;
    }

    #[test]
    fn an_edited_file_is_read_or_refused(text in edited()) {
        read(&text)?;
    }

    #[test]
    fn a_mutated_file_is_read_or_refused(text in mutated()) {
        read(&text)?;
    }

    #[test]
    fn any_tree_is_read_or_refused(tree in tree(4)) {
        read(&tree.to_string())?;
    }
}

#[test]
fn a_bad_value_is_reported_only_on_its_own_line() {
    for (line, bad) in [
        (2, "name: \"\""),
        (3, "data: {dataset: imagenet}"),
        (4, "model: {kind: mlp, hidden: [0]}"),
        (5, "optimizer: {kind: sgd, momentum: 1}"),
        (6, "budget: {epochs: 1, steps: 2}"),
        (7, "clip_norm: 0"),
        (8, "diverge_above: 1"),
        (9, "evaluate: {every: 0}"),
        (10, "seeds: [1, 1]"),
        (11, "lr: {logspace: [0, 1, 3]}"),
        (13, "  constant: {kind: konstant}"),
        (16, "  axis: {kind: step, every: {values: []}}"),
    ] {
        let text: String = (1..)
            .zip(GOOD.lines())
            .map(|(i, text)| format!("{}\n", if i == line { bad } else { text }))
            .collect();
        let problems = trainer::read(&text, "fuzz").expect_err(bad);
        assert!(problems.iter().all(|problem| problem.place.line == line), "{bad}: {problems:?}");
    }
}

#[test]
fn a_problem_of_all_points_of_a_large_grid_is_reported_quickly_and_once() {
    let grid = "lr: {linspace: [0.01, 1, 1000]}\ndiverge_above: {linspace: [2, 9, 500]}\nclipnorm: 1";
    let text = GOOD
        .replace("lr: {logspace: [0.01, 1, 3]}\n", &format!("{grid}\n"))
        .replace("diverge_above: 50\n", "");
    let started = std::time::Instant::now();
    let problems = trainer::read(&text, "fuzz").expect_err("a misspelt key");
    assert_eq!(problems.iter().filter(|problem| problem.message.contains("clipnorm")).count(), 1);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}
