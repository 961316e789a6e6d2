//! Tests of rendered verdicts, on made-up results.

use verdict::comparison::compare;
use verdict::ranking::{Metric, Options, Ranking, rank};
use verdict::results::{RunResult, RunState, TrialRecord};
use verdict::score::{Direction, Score};

use crate::comparison_text::sentence;
use crate::compose::{Material, compose};
use crate::markdown::markdown;
use crate::ranking_rows::{rows, table};
use crate::rows::{Cell, Format};

fn run(schedule: &str, seed: i64, state: RunState) -> RunResult {
    let score = match state {
        RunState::Done(value) | RunState::Unreached(value) => {
            Some(Score { value, direction: Direction::LowerIsBetter })
        }
        RunState::Diverged | RunState::Unreported(_) => Some(Score::worst(Direction::LowerIsBetter)),
        RunState::Missing | RunState::Failed => None,
    };
    let trial = TrialRecord {
        schedule: schedule.to_owned(),
        config_id: schedule.to_owned(),
        base_lr: 0.1,
        steps: 100,
        seed,
        test_accuracy: Some(0.5),
        ..TrialRecord::default()
    };
    RunResult { trial, state, score }
}

/// One config of a schedule, over seeds from 0.
fn runs(schedule: &str, losses: impl IntoIterator<Item = f64>) -> Vec<RunResult> {
    (0..).zip(losses).map(|(seed, loss)| run(schedule, seed, RunState::Done(loss))).collect()
}

fn plain(results: &[RunResult]) -> Ranking {
    rank(results, &Options::default())
}

fn sentence_for(results: &[RunResult], a: &str, b: &str) -> String {
    sentence(&compare(&plain(results), results, a, b).expect("both exist"))
}

const NOISE: [f64; 8] = [0.01, -0.02, 0.03, 0.0, 0.02, -0.01, 0.015, -0.005];

#[test]
fn diverged_and_missing_runs_have_no_mean() {
    let lost = (0..6).map(|seed| run("c", seed, RunState::Diverged)).collect();
    let found = table(&plain(&[runs("b", [10.0; 6]), lost].concat()));
    assert_eq!((&found.rows[1][3], &found.rows[1][9]), (&text("diverged"), &text("6/6 (6 in grid)")));
    let missing = (0..2).map(|seed| run("d", seed, RunState::Missing)).collect();
    let found = table(&plain(&[runs("b", [10.0; 2]), missing].concat()));
    assert_eq!((&found.rows[1][2], &found.rows[1][8]), (&text("—"), &text("0 of 2")));
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

#[test]
fn losses_near_0_and_long_lrs_have_four_digits() {
    let small = |factor: f64| NOISE.map(|noise| 3.214e-7 * (factor + noise));
    let mut results = [runs("a", small(1.0)), runs("b", small(2.0))].concat();
    results.iter_mut().for_each(|run| run.trial.base_lr = 0.1 + 0.2);
    let ranking = plain(&results);
    let row =
        |i: usize| table(&ranking).rows[i][2..6].iter().map(Cell::plain).collect::<Vec<_>>().join(" | ");
    assert_eq!(row(0), "0.3 | 3.230e-7 ± 5.364e-9 |  | ");
    assert_eq!(row(1), "0.3 | 6.444e-7 ± 5.364e-9 | +3.214e-7 | +3.214e-7 to +3.214e-7");
    let sentence = sentence_for(&results, "b", "a");
    assert!(sentence.starts_with("b is worse than a, valid loss +3.214e-7 [+3.214e-7, "), "{sentence}");
    let document = compose(&ranking, &results, &Options::default(), &[], Material::default());
    assert_eq!(
        document.verdict,
        "a at lr 0.3 (valid loss 3.230e-7) is significantly better than the other schedule."
    );
    assert!(
        markdown(&document).contains("| 0.3 | 6.444e-7 ± 5.364e-9 | +3.214e-7 |"),
        "{}",
        markdown(&document)
    );
    assert!(rows(&ranking).render(Format::Csv).contains(",0.30000000000000004,"), "exact for programs");
}

#[test]
fn several_pairs_have_two_p_values() {
    let two = [runs("a", [1.0, 1.1]), runs("b", [2.0, 2.2])].concat();
    assert_eq!(table(&plain(&two)).columns[6..8], ["p", "wins"]);
    let three = [two, runs("c", [3.0, 3.1])].concat();
    assert_eq!(table(&plain(&three)).columns[6..8], ["p raw", "p adj."]);
}

#[test]
fn an_accuracy_keeps_its_sign_and_direction() {
    let direction = Direction::HigherIsBetter;
    let metric =
        Metric { name: "accuracy".into(), title: "test accuracy".into(), direction, has_target: false };
    let mut results = [runs("a", [1.0; 8]), runs("b", [1.0; 8])].concat();
    for run in &mut results {
        let accuracy = if run.trial.schedule == "b" { 0.9 } else { 0.8 };
        run.score = Some(Score { value: accuracy + 0.001 * run.trial.seed as f64, direction });
    }
    let found = rows(&rank(&results, &Options { metric, ..Options::default() }));
    let cell = |column: &str| {
        let at = found.columns.iter().position(|name| name == column).expect("a column");
        if let Cell::Real(x) = found.rows[1][at] { x } else { f64::NAN }
    };
    assert!((cell("mean") - 0.8035).abs() < 1e-9 && (cell("diff") + 0.1).abs() < 1e-9);
    assert!(cell("diff_low") <= cell("diff") && cell("diff") <= cell("diff_high") && cell("diff_high") < 0.0);
}

#[test]
fn a_comparison_is_one_sentence() {
    let base = || (0..8).map(|seed| 1.0 + f64::from(seed));
    let better = [runs("a", base()), runs("b", base().zip(NOISE).map(|(x, noise)| x + 0.5 + noise))].concat();
    let expected = "a is better than b, valid loss -0.505 [-0.519, -0.491], p = 0.008; a wins on 8/8 seeds (lr 0.1 vs 0.1)";
    assert_eq!(sentence_for(&better, "a", "b"), expected);
    let same = [runs("a", base()), runs("b", base()), runs("c", base().map(|x| x + 0.1))].concat();
    let expected = "a and b have the same valid loss on all 8 seeds (lr 0.1 vs 0.1)";
    assert_eq!(sentence_for(&same, "a", "b"), expected);
    let adjusted = sentence_for(&same, "c", "b");
    assert!(adjusted.contains("adjusted for the 3 pairs of this sweep (unadjusted p = "), "{adjusted}");
    let few = sentence_for(&[runs("a", [1.0; 3]), runs("b", [2.0; 3])].concat(), "b", "a");
    assert!(few.contains("no difference can be significant with 3 seeds"), "{few}");
}
