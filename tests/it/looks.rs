//! Planned looks at the deciding seeds: what they decide and save, and that they can't be changed.

use serde_json::{Value as Json, json};

use crate::support::{Output, Sandbox};

/// One bad schedule, one that diverges, and two good ones.
const FILE: &str = "\
name: l
data: {dataset: digits, limit: 600, batch_size: 25}
model: {kind: mlp, hidden: [12]}
optimizer: {kind: sgd, momentum: 0.9}
budget: {steps: 40}
evaluate: {every: 40}
extend: false
lr: {values: [0.03, 0.1]}
seeds: {tune: 2, decide: {looks: [8, 10, 14]}}
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
    let sandbox = Sandbox::new();
    sandbox.write("l.yaml", FILE);
    sandbox
}

fn rank(sandbox: &Sandbox) -> Json {
    sandbox.run(&["rank", "--format", "json"]).exits(0).json()
}

#[test]
fn a_look_stops_schedules_that_are_worse_and_says_so() {
    let sandbox = sandbox();
    let output = sandbox.run(&["l.yaml"]).exits(0);
    screen_says_what_was_decided(&output);
    let rows = rank(&sandbox);
    let found: Vec<_> =
        rows.as_array().expect("rows").iter().map(|row| (&row["n"], &row["diverged"])).collect();
    assert_eq!(found[2..], [(&json!(8), &json!(0)), (&json!(0), &json!(8))], "{rows}");
    let tiny = &rows[2];
    assert_eq!(
        (&tiny["schedule"], &tiny["verdict"], &tiny["rank"]),
        (&json!("tiny"), &json!("worse"), &json!(3))
    );
    // The lowest p-value of 8 seeds, and the same divided by the share of the first look, which is 2.02 times as much of 0.05.
    assert_eq!(tiny["p_raw"], json!(2.0 / 256.0));
    assert!((tiny["p"].as_f64().expect("a number") - 0.05 / 2.02).abs() < 1e-9, "{tiny}");
    let kinds = sandbox.query("select kind, seeds, count(*) as n from promotions where seeds is not null group by 1, 2 order by 2, 1");
    assert_eq!(kinds[0], json!({ "kind": "continued", "seeds": 8, "n": 2 }), "{kinds}");
    assert_eq!(kinds[1], json!({ "kind": "worse", "seeds": 8, "n": 2 }), "{kinds}");
    // A look that was planned is not an added seed, and its missing seeds are not missing runs.
    let text = sandbox.run(&["rank"]).exits(0).stdout;
    assert!(text.contains("planned looks at 8, 10 and 14 seeds: 2 schedules ended with 8 seeds"), "{text}");
    assert!(!text.contains("seeds were added") && !text.contains("not trained yet"), "{text}");
    let again = sandbox.run(&["l.yaml"]).exits(0);
    assert!(again.stderr.contains("nothing to train"), "{}", again.stderr);
}

fn screen_says_what_was_decided(output: &Output) {
    let look = output.stderr.lines().find(|line| line.starts_with("look at 8 seeds: ")).expect("a look");
    assert!(
        look.contains(
            " leads, significantly worse: tiny, lost, 2 schedules continue to 10 seeds; 12 runs saved"
        ),
        "{look}"
    );
    assert!(
        output.stderr.contains("14 fresh seeds decide, with looks at 8, 10 and 14 seeds"),
        "{}",
        output.stderr
    );
    assert!(output.stderr.contains("; then at most 56 deciding runs"), "{}", output.stderr);
}

#[test]
fn a_comparison_and_a_plan_say_the_cost() {
    let sandbox = sandbox();
    let plan = sandbox.run(&["plan", "l.yaml", "--no-probe"]).exits(0).stdout;
    assert!(plan.contains("then at most 56 deciding runs"), "{plan}");
    assert!(plan.contains("expected judging runs of 56"), "{plan}");
    let json = sandbox.run(&["plan", "l.yaml", "--no-probe", "--format", "json"]).exits(0).json();
    let expected = json["expected_deciding_trials"].as_array().expect("four differences");
    let runs: Vec<f64> = expected.iter().map(|at| at["runs"].as_f64().expect("a number")).collect();
    assert!(runs.len() == 4 && runs[0] <= 56.0 && runs[3] < 44.0, "{runs:?}");
    sandbox.run(&["l.yaml", "-q"]).exits(0);
    let compared = sandbox.run(&["compare", "tiny", "constant"]).exits(0).stdout;
    assert!(compared.starts_with("tiny is worse than constant"), "{compared}");
    assert!(compared.contains("with looks at 8, 10 and 14 seeds takes 28, "), "{compared}");
}

#[test]
#[cfg(unix)]
fn a_sweep_killed_at_a_look_decides_the_same_again() {
    let undisturbed = sandbox();
    undisturbed.run(&["l.yaml", "-q"]).exits(0);
    // The first decision is the choice of lrs, the second and third are looks.
    for fault in [
        "promotion.before:2:kill",
        "promotion.after:3:kill",
        "promotion.before:3:kill",
        "promotion.after:4:kill",
    ] {
        let sandbox = sandbox();
        sandbox.run_with_fault(&["l.yaml", "-q"], fault);
        sandbox.run(&["l.yaml", "-q"]).exits(0);
        sandbox.answers_like(&undisturbed, &DECISIONS, fault);
        assert_eq!(rank(&sandbox), rank(&undisturbed), "{fault}");
    }
}

#[test]
fn two_processes_decide_the_same() {
    let undisturbed = sandbox();
    undisturbed.run(&["l.yaml", "-q", "--workers", "1"]).exits(0);
    let sandbox = sandbox();
    sandbox.run_in_two_processes("l.yaml");
    sandbox.answers_like(&undisturbed, &DECISIONS, "two processes");
    assert_eq!(rank(&sandbox), rank(&undisturbed));
}

#[test]
fn looks_can_not_be_changed_after_the_first_result() {
    let sandbox = sandbox();
    sandbox.run(&["l.yaml", "-q"]).exits(0);
    for seeds in ["{tune: 2, decide: {looks: [8, 10, 14, 20]}}", "{tune: 2, decide: 30}"] {
        sandbox.write("l.yaml", FILE.replace("{tune: 2, decide: {looks: [8, 10, 14]}}", seeds));
        let message = sandbox.run(&["l.yaml"]).exits(2).stderr;
        let words = "the seeds of `l` were {tune: 2, decide: {looks: [8, 10, 14]}} when its first results could be seen, and are ";
        assert!(message.contains(words) && message.contains(seeds), "{message}");
    }
    // Everything else may change.
    sandbox.write("l.yaml", format!("# a comment\n{FILE}"));
    assert!(sandbox.run(&["l.yaml"]).exits(0).stderr.contains("nothing to train"));
}

#[test]
fn mistakes_in_looks_are_refused() {
    for (looks, words) in [
        ("{looks: [8]}", "planned looks are at least two"),
        ("{looks: [12, 8]}", "a look at 8 seeds can't follow a look at 12"),
        ("{looks: 8}", "expected the numbers of deciding seeds at which to look, as in [8, 12, 20]"),
        ("{looks: [8, x]}", "expected a number of seeds (1 to 100000)"),
        (
            "{looks: [6, 12, 20]}",
            "the look at 6 seeds can't decide anything: with 6 seeds no p-value of the exact test is below 0.031, and this look may spend 0.0082 of the level 0.05",
        ),
        ("{looks: [8, 12], rope: 0}", "expected a number above 0, the smallest difference that matters"),
        ("{look: [8, 12]}", "did you mean `looks`?"),
        ("{rope: 1}", "missing key `looks`"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("l.yaml", FILE.replace("{looks: [8, 10, 14]}", looks));
        let message = sandbox.run(&["check", "l.yaml"]).exits(2).stderr;
        assert!(message.contains(words) && message.contains("l.yaml:9:"), "{looks}: {message}");
    }
}

/// With a rope, schedules that will hardly become different from the best stop as well, and stay tied with it.
#[test]
fn a_rope_stops_schedules_that_hardly_differ() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "l.yaml",
        FILE.replace("14]}", "14], rope: 0.05}").replace("  lost: {kind: constant, value: 1e9}\n", ""),
    );
    let output = sandbox.run(&["l.yaml"]).exits(0);
    let stopped =
        sandbox.query("select schedule, kind from promotions where kind in ('equivalent', 'futile')");
    assert_eq!(stopped.as_array().map(Vec::len), Some(1), "{stopped} {}", output.stderr);
    let rows = rank(&sandbox);
    let tied: Vec<&Json> = rows.as_array().expect("rows").iter().map(|row| &row["tie_group"]).collect();
    assert_eq!(tied, [&json!(1), &json!(1), &json!(2)], "{rows}");
}
