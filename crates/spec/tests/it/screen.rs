//! `screen`: which schedules are trained first, what the decision adds, and the mistakes that are refused.

use spec::protocol::{AtScreen, Chosen, Decisions, Screened};
use spec::screen::{Candidate, Screening};
use spec::{plan, plan_on, yaml};

use crate::schema::takes_file;

fn file(schedules: &str, screen: &str) -> String {
    format!(
        "task: {{kind: quadratic}}\noptimizer: {{kind: sgd}}\nbudget: {{steps: 100}}\nlr: {{values: [0.1, 0.2]}}\n{screen}\nschedules:\n{schedules}"
    )
}

const TEN: &str = "  linear: {kind: linear, to: 0}
  constant: {kind: constant}
  cosine: {kind: cosine, to: 0}
  square: {kind: polynomial, power: 2, to: 0}
  triangle: {kind: piecewise, points: [[\"0%\", 0.1x], [\"30%\", 1x], [\"60%\", 0.1x], [\"100%\", 1x]]}
  early: {kind: multistep, at: [\"10%\"], gamma: 0.1}
  late: {body: 1x, cooldown: {over: \"10%\", to: 0}}
  watching: {kind: plateau, watch: train_loss, every: 20, factor: 0.5, patience: 1}
  free: {kind: schedule_free}
  half: {kind: multistep, at: [\"50%\"], gamma: 0.1}
";

fn names(candidates: &[Candidate]) -> Vec<&str> {
    candidates.iter().map(|each| each.schedule.as_str()).collect()
}

fn divided(schedules: &str, screen: &str) -> Option<Screening> {
    let text = file(schedules, screen);
    assert!(takes_file(&yaml::read(&text).expect("good YAML")), "the schema accepts it: {text}");
    let spec = trainer::read(&text, "x").expect("a sweep file");
    plan(&spec).expect("a plan").screening
}

#[test]
fn the_baseline_and_the_most_different_curves_are_trained_first() {
    let screening = divided(TEN, "screen: {keep: 2}").expect("it screens");
    assert_eq!(screening.baseline, "constant");
    // In the order of the file: `early` is farthest from `constant`, then `half`, then what lies between.
    let learned = names(&screening.learned);
    assert_eq!(learned.len(), 4, "{learned:?}");
    assert!(["constant", "early", "half"].iter().all(|name| learned.contains(name)), "{learned:?}");
    assert!(!learned.contains(&"triangle"));
    assert_eq!(
        screening.always,
        [("watching".to_owned(), "closed-loop"), ("free".to_owned(), "averages the weights")]
    );
    assert!(screening.candidates.iter().all(|each| each.configs.len() == 2));
    let other = divided(TEN, "screen: {keep: 1, baseline: linear, learn: 3}").expect("it screens");
    assert!(names(&other.learned).contains(&"linear"));
    assert_eq!((other.learned.len(), other.candidates.len()), (3, 5));
}

#[test]
fn the_first_round_has_no_candidates_and_the_decision_adds_them() {
    let spec = trainer::read(&file(TEN, "screen: {keep: 2}"), "x").expect("a sweep file");
    let first = plan(&spec).expect("a plan");
    assert_eq!(first.cells.len(), 2 * 6);
    let screening = first.screening.expect("it screens");
    let at = |(i, each): (usize, &Candidate)| AtScreen {
        chosen: Chosen {
            schedule: each.schedule.clone(),
            steps: 100,
            config_id: each.configs[0].id.clone(),
            base_lr: 0.1,
        },
        is_kept: i < 2,
        predicted: None,
    };
    let outcomes = screening.candidates.iter().enumerate().map(at).collect();
    let screened = Some(Screened { learned: Vec::new(), outcomes });
    let decisions = Decisions { screened, ..Decisions::default() };
    let second = plan_on(&spec, decisions).expect("a plan");
    assert_eq!(second.cells.len(), 2 * 8);
    assert!(second.cells.iter().all(|cell| cell.schedule != screening.candidates[2].schedule));
}

#[test]
fn nothing_is_screened_if_all_would_be_kept() {
    assert!(divided(TEN, "screen: {keep: 4}").is_none());
    assert!(divided(TEN, "").is_none());
}

#[test]
fn mistakes_are_refused_with_hints() {
    for (screen, message, hint) in [
        ("screen: {keep: 0}", "expected the number of predicted schedules", ""),
        ("screen: {kep: 2}", "unknown key `kep`", "did you mean `keep`?"),
        ("screen: {keep: 2, baseline: cosin}", "unknown schedule `cosin`", "did you mean `cosine`?"),
        ("screen: {keep: 2, learn: 2}", "expected the number of schedules to learn from", ""),
        ("screen: 8", "expected a mapping", ""),
        (
            "screen: {keep: 2}\nmetric: {steps_to: {valid_loss: 1}}",
            "predictions are of losses",
            "remove `screen`",
        ),
    ] {
        let problems = trainer::read(&file(TEN, screen), "x").expect_err("a mistake");
        let found = problems.iter().any(|problem| {
            let text = problem.to_string();
            text.contains(message) && text.contains(hint)
        });
        assert!(found, "{screen}: {problems:?}");
    }
}
