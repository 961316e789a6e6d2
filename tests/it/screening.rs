//! `screen` in a sweep file, `sweep plan --screen`, and what `sweep audit` says of both: which schedules are trained, that the decision is the
//! same after a kill and by two processes, and that everything names the schedules that were not trained.

use serde_json::Value as Json;

use crate::support::Sandbox;

const HEAD: &str = "\
task: {kind: quadratic}
optimizer: {kind: sgd}
budget: {steps: 300}
evaluate: {every: \"2%\"}
seeds: 8
extend: false
lr: {values: [0.125, 0.25]}
";
const SCHEDULES: &str = "\
schedules:
  cosine: {kind: cosine, to: 0}
  linear: {kind: linear, to: 0}
  constant: {kind: constant}
  early: {kind: multistep, at: [\"10%\"], gamma: 0.1}
  half: {kind: multistep, at: [\"50%\"], gamma: 0.1}
  square: {kind: polynomial, power: 2, to: 0}
  wsd10: {body: 1x, cooldown: {over: \"10%\", to: 0}}
  wsd40: {body: 1x, cooldown: {over: \"40%\", to: 0}}
  rise: {kind: linear, to: 0.9x}
  huge: {kind: linear, to: 0, lr: 1.5}
  watching: {kind: plateau, watch: train_loss, every: 20, factor: 0.5, patience: 1}
";
const DECISIONS: [&str; 3] = [
    "select * from promotions order by position",
    "select trial_id, digest from trials order by trial_id",
    "select position, schedule, trial_id, purpose from cells order by position",
];

/// A sweep that trains four schedules, then the two best of the others.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("s.yaml", format!("name: s\n{HEAD}screen: {{keep: 2}}\n{SCHEDULES}"));
    sandbox
}

fn schedules(sandbox: &Sandbox, kind: &str) -> Vec<String> {
    sandbox.texts(&format!("select schedule from promotions where kind = '{kind}' order by position"))
}

fn trained(sandbox: &Sandbox) -> Vec<String> {
    sandbox.texts("select distinct schedule from cells order by schedule")
}

#[test]
fn predictions_choose_what_is_trained_and_everything_names_the_rest() {
    let sandbox = sandbox();
    let plan = sandbox.run(&["plan", "s.yaml", "--no-probe"]).exits(0).stdout;
    assert!(plan.contains("trained first, to learn a law of their loss curves: "), "{plan}");
    assert!(
        plan.contains("trained first, because they can't be predicted: watching (closed-loop)"),
        "{plan}"
    );
    let output = sandbox.run(&["s.yaml"]).exits(0);
    let screen = &output.stderr;
    assert!(
        screen.contains("; then the 2 of 6 other schedules with the lowest predicted losses"),
        "{screen}"
    );
    let decision =
        screen.lines().find(|line| line.starts_with("screening by the loss curves of ")).expect(screen);
    assert!(
        decision.contains("at lr 0.25: ") && decision.contains("4 runs, validation loss, off by "),
        "{decision}"
    );
    assert!(
        decision
            .contains("trains without a prediction: huge (at lr 1.5: its peak lr 1.5 is more than 2 times"),
        "{decision}"
    );
    assert!(decision.ends_with("a prediction is not a verdict"), "{decision}");

    let (learned, kept, left_out) =
        (schedules(&sandbox, "learned"), schedules(&sandbox, "kept"), schedules(&sandbox, "left_out"));
    assert_eq!((learned.len(), kept.len(), left_out.len()), (4, 3, 3), "{decision}");
    assert!(learned.contains(&"constant".to_owned()) && kept.contains(&"huge".to_owned()), "{decision}");
    let names = trained(&sandbox);
    assert!(["constant", "watching", "huge"].iter().all(|name| names.iter().any(|known| known == name)));
    assert!(left_out.iter().all(|name| !names.contains(name)) && names.len() == 8, "{names:?}");
    let order =
        sandbox.query("select kind, predicted from promotions where predicted is not null order by position");
    let losses: Vec<f64> =
        order.as_array().expect("rows").iter().filter_map(|row| row["predicted"].as_f64()).collect();
    assert!(losses.len() == 5 && losses.is_sorted(), "{order}");

    let left_out = format!(
        "3 schedules were not trained, by prediction: {}; a prediction is not a verdict: ",
        left_out.join(", ")
    );
    assert!(output.stdout.contains(&left_out), "{}", output.stdout);
    assert!(sandbox.run(&["rank"]).exits(0).stdout.contains(&left_out));
    sandbox.run(&["report", "--output", "s.html"]).exits(0);
    let report = std::fs::read_to_string(sandbox.path("s.html")).expect("a report");
    assert!(report.contains(&left_out), "the report names them");
    let again = sandbox.run(&["s.yaml"]).exits(0);
    assert!(again.stderr.contains("nothing to train"), "{}", again.stderr);
    assert!(again.stderr.contains("screening by the loss curves of "), "{}", again.stderr);
}

/// A larger `keep` trains more of the same order; without `screen` all are trained.
#[test]
fn a_changed_screen_is_decided_again() {
    let sandbox = sandbox();
    sandbox.run(&["s.yaml", "-q"]).exits(0);
    let (kept, left_out) = (schedules(&sandbox, "kept"), schedules(&sandbox, "left_out"));
    sandbox.write("s.yaml", format!("name: s\n{HEAD}screen: {{keep: 3}}\n{SCHEDULES}"));
    sandbox.run(&["s.yaml", "-q"]).exits(0);
    let more = schedules(&sandbox, "kept");
    assert!(more.len() == 4 && kept.iter().all(|name| more.contains(name)), "{more:?}");
    assert!(more.contains(&left_out[0]), "the best of those that were left out: {more:?}");
    sandbox.write("s.yaml", format!("name: s\n{HEAD}{SCHEDULES}"));
    sandbox.run(&["s.yaml", "-q"]).exits(0);
    assert_eq!(trained(&sandbox).len(), 11);
    assert!(schedules(&sandbox, "kept").is_empty());
    assert!(!sandbox.run(&["rank"]).exits(0).stdout.contains("not trained, by prediction"));
}

#[test]
#[cfg(unix)]
fn a_sweep_killed_at_its_screening_decides_the_same_again() {
    let undisturbed = sandbox();
    undisturbed.run(&["s.yaml", "-q"]).exits(0);
    for fault in ["promotion.before:1:kill", "promotion.after:2:kill"] {
        let sandbox = sandbox();
        sandbox.run_with_fault(&["s.yaml", "-q"], fault);
        // Until the decision is made and its runs have ended, nothing is a result.
        if fault.starts_with("promotion.before") {
            assert!(schedules(&sandbox, "kept").is_empty());
        }
        sandbox.run(&["s.yaml", "-q"]).exits(0);
        sandbox.answers_like(&undisturbed, &DECISIONS, fault);
    }
}

#[test]
fn two_processes_make_the_same_decision() {
    let undisturbed = sandbox();
    undisturbed.run(&["s.yaml", "-q", "--workers", "1"]).exits(0);
    let sandbox = sandbox();
    sandbox.run_in_two_processes("s.yaml");
    sandbox.answers_like(&undisturbed, &DECISIONS, "two processes");
}

#[test]
fn a_plan_orders_the_schedules_that_were_not_trained() {
    let sandbox = Sandbox::new();
    let known = "schedules:\n  constant: {kind: constant}\n  square: {kind: polynomial, power: 2, to: 0}\n  half: {kind: multistep, at: [\"50%\"], gamma: 0.1}\n  early: {kind: multistep, at: [\"10%\"], gamma: 0.1}\n";
    sandbox.write("known.yaml", format!("name: known\n{HEAD}{known}"));
    sandbox.write("ideas.yaml", format!("name: ideas\n{HEAD}{SCHEDULES}"));
    let none = sandbox.run(&["plan", "ideas.yaml", "--screen"]).exits(2);
    assert!(none.stderr.contains("sweep database not found"), "{}", none.stderr);
    sandbox.run(&["known.yaml", "-q"]).exits(0);

    let rows = sandbox.run(&["plan", "ideas.yaml", "--screen", "--format", "json"]).exits(0).json();
    let rows = rows.as_array().expect("rows").clone();
    let name = |row: &Json| row["schedule"].as_str().expect("a name").to_owned();
    // Four are trained already, as another sweep; two can't be predicted and are last.
    assert_eq!(rows.len(), 7, "{rows:?}");
    let refused: Vec<String> = rows.iter().filter(|row| !row["refused"].is_null()).map(name).collect();
    assert_eq!(refused, ["huge", "watching"]);
    let losses: Vec<f64> = rows.iter().filter_map(|row| row["predicted"].as_f64()).collect();
    assert!(losses.len() == 5 && losses.is_sorted(), "{losses:?}");
    // The order by the closed form, each at its best lr: constant-like schedules are worse than decays.
    assert_eq!(name(&rows[4]), "rise", "{rows:?}");
    let table = sandbox.run(&["plan", "ideas.yaml", "--screen"]).exits(0);
    assert!(table.stderr.contains("watching: not predicted: closed-loop"), "{}", table.stderr);
    assert!(table.stderr.contains("huge: not predicted: at lr 1.5: its peak lr"), "{}", table.stderr);
    let text = &table.stdout;
    assert!(
        text.contains("learned from the sweep `known`")
            && text.contains("already trained: constant, early, half, square"),
        "{text}"
    );
    assert!(text.contains("a prediction is not a verdict"), "{text}");
    let named =
        sandbox.run(&["plan", "ideas.yaml", "--screen", "--sweep", "known", "--format", "csv"]).exits(0);
    assert_eq!(named.stdout.lines().count(), 6, "{}", named.stdout);

    // Another task has no runs, and a sweep can't be named without --screen.
    let other = std::fs::read_to_string(sandbox.path("ideas.yaml")).expect("a file");
    sandbox.write("other.yaml", other.replace("kind: sgd", "kind: sgd, momentum: 0.5"));
    let refused = sandbox.run(&["plan", "other.yaml", "--screen"]).exits(2);
    assert!(
        refused.stderr.contains("no law can be learned for this task from `known`"),
        "{}",
        refused.stderr
    );
    sandbox.run(&["plan", "ideas.yaml", "--sweep", "known"]).exits(2);
}

#[test]
fn an_audit_replays_screening() {
    let sandbox = Sandbox::new();
    sandbox.write("all.yaml", format!("name: all\n{HEAD}{SCHEDULES}"));
    sandbox.run(&["all.yaml", "-q"]).exits(0);
    let rows = sandbox.run(&["audit", "--format", "json"]).exits(0).json();
    let rows: Vec<&Json> = rows
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["rule"].as_str().is_some_and(|rule| rule.starts_with("screening, keep ")))
        .collect();
    // 11 schedules: 4 are learned from, 2 can't be predicted.
    assert_eq!(rows.len(), 5);
    let regrets: Vec<f64> = rows.iter().filter_map(|row| row["regret"].as_f64()).collect();
    assert!(regrets.is_sorted_by(|a, b| a >= b) && regrets[4] == 0.0, "{regrets:?}");
    let dropped: Vec<u64> = rows.iter().filter_map(|row| row["dropped"].as_u64()).collect();
    assert_eq!(dropped, [4, 3, 2, 1, 0]);
    assert!(rows[0]["steps_saved"].as_u64() > rows[1]["steps_saved"].as_u64());
    let text = sandbox.run(&["audit"]).exits(0).stdout;
    assert!(text.contains("screening, keep N: trains "), "{text}");

    // Too few schedules: the stopping rules are replayed, and a note says why screening is not.
    let few = "schedules:\n  constant: {kind: constant}\n  linear: {kind: linear, to: 0}\n";
    sandbox.write("few.yaml", format!("name: few\n{HEAD}{few}"));
    sandbox.run(&["few.yaml", "-q"]).exits(0);
    let few = sandbox.run(&["audit", "few"]).exits(0);
    assert!(
        few.stderr.contains("screening is not replayed: a law is learned from 4 schedules"),
        "{}",
        few.stderr
    );
    assert!(!few.stdout.contains("screening, keep"), "{}", few.stdout);
}

/// Without any law everything is trained, and the reason is printed.
#[test]
fn without_a_law_nothing_is_left_out() {
    let sandbox = Sandbox::new();
    let flat = "schedules:\n  constant: {kind: constant}\n  a: {kind: linear, to: 0.99x}\n  b: {kind: linear, to: 0.98x}\n  c: {kind: linear, to: 0.97x}\n  d: {kind: linear, to: 0.96x}\n";
    sandbox.write("flat.yaml", format!("name: flat\n{HEAD}screen: {{keep: 1, learn: 3}}\n{flat}"));
    let output = sandbox.run(&["flat.yaml"]).exits(0);
    assert!(
        output.stderr.contains("no law: the lr of no run falls by a tenth of its peak"),
        "{}",
        output.stderr
    );
    assert_eq!(trained(&sandbox).len(), 5);
    let refused = sandbox.run(&["submit", "slurm", "flat.yaml", "--dry-run"]);
    assert!(refused.stderr.contains("`screen` can't be used in a job array"), "{}", refused.stderr);
}
