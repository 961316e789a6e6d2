//! Deciding seeds that are added until all is decided: what e-values decide, and that more seeds may follow at any time.

use serde_json::{Value as Json, json};

use crate::support::Sandbox;

/// One bad schedule, one that diverges, and two good ones.
const FILE: &str = "\
name: u
data: {dataset: digits, limit: 600, batch_size: 25}
model: {kind: mlp, hidden: [12]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 40}
evaluate: {every: 40}
extend: false
lr: {values: [0.03, 0.1]}
seeds: {tune: 2, decide: {until: decided, at_most: 10}}
schedules:
  tiny: {kind: constant, value: 0.00001}
  lost: {kind: constant, value: 1e9}
  constant: {kind: constant}
  linear: {kind: linear, to: 0.9x}
";

const DECISIONS: [&str; 3] = [
    "select * from promotions order by position",
    "select trial_id, digest from trials order by trial_id",
    "select position, schedule, trial_id, purpose from cells order by position",
];

fn sandbox() -> Sandbox {
    with("{until: decided, at_most: 10}")
}

/// The file with these deciding seeds.
fn with(decide: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    write(&sandbox, decide);
    sandbox
}

fn write(sandbox: &Sandbox, decide: &str) {
    sandbox.write("u.yaml", FILE.replace("{until: decided, at_most: 10}", decide));
}

fn rank(sandbox: &Sandbox) -> Json {
    sandbox.run(&["rank", "--format", "json"]).exits(0).json()
}

#[test]
fn seeds_are_added_until_a_schedule_is_decided() {
    let sandbox = sandbox();
    let output = sandbox.run(&["u.yaml"]).exits(0);
    let looks: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("look at ")).collect();
    assert!(
        !looks.is_empty() && looks.iter().all(|look| look.contains("significantly worse: ")),
        "{looks:?}"
    );
    let words = "; at most 10 fresh seeds decide, with seeds added from 6 to 10 until all is decided";
    assert!(output.stderr.contains(words), "{}", output.stderr);
    let rows = rank(&sandbox);
    let rows = rows.as_array().expect("rows");
    for (row, schedule) in rows[2..].iter().zip(["tiny", "lost"]) {
        let number = |name: &str| row[name].as_f64().unwrap_or_else(|| panic!("{name} of {row}"));
        assert_eq!((&row["schedule"], &row["verdict"]), (&json!(schedule), &json!("worse")));
        let seeds = number("n") + number("diverged");
        assert!((6.0..10.0).contains(&seeds), "{row}");
        assert!(number("e") > 20.0 && number("e") <= 2f64.powf(seeds - 1.0), "{row}");
        assert!((number("p") * number("e") - 1.0).abs() < 1e-12, "{row}");
        assert!(number("p_raw") <= number("p") && number("p_floor") <= number("p_raw"), "{row}");
    }
    let text = sandbox.run(&["rank"]).exits(0).stdout;
    for words in [
        "e: e-value, the evidence that the schedule differs from the first, paired by seed, corrected for all 6 pairs of schedules; \
         p adj. = 1 / e; significant: p adj. < 0.05",
        "simultaneous for all 6 pairs and at all numbers of seeds",
        "seeds are added until all is decided: 2 schedules got all 10 seeds (raise `at_most` and run again to add more); ",
        "e, p and intervals hold at any number of seeds, however often you look and add seeds",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("seeds were added") && !text.contains("not trained yet"), "{text}");
    assert!(sandbox.run(&["u.yaml"]).exits(0).stderr.contains("nothing to train"));
    let compared = sandbox.run(&["compare", "tiny", "constant"]).exits(0).stdout;
    assert!(compared.starts_with("tiny is worse than constant"), "{compared}");
    assert!(compared.contains(" adjusted for the 6 pairs of this sweep, p = "), "{compared}");
    assert!(compared.contains("with seeds added from 6 to 10 until all is decided takes "), "{compared}");
}

/// The point of e-values: the ranking was seen, more seeds follow, and it is as if they had been requested at first.
#[test]
fn more_seeds_may_follow_after_the_ranking_was_seen() {
    let at_once = with("{until: decided, at_most: 14}");
    at_once.run(&["u.yaml", "-q"]).exits(0);
    let sandbox = sandbox();
    sandbox.run(&["u.yaml", "-q"]).exits(0);
    let before = sandbox.query("select trial_id, digest, finished_at from trials order by trial_id");
    let open = |sandbox: &Sandbox| {
        let kinds = sandbox.query("select count(*) as n from promotions where seeds >= 10");
        kinds[0]["n"].as_i64().expect("a number")
    };
    assert_eq!(open(&sandbox), 0);
    for at_most in [11, 14] {
        write(&sandbox, &format!("{{until: decided, at_most: {at_most}}}"));
        sandbox.run(&["u.yaml", "-q"]).exits(0);
    }
    assert!(open(&sandbox) > 0, "schedules that were not decided get more seeds");
    sandbox.answers_like(&at_once, &DECISIONS, "at_most was raised");
    assert_eq!(rank(&sandbox), rank(&at_once));
    let after = sandbox.query("select trial_id, digest, finished_at from trials order by trial_id");
    let after = after.as_array().expect("rows");
    assert!(before.as_array().expect("rows").iter().all(|row| after.contains(row)), "stored runs stay");
    let text = sandbox.run(&["rank"]).exits(0).stdout;
    assert!(!text.contains("seeds were added"), "{text}");
    assert_eq!(sandbox.query("select * from looks"), json!([]));
}

#[test]
#[cfg(unix)]
fn a_sweep_killed_while_it_adds_seeds_decides_the_same_again() {
    let undisturbed = sandbox();
    undisturbed.run(&["u.yaml", "-q"]).exits(0);
    // The first decision is the choice of lrs, the others are looks.
    for fault in [
        "promotion.before:2:kill",
        "promotion.after:3:kill",
        "promotion.before:4:kill",
        "promotion.after:5:kill",
    ] {
        let sandbox = sandbox();
        sandbox.run_with_fault(&["u.yaml", "-q"], fault);
        sandbox.run(&["u.yaml", "-q"]).exits(0);
        sandbox.answers_like(&undisturbed, &DECISIONS, fault);
        assert_eq!(rank(&sandbox), rank(&undisturbed), "{fault}");
    }
}

#[test]
fn two_processes_add_the_same_seeds() {
    let undisturbed = sandbox();
    undisturbed.run(&["u.yaml", "-q", "--workers", "1"]).exits(0);
    let sandbox = sandbox();
    sandbox.run_in_two_processes("u.yaml");
    sandbox.answers_like(&undisturbed, &DECISIONS, "two processes");
    assert_eq!(rank(&sandbox), rank(&undisturbed));
}

#[test]
fn tests_can_not_be_exchanged_after_the_first_result() {
    let e_values = "{until: decided, at_most: 10}";
    for (before, after) in [(e_values, "{looks: [8, 12]}"), (e_values, "12"), ("6", e_values)] {
        let sandbox = with(before);
        sandbox.run(&["u.yaml", "-q"]).exits(0);
        write(&sandbox, after);
        let message = sandbox.run(&["u.yaml"]).exits(2).stderr;
        let words = format!(
            "the seeds of `u` were {{tune: 2, decide: {before}}} when its first results could be seen, and are {{tune: 2, decide: \
             {after}}} now: e-values and p-values can't be exchanged after that"
        );
        assert!(message.contains(&words), "{message}");
    }
    let sandbox = sandbox();
    sandbox.run(&["u.yaml", "-q"]).exits(0);
    sandbox.write("u.yaml", FILE.replace("tune: 2", "tune: 3"));
    let message = sandbox.run(&["u.yaml"]).exits(2).stderr;
    assert!(message.contains("not after other seeds have chosen the configs"), "{message}");
}

#[test]
fn mistakes_are_refused() {
    for (decide, words) in [
        (
            "{until: decided, at_most: 40, looks: [8, 12]}",
            "`looks` can't be combined with `until`: p-values of planned looks hold only at these looks, e-values hold at any number",
        ),
        ("{until: decided}", "missing key `at_most`"),
        ("{at_most: 40}", "missing key `until`"),
        (
            "{until: bored, at_most: 40}",
            "expected `decided`: seeds are added until all schedules are decided",
        ),
        (
            "{until: decided, at_most: 5}",
            "5 seeds can't decide anything: with 5 seeds no e-value is above 16, and a difference is significant above 20",
        ),
        ("{until: decided, at_most: many}", "expected the largest number of deciding seeds (1 to 100000)"),
        (
            "{until: decided, at_most: 40, every: 0}",
            "expected how many seeds are added at a time (1 to 100000)",
        ),
        (
            "{until: decided, at_most: 1000}",
            "995 numbers of seeds at which the sweep judges are too many: at most 200",
        ),
        ("{until: decided, at_most: 1000}", "add several seeds at a time: `every: 5`"),
        (
            "{until: decided, at_most: 40, rope: 0}",
            "expected a number above 0, the smallest difference that matters",
        ),
    ] {
        let sandbox = with(decide);
        let message = sandbox.run(&["check", "u.yaml"]).exits(2).stderr;
        assert!(message.contains(words) && message.contains("u.yaml:9:"), "{decide}: {message}");
    }
    let sandbox = Sandbox::new();
    let each = FILE
        .replace("{tune: 2, decide: {until: decided, at_most: 10}}", "{each: {until: decided, at_most: 10}}");
    sandbox.write("u.yaml", each);
    let message = sandbox.run(&["check", "u.yaml"]).exits(2).stderr;
    assert!(message.contains("`until` can't be combined with `each`"), "{message}");
    with("{until: decided, at_most: 1000, every: 5}").run(&["check", "u.yaml"]).exits(0);
}

#[test]
fn a_plan_says_the_cost() {
    let sandbox = sandbox();
    let plan = sandbox.run(&["plan", "u.yaml", "--no-probe"]).exits(0).stdout;
    let words = "then at most 40 deciding runs: the chosen configs on fresh seeds, with seeds added from 6 to 10 until all is decided";
    assert!(plan.contains(words) && plan.contains("expected judging runs of 40"), "{plan}");
    let json = sandbox.run(&["plan", "u.yaml", "--no-probe", "--format", "json"]).exits(0).json();
    let expected = json["expected_deciding_trials"].as_array().expect("four differences");
    let runs: Vec<f64> = expected.iter().map(|at| at["runs"].as_f64().expect("a number")).collect();
    assert!(runs.len() == 4 && runs[0] <= 40.0 && runs[3] < runs[0], "{runs:?}");
}

/// Several seeds at a time need fewer rounds; a rope ends ties.
#[test]
fn seeds_are_added_in_batches_and_a_rope_ends_ties() {
    let sandbox = with("{until: decided, at_most: 16, every: 4, rope: 10}");
    sandbox.run(&["u.yaml", "-q"]).exits(0);
    let kinds = sandbox.query(
        "select distinct kind, seeds from promotions where seeds is not null and kind != 'continued' order by seeds, kind",
    );
    let kinds = kinds.as_array().expect("rows");
    assert!(
        kinds.iter().all(|row| [6, 10, 14].contains(&row["seeds"].as_i64().expect("a number"))),
        "{kinds:?}"
    );
    assert!(kinds.iter().any(|row| row["kind"] == "equivalent"), "{kinds:?}");
    let rows = rank(&sandbox);
    assert_eq!((&rows[0]["tie_group"], &rows[1]["verdict"]), (&json!(1), &json!("equivalent")), "{rows}");
    let text = sandbox.run(&["rank"]).exits(0).stdout;
    assert!(
        text.contains("~: equivalent to the first schedule: the 95 % interval is within ± rope"),
        "{text}"
    );
    assert!(text.contains("seeds are added until all is decided: all is decided; "), "{text}");
}

#[test]
fn the_report_shows_e_values() {
    let sandbox = sandbox();
    sandbox.run(&["u.yaml", "-q"]).exits(0);
    let page = sandbox.run(&["report", "u", "--format", "md"]).exits(0).stdout;
    assert!(page.contains(" | e | p adj. | ") && page.contains("hold at any number of seeds"), "{page}");
    sandbox.run(&["report", "-o", "u.html"]).exits(0);
    let page = std::fs::read_to_string(sandbox.path("u.html")).expect("a report");
    assert!(page.contains("<th scope=\"col\">e</th>") && page.contains("hold at any number of seeds"));
}
